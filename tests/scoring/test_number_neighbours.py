"""What stands beside a number decides whether it is read: amounts, bounds, operators, names."""

import math

import pytest

from opro_local.scoring.choosing import make_rule
from opro_local.scoring.reading import numbers
from opro_local.types import Example

# Numbers that only bound the answer, are worked with, or are part of a name: none is an answer.
UNREAD = r"""
5!¦5！¦#### 5!¦The answer is 5!¦5! = ?¦5²¦10⁵¦x²¦5₂¦2^10¦2**10¦sqrt(16)¦√16¦√ 16¦∛8¦\sqrt{16}¦log 8
log(8)¦log_2 8¦ln 5¦sin(30)¦f(5)¦g(5)¦\log 8¦the square root of 16¦16 squared¦5 factorial¦3 cubed
2 to the power of 10¦5 choose 2¦5 mod 3¦17 modulo 5¦twice 5¦double 5¦half of 10¦half 5¦a third of 9
1/3 of 9¦two thirds of 30¦5 percent of 20¦5% of 20¦20 % of the 50¦5 Prozent von 20¦20 pour cent de 5
Wurzel aus 16¦racine carrée de 16¦raíz cuadrada de 16¦5 al cuadrado¦5 zum Quadrat¦5 au carré
±5¦5 ± 1¦5±1¦5 +/- 1¦5 \pm 1¦>5¦> 5¦<5¦< 5¦≥5¦≤ 5¦5 >¦5 < x¦x > 5¦5+¦5 or more¦5 or fewer
5 and up¦at least 5¦at most 5¦more than 5¦less than 5¦fewer than 5¦up to 5¦over 5¦under 5¦below 5
no more than 5¦greater than 5¦The answer is more than 5¦The answer is 5 or more¦Answer: at least 5
Answer: >5¦mindestens 5¦höchstens 5¦mehr als 5¦weniger als 5¦bis zu 5¦5 oder mehr¦au moins 5
plus de 5¦moins de 5¦5 ou plus¦al menos 5¦más de 5¦menos de 5¦5 o más¦pelo menos 5¦mais de 5¦almeno 5
più di 5¦minstens 5¦meer dan 5¦не менее 5¦больше 5¦至少5¦超过5¦5以上¦5以下¦5 이상¦최소 5¦maximum 5
between 3 and 5¦Between 5 and 7 apples¦5-7¦5–7¦5 to 7¦3 or 4¦3 vs. 2¦3 vs 2¦5, 6¦5 and 6¦5 or 6
12:30¦5pm¦5 pm¦5 a.m.¦5 o'clock¦5 Uhr¦2024-01-05¦01/05/2024¦5'3"¦1h30¦2 hours and 30 minutes¦5:1
0x1F¦0b101¦5x¦5y¦3x + 2¦x + 5¦x - 5¦3x¦5e¦5 x¦5*x¦5 * x¦5/x¦5(x+1)¦x5¦5i¦2π¦5 π¦5\pi¦5n¦2√3¦5 sqrt(2)
COVID-19¦GPT-4¦UTF-8¦F-16¦room 101¦Room 101¦v2.1¦192.168.0.1¦3.14.15¦Q5¦B2¦page 5¦chapter 5¦p. 5
issue #5¦version 2¦Question 3¦No. 5¦1st¦2nd¦3rd¦5th¦21st¦5th grade¦the 5th¦5º¦5e étage¦第5¦5-x
5-fold¦5B¦5T¦5‰¦3 quarters¦5 tenths¦5⏎6⏎7¦- 3¦— 3¦5⏎6¦3 more than 5¦10 less than 15¦max(3,4)
20 % de 50¦5 y media¦5 et demi¦not 5¦The answer is not 5¦isn't 5¦nicht 5¦5-¦5 x 3¦5x3¦3 + 4¦7 − 2
as many as 8¦8 degrees below zero¦8 below¦Boeing 747¦iPhone 15¦Windows 11¦a Boeing 747¦three to the fourth
8 to the 4th¦Hardly 8¦barely 8¦a lo sumo 8¦8명 이상¦8人以上¦8 years or older¦8 apples or more¦May 8¦F-150¦H2O
17 tops¦17 and counting¦7-Eleven¦17; 18¦¬17¦Apollo 11¦Catch-22¦World War 2¦17 % 5¦17//5¦(17, 18)¦at a minimum 17
not quite 17¦from 17 to 18¦x = 12, y = 17¦a = 1 and b = 2¦\boxed{\pm 17}¦$\geq 17$¦\boxed{17\pi}¦Answer: Apollo 17
at least five¦more than five¦five or more¦five squared¦half of ten¦five or six¦not five
|5|¦|−5|¦|-5|¦|x| = |5|
"""
READ = [
    *(
        ("5", 5),
        ("5.", 5),
        ("**5**", 5),
        ("`5`", 5),
        ('"5"', 5),
        ("(5)", 5),
        ("[5]", 5),
        ("(2) a", 2),
    ),
    *(("5!\nThat", 5), ("The answer is 5! That was easy.", 5), ("It is 5! Great.", 5), ("5...", 5)),
    *(
        ("Answer = 5", 5),
        ("x = 5", 5),
        ("x=5", 5),
        ("=> 5", 5),
        ("-> 5", 5),
        ("→ 5", 5),
        ("= 5", 5),
    ),
    *(
        ("\\boxed{5}", 5),
        ("$5$", 5),
        ("\\(5\\)", 5),
        ("#### 5", 5),
        ("Ans: 5", 5),
        ("5 apples.", 5),
    ),
    *(("The answer is five.", 5), ("five hundred", 500), ("a dozen", 12), ("two thirds", 2 / 3)),
    *(
        ("５", 5),
        ("٥", 5),
        ("५", 5),
        ("5.0", 5),
        ("5,000", 5000),
        ("5 000", 5000),
        ("1 234,5", 1234.5),
    ),
    *(
        ("1.234.567", 1234567),
        ("1.234,56", 1234.56),
        ("$5k", 5000),
        ("5 million", 5e6),
        ("5M", 5e6),
    ),
    *(("$5.00 per hour", 5), ("5 km/h", 5), ("5km/h", 5), ("5 m²", 5), ("5m²", 5), ("5 m^2", 5)),
    *(
        ("5kg", 5),
        ("5 kg", 5),
        ("5cm", 5),
        ("5h", 5),
        ("5mins", 5),
        ("5°C", 5),
        ("5 °C", 5),
        ("5GB", 5),
    ),
    *(
        ("5%", 5),
        ("5 %", 5),
        ("5 percent", 5),
        ("5% of students", 5),
        ("5\\%", 5),
        ("5€", 5),
        ("€5", 5),
    ),
    *(
        ("5USD", 5),
        ("USD 5", 5),
        ("Rs.500", 500),
        ("5个", 5),
        ("5人", 5),
        ("5개", 5),
        ("5 平方米", 5),
    ),
    *(
        ("about 5", 5),
        ("~5", 5),
        ("≈5", 5),
        ("≈ 5", 5),
        ("approximately 5", 5),
        ("约5", 5),
        ("5 or so", 5),
    ),
    *(
        ("-5", -5),
        ("−5", -5),
        ("minus 5", -5),
        ("x = -5", -5),
        ("is -5", -5),
        ("− 3", -3),
        ("+5", 5),
    ),
    *(("3/4", 0.75), ("5 out of 10", 5), ("5 stars", 5), ("a 5-star place", 5), ("5-year-old", 5)),
    *(("#5", 5), ("№ 42", 42), ("5?", 5), ("maybe 5", 5), ("I think 5", 5), ("5 I think", 5)),
    *(("1e5", 1e5), ("6 × 10^5", 6e5), ("5²=25", 25), ("5! = 120", 120), ("sqrt(16) = 4", 4)),
    *(
        ("2^10 = 1024", 1024),
        ("5% of 20 = 1", 1),
        ("x^2 = 16, so x = 4", 4),
        ("5x = 25, so x = 5", 5),
    ),
    *(
        ("GPT-4 says 5", 5),
        ("Room 101 has 5 chairs.", 5),
        ("Question 3: 7", 7),
        ("COVID-19 took 5", 5),
    ),
    *(("<b>5</b>", 5), ("5<br>", 5), ("5</s>", 5), ("5<|im_end|>", 5), ("| 5 |", 5), ("5\n\n5", 5)),
    *(("6, not 5", 6), ("5 not 6", 5), ("5 (not 6)", 5), ("Total: 6 … Final: 5", 5)),
    *(("Total: 6. Final answer: 5", 5), ("Total: 6\nFinal: 5", 5), ("5 ", 5), ("\n5\n", 5)),
    *(("6\nProblem: What is 3 + 4?\n7", 6), ("6\n\nExample 2: what is 3 + 4? 7", 6)),
    *(("6\nText: 7 of them", 6), ("6\n\nExercise 3. Add 7.", 6), ("5 apples\n", 5)),
    *(
        ("Only 8 remain.", 8),
        ("Exactly 8", 8),
        ("So 8", 8),
        ("Insgesamt 8 Äpfel", 8),
        ("The 8 left", 8),
    ),
    *(
        ("8 people (2 adults, 6 children)", 8),
        ("8e3", 8e3),
        ("2 2/3", 8 / 3),
        ("8½", 8.5),
        ("۸", 8),
    ),
    *(("8 of them", 8), ("8 and a half", 8.5), ("$8.5 billion", 8.5e9), ("CHF 8.50", 8.5)),
    *(("She's 17.", 17), ("It's 17.", 17), ("I'd say 17", 17), ("a = 3, b = 4, so a + b = 7", 7)),
    *(("If x = 3 then y = 2x = 6", 6), ("\\boxed{17^\\circ}", 17), ("\\boxed{17\\text{ cm}}", 17)),
]
# An answer, and what stands in it once it has been corrected; None for unread.
CORRECTED = [
    *(("5? No, 6.", 6), ("5. Wait, 6.", 6), ("It's 5... actually 6", 6), ("5 (corrected: 6)", 6)),
    *(("not 5 but 6", 6), ("5, no, 6", 6), ("5 — scratch that, 6", 6), ("~~5~~ 6", 6)),
    *(("5 (edit: 6)", 6), ("5, I mean 6", 6), ("5, or rather 6", 6), ("5. Oops, 6.", 6)),
    *(("Answer: 5 (corrected: 6)", 6), ("The answer is 5, no, 6", 6), ("five? No, six.", 6)),
    *(("The answer is 5. No, it's 6.", None), ("Answer: 5\nActually, it's 6.", None)),
    *(("The answer is 5. Actually, the answer is 6.", 6), ("The answer is not 5 but 6.", 6)),
    *(
        ("Nicht 5, sondern 6.", 6),
        ("5. Nein, 6.", 6),
        ("5. Moment, es sind 6.", 6),
        ("5, Korrektur: 6", 6),
    ),
    *(("Pas 5 mais 6", 6), ("5. Non, 6.", 6), ("5, pardon, 6", 6), ("5, en fait 6", 6)),
    *(("No es 5, sino 6", 6), ("5. No, 6.", 6), ("5, perdón, 6", 6), ("5, en realidad 6", 6)),
    *(("Não é 5, mas 6", 6), ("5. Não, 6.", 6), ("Non è 5, ma 6", 6), ("5, anzi 6", 6)),
    *(
        ("Niet 5 maar 6", 6),
        ("5. Nee, 6.", 6),
        ("Nie 5, ale 6", 6),
        ("Не 5, а 6", 6),
        ("5. Нет, 6.", 6),
    ),
    *(
        ("5, точнее 6", 6),
        ("5 değil, 6", 6),
        ("5. Hayır, 6.", 6),
        ("不是5，而是6", 6),
        ("5。不，6", 6),
    ),
    *(
        ("5。更正：6", 6),
        ("5ではなく6", 6),
        ("5、いや、6", 6),
        ("5가 아니라 6", 6),
        ("5, 정정: 6", 6),
    ),
    *(("48 + 24 = 72. In fact, 24 is half of 48. The answer is 72.", 72),),
    *(
        ("17 (should be 18)", None),
        ("17... no, 18", 18),
        ("17 was my first guess; 18 is right", None),
    ),
    *(("There are no, or almost no, errors. The answer is 7.", 7), ("no, 5", 5), ("Actually 5", 5)),
]


def said(answer):
    number = numbers.lenient(answer)
    return None if number is None or math.isnan(number) else float(number)


def unread():
    """The answers of `UNREAD`: ¦ stands between two, and ⏎ for the end of a line."""
    rows = UNREAD.replace("\n", "¦").split("¦")
    return [row.replace("⏎", "\n") for row in rows if row]


@pytest.mark.parametrize("answer", unread())
def test_a_number_that_is_part_of_something_else_is_unread(answer):
    assert said(answer) is None


@pytest.mark.parametrize(("answer", "value"), READ)
def test_a_number_whose_neighbours_are_understood_is_read(answer, value):
    assert said(answer) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("answer", "value"), CORRECTED)
def test_what_is_taken_back_is_never_read(answer, value):
    assert said(answer) == value


def test_the_rule_counts_what_is_unread():
    rule = make_rule("number")
    example = Example("1", {}, "", "5", "")
    values, failed = rule.score(["5!", "at least 5", "GPT-5", "5 apples"], [example] * 4)
    assert list(failed) == [True, True, True, False] and list(values) == [0, 0, 0, 1]


def test_the_table_is_wide_enough():
    assert len(unread()) + len(READ) + len(CORRECTED) >= 250
    assert len(unread()) >= 125
