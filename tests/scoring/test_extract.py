"""What each reader reads: golden tables of answers as chat models write them, and numbers that read
back.
"""

from __future__ import annotations

import math
import string
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opro_local.scoring import fields
from opro_local.scoring.reading import booleans, choices, labels, turns
from opro_local.scoring.reading import numbers as number_reading
from opro_local.scoring.reading import options as option_reading

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "gsm8k"

TWO = "two numbers of equal standing"


def expect(found, value):
    if value == TWO:
        assert found is not None and math.isnan(found)
    else:
        assert found == (None if value is None else pytest.approx(value, rel=1e-12))


# What the strict reader reads, the lenient one reads as well.
MARKED = [
    ("42", 42),
    ("**18**", 18),
    ("$18$", 18),
    ('"-7"', -7),
    ("(-5)", -5),
    (".5", 0.5),
    ("-.5", -0.5),
    ("1/2", 0.5),
    ("-3/4", -0.75),
    ("50%", 50),
    ("50 percent", 50),
    ("-$5.50", -5.5),
    ("$-5", -5),
    ("−3", -3),
    ("٤٢", 42),
    ("１２", 12),
    ("٣٫٥", 3.5),
    ("1,234,567", 1234567),
    ("12,34,567", 1234567),
    ("1'234'567", 1234567),
    ("1_000_000", 1000000),
    ("1\u202f234", 1234),
    ("1 234", 1234),
    ("1 234 567", 1234567),
    ("12 345,50 €", 12345.5),
    ("129,90 EUR", 129.9),
    ("€129,90", 129.9),
    ("12,5 %", 12.5),
    ("1.2k", 1200),
    ("$3M", 3e6),
    ("$3m", 3e6),
    ("£2.5bn", 2.5e9),
    ("3 Mio", 3e6),
    ("—5", -5),
    ("− 5", -5),
    ("1.234,56", 1234.56),
    ("1.234.567", 1234567),
    ("CHF 1'500.50", 1500.5),
    ("€1.299,99", 1299.99),
    ("US$1,200.50", 1200.5),
    ("USD5", 5),
    ("5€", 5),
    ("Rs. 500", 500),
    ("(1,234.50)", -1234.5),
    ("($500)", -500),
    ("(5)", 5),
    ("1 1/2", 1.5),
    ("2½", 2.5),
    ("½", 0.5),
    ("2 and a half", 2.5),
    (r"$\frac{3}{4}$", 0.75),
    ("6.02 × 10^23", 6.02e23),
    ("1.5e-3", 0.0015),
    ("5 million", 5e6),
    ("Forty-two.", 42),
    ("three hundred and five", 305),
    ("one million two hundred thousand and six", 1200006),
    ("nineteen hundred", 1900),
    ("three point one four", 3.14),
    ("a dozen", 12),
    ("half a dozen", 6),
    ("two thirds", 2 / 3),
    ("minus five", -5),
    ("five and six", TWO),
    ("#### 42", 42),
    ("####-5", -5),
    ("#### $1,000.00", 1000),
    ("#### 42 apples", 42),
    ("#### five", 5),
    ("so 9\n#### 1,042\nwhich took 3 steps", 1042),
    (r"\boxed{\frac{3}{4}} of 7", 0.75),
    (r"\boxed{1\frac{1}{2}}", 1.5),
    (r"\boxed{-\frac{1}{2}}", -0.5),
    (r"\boxed{\dfrac12}", 0.5),
    (r"\boxed{1{,}000} (5 steps)", 1000),
    (r"\boxed{\$1{,}000}", 1000),
    (r"\boxed{50\%}", 50),
    (r"\boxed{90^\circ}", 90),
    (r"\boxed{6 \times 10^{5}}", 600000),
    (r"\boxed{\text{7 apples}} in 2 days", 7),
    (r"\boxed{x = 5}", 5),
    (r"\boxed{10^5}", TWO),
    (r"\boxed{2\sqrt{3}}", TWO),
    (r"\boxed{5} or \boxed{6}", TWO),
    (r"\boxed{5, 6}", TWO),
    ("The answer is -5.", -5),
    ("The answer is 12 because 3 x 4 works", 12),
    ("The answer is $12 because 3 x 4 = 12.", 12),
    ("The answer to the question is 42.", 42),
    ("the answer would be **$18**", 18),
    ("The final answer is: 7.", 7),
    ("**Final answer:** 42 apples", 42),
    ("**Final Answer**: \\(\\boxed{42}\\)", 42),
    ("**Answer: 3** (2 + 1)", 3),
    ("### Answer\n\n42", 42),
    ("Answer:\n42\nin 17 steps", 42),
    ("ANSWER: 9 then 4", 9),
    ("Answer：42", 42),
    ("答案是42个", 42),
    ("Antwort: 42, nach 3 Schritten", 42),
    ("La réponse est 42, pas 41.", 42),
    ('{"answer": 42}', 42),
    ("Answer: 5 + 3 = 8", 8),
    ("Answer: Total = 5*3 = 15 dollars", 15),
    (r"Answer: \( 5 \times 3 = 15 \)", 15),
    ("The answer is 5 apples + 3 apples = 8 apples.", 8),
    ("Answer: x = 5, in 3 steps", 5),
    ("The answer is approx. 5.5", 5.5),
    ("The answer is $2.5 million.", 2500000),
    ("The answer is 1 1/2 cups.", 1.5),
    ("The answer is forty-two.", 42),
    ("The answer is two and a half hours.", 2.5),
    ("the answer is one", 1),
    ("The answer is 10 (ten).", 10),
    ("The answer is ($500)", -500),
    ("Answer: $(1,234)", -1234),
    ("The answer is 60 miles per hour", 60),
    ("The answer is 7. This answer has 3 steps", 7),
    ("The answer is 7. This answer is in dollars.", 7),
    (r"\boxed{5} Wait, that is wrong. The answer is 6.", 6),
    ("The answer is 5. The answer is 6.", 6),
    ("The answer is 5 or 6", TWO),
    ("The answer is 5 and 6", TWO),
    ("The answer is five or six", TWO),
    ("The answer is 5, 6", TWO),
    ("The answer is 3-5 days", TWO),
    ("The answer is 3:45", TWO),
    ("The answer is 3 x 4", TWO),
    ("The answer is 10^5", TWO),
    ("The answer is not 5", TWO),
    ("The answer is 5 or 5.0", 5),
    ("1e999", None),
    ("5/0", None),
    ("9" * 500, None),
]
UNMARKED = [
    ("- 5", TWO),
    ("— 5", TWO),
    ("x=-4", -4),
    ("8 - 5", TWO),
    ("8 -5", TWO),
    ("5-3", TWO),
    ("pages 3–5", TWO),
    ("2024-01-05", TWO),
    ("12:30", TWO),
    ("3.14.15", TWO),
    ("3,5", TWO),
    ("between 5 and 6", TWO),
    ("x = 5 or x = 6", TWO),
    ("She has 5 apples and 3 oranges.", TWO),
    ("3 times 4", TWO),
    ("It comes to 10^5 in all", TWO),
    (r"so $\sqrt{16} = 4$ in all", 4),
    (r"so $\sqrt{17}$ in all", None),
    ("that makes 2√3 metres", TWO),
    ("I got 7 - 3 = 4 left", 4),
    ("The total is 5 × 3 = 15.", 15),
    ("1,234.5 dollars", 1234.5),
    ("costs €1,000.", 1000),
    ("costs Rs.500", 500),
    ("The total is five hundred dollars ($500).", 500),
    ("It is 1e5.", 100000),
    ("first 3 then 4", TWO),
    ("42 apples", 42),
    ("25 m2", 25),
    ("25 m^2", 25),
    ("3 x_1", 3),
    ("So Tom earns $10/hour", 10),
    ("Bob has 5 left!!!", 5),
    ("fifty percent of them", 50),
    ("There are a dozen eggs left.", 12),
    ("She packs 3 dozen", 3),
    ("It's one of the 5", 5),
    ("#### 1. Compute\nThe sum is 7.", 7),
    ("#### Step 1\nx is 9", 9),
    ("1. First we add 4.\n2. Then done.", TWO),
    ("1. First we get 4.\n2. Then done.", 4),
    (r"\boxed{none} 5", 5),
    ("the answer is unclear, perhaps\n6", 6),
    ("The answer is 5. Wait, it should be 7", 7),
    ("The answer is 5. Wait, that is wrong.", None),
    ("The one who won is Bob.", None),
    ("No one knows the forty-fifth.", None),
    ("CO2", None),
    ("", None),
    ("none", None),
    ("²", None),
    ("...", None),
]


@pytest.mark.parametrize(("answer", "value"), MARKED)
def test_marked_number(answer, value):
    expect(number_reading.lenient(answer), value)
    expect(number_reading.strict(answer), value)


@pytest.mark.parametrize(("answer", "value"), UNMARKED)
def test_last_number(answer, value):
    expect(number_reading.lenient(answer), value)
    assert number_reading.strict(answer) is None


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("3,5", 3.5),
        ("1.234,56", 1234.56),
        ("1.234", 1234),
        ("Die Antwort: 2,75 €.", 2.75),
        ("3, 5", TWO),
        ("1.5", TWO),
    ],
)
def test_decimal_commas(answer, value):
    expect(number_reading.lenient(answer, comma=True), value)


def test_is_number():
    numbers = ["42", "-3/4", "$1,000", "50%", "forty-two", "1 1/2", "a dozen", " 7 ", "1e3", "½"]
    others = [
        "",
        "42 apples",
        "5 or 6",
        "3,5",
        "A",
        "two steps",
        "1 2",
        "2024-01-05",
        "one and two",
        "\n",
        "9" * 500,
    ]
    assert [text for text in numbers if not number_reading.is_number(text)] == []
    assert [text for text in others if number_reading.is_number(text)] == []
    assert number_reading.is_number("3,5", comma=True)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no GSM8K in {SHARED}")
def test_every_worked_solution_reads_its_own_number():
    from opro_local.config.task import TaskSettings
    from opro_local.tasks import loading

    task = loading.load(TaskSettings(name="gsm8k", data_dir=str(SHARED), validation_rows=7212))
    rows = [row for split in task.splits.values() for row in split]
    assert len(rows) == 8792
    for row in rows:
        gold = float(row.target.replace(",", ""))
        solution = row.columns["solution"].rpartition("####")[0]
        for ending in (
            "#### {}",
            "The answer is {}.",
            "**Final answer:** ${}",
            r"\[\boxed{{{}}}\]",
        ):
            assert number_reading.strict(solution + ending.format(row.target)) == gold, row.id


WORDS = st.text(string.ascii_letters.replace("x", "").replace("X", "") + " .\n", max_size=60)
NEUTRAL = st.lists(
    st.sampled_from(
        ["So we see,", "which is fine.", "The boxes", "are\n", "red.\n", "Therefore", "**Note**"]
    ),
    max_size=8,
).map(" ".join)
INTEGERS = st.integers(0, 10**12)
AROUND = (
    "{}",
    "The answer is {}.",
    "**Answer:** {}",
    "#### {}",
    r"so \boxed{{{}}}",
    "We end with {}",
)
COMMAS = ("{:,}", "{}", "{:_}", "${:,}", "USD{}", "{:,} €", "{}.00", "-{}", "-${:,}", "{}%")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(INTEGERS, st.sampled_from(AROUND), st.sampled_from(COMMAS), NEUTRAL, NEUTRAL)
def test_a_number_in_any_notation_reads_back(n, around, notation, before, after):
    written = notation.format(n)
    value = -n if written.startswith("-") else n
    text = f"{before} {around.format(written)}"
    expect(number_reading.lenient(text), value)
    # Text without numbers after it changes nothing.
    expect(number_reading.lenient(f"{text}\n{after}"), value)


def spelled(n):
    ones, tens = number_reading.numerals.ONES, number_reading.numerals.TENS
    for scale, word in (
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if n >= scale:
            rest = n % scale
            joint = " and " if scale == 100 and rest else " "
            return f"{spelled(n // scale)} {word}" + (f"{joint}{spelled(rest)}" if rest else "")
    if n < 20:
        return ones[n]
    return tens[n // 10 - 2] + (f"-{ones[n % 10]}" if n % 10 else "")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**11),
    st.sampled_from(("{}", "The answer is {}.", "Answer: **{}**", "minus {}", "{} point five")),
)
def test_number_words_read_back(n, around):
    value = n + 0.5 if "point" in around else -n if "minus" in around else n
    for text in (
        spelled(n),
        spelled(n).replace("-", " "),
        spelled(n).replace(" and ", " ").capitalize(),
    ):
        expect(number_reading.strict(around.format(text)), value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 999), st.integers(1, 98), st.integers(2, 99), st.booleans())
def test_fractions_read_back(whole, top, bottom, minus):
    sign = "-" if minus else ""
    top = top % bottom or 1
    value = (whole + top / bottom) * (-1 if minus else 1)
    mixed = f"{sign}{whole} {top}/{bottom}"
    for text in (
        mixed,
        f"The answer is {mixed}.",
        rf"\boxed{{{sign}{whole}\frac{{{top}}}{{{bottom}}}}}",
    ):
        expect(number_reading.strict(text), value)
    expect(number_reading.strict(f"#### {sign}{top}/{bottom}"), (-1 if minus else 1) * top / bottom)


CITIES = "Which city?\nOptions:\n(A) Paris\n(B) Rome\n(C) New York\n(D) York"


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (CITIES, {"A": "paris", "B": "rome", "C": "new york", "D": "york"}),
        ("x A) foo B) bar C) baz\nthe rest", {"A": "foo", "B": "bar", "C": "baz"}),
        ("Q\nA. foo\nB. bar\n", {"A": "foo", "B": "bar"}),
        ("Q\nA)5(√3 + 1)\nB)None of these", {"A": "5(√3 + 1)", "B": "none of these"}),
        ("Is it (a) foo, (b) bar", {"A": "foo", "B": "bar"}),
        ("(A) 1\n(B) 2\nAnswer: (A)\n\n(A) x\n(B) y\n(C) z\n", {"A": "x", "B": "y", "C": "z"}),
        ("(A) alone", {}),
        ("(B) foo\n(C) bar", {}),
        ("A cat. B dog", {}),
        ("", {}),
    ],
)
def test_options(question, options):
    assert option_reading.options(question) == options


# The answer, what it says where the options are known, and where they are not; "?" is ambiguous,
# None says nothing.
CHOICES = [
    ("B", "B", "B"),
    ("(B)", "B", "B"),
    ("b", "B", "B"),
    ("B.", "B", "B"),
    ("**C**", "C", "C"),
    ("Rome", "B", None),
    ("**Rome.**", "B", None),
    ("B) Rome", "B", "B"),
    ("**B. Rome**", "B", "B"),
    ("(A) Rome", "?", "A"),
    ("The answer is B", "B", "B"),
    ("The answer is (c).", "C", "C"),
    ("The answer is option (C)", "C", "C"),
    ("The answer is probably (B).", "B", "B"),
    ("The correct answer is **(B) Rome**.", "B", "B"),
    ("The answer is (A) Rome", "?", "A"),
    ("The answer is Rome.", "B", None),
    ("The answer is York", "D", None),
    ("The answer is New York", "C", None),
    ("The answer is Paris (A)", "A", "A"),
    ("The answer is Paris (B)", "?", "B"),
    ("The answer is E", None, "E"),
    ("The answer is not (B)", "?", "?"),
    ("The answer is A dog", None, None),
    ("the answer is a dog", None, None),
    ("The answer is B because of x", "B", "B"),
    ("The answer is A because of x", "A", "A"),
    ("The answer is A or B", "?", "?"),
    ("The answer is (A) and (B)", "?", "?"),
    ("(A) looks right. The answer is option (A), (B)", "?", "?"),
    ("Answer: (B) because (A) is not in Italy", "B", "B"),
    ("Answer: Rome or Paris", "?", None),
    ("Answer:\n\n**(B) Rome**", "B", "B"),
    ("(A) is wrong. Answer: **B**.", "B", "B"),
    ("Q: which?\nA: (D)", "D", "D"),
    ("A: B", "B", "B"),
    (r"\boxed{D}", "D", "D"),
    (r"\boxed{\text{(C)}}", "C", "C"),
    (r"\boxed{\text{B. Rome}}", "B", "B"),
    ("#### B", "B", "B"),
    ("The correct option is B", "B", "B"),
    ("I would choose option (C) here.", "C", "C"),
    ("(B) because\n(B) is right", "B", "B"),
    ("Let me think.\nC) New York", "C", "C"),
    ("I think Rome is right", "B", None),
    ("I think New York is right", "C", None),
    ("It's Rome, not Paris", "B", None),
    ("(A) Paris is in France.\n(B) Rome is in Italy.\nSo the answer is (B).", "B", "B"),
    ("(A) Paris\n(B) Rome", "?", "?"),
    ("(A) or (B)", "?", "?"),
    ("A or B", "?", "?"),
    ("The answer is (A). Wait, I made a mistake. The answer is (B).", "B", "B"),
    ("(A). Wait, no.", None, None),
    ("item(s)", None, None),
    ("I think so", None, None),
    ("", None, None),
]


@pytest.mark.parametrize(("answer", "known", "unknown"), CHOICES)
def test_choice(answer, known, unknown):
    read = {"?": choices.AMBIGUOUS}
    listed = option_reading.options(CITIES)
    assert choices.lenient(answer, listed) == read.get(known, known)
    assert choices.lenient(answer, {}) == read.get(unknown, unknown)
    assert choices.strict(answer, listed) in (None, read.get(known, known))


def test_a_text_that_starts_like_a_letter():
    listed = {"A": "william james", "B": "wilhelm wundt", "C": "b. f. skinner"}
    assert choices.strict("The answer is B. F. Skinner.", listed) == "C"
    assert choices.strict("The answer is B. Wilhelm Wundt.", listed) == "B"


def test_strict_choices():
    listed = option_reading.options(CITIES)
    marked = [
        "B",
        "Rome",
        "B) Rome",
        "The answer is Rome.",
        r"\boxed{B}",
        "#### B",
        "Answer: B, of course",
    ]
    unmarked = [
        "The correct option is B",
        "I think Rome is right",
        "Let me think.\nB) Rome",
        "(B) because\n(B) is right",
    ]
    assert [choices.strict(answer, listed) for answer in marked] == ["B"] * len(marked)
    assert [choices.strict(answer, listed) for answer in unmarked] == [None] * len(unmarked)


@pytest.mark.parametrize(
    ("target", "letter"),
    [("B", "B"), ("(b)", "B"), ("Rome", "B"), ("(B) Rome", "B"), ("York", "D"), ("Oslo", None)],
)
def test_target_letter(target, letter):
    assert choices.target_letter(target, option_reading.options(CITIES)) == letter


# The answer and what it says to questions about yes/no and about true/false; "?" is ambiguous.
TRUTHS = [
    ("Yes", 1, 1),
    ("No.", 0, 0),
    ("**Yes**", 1, 1),
    ("YES!", 1, 1),
    ("y", 1, 1),
    ("True", 1, 1),
    ("false.", 0, 0),
    ("not true", 0, 0),
    ("Yes, because it is false that they met", 1, 1),
    ("No, there is no evidence", 0, 0),
    ("No — the premise is wrong.", 0, 0),
    ("Yes\n\nExplanation: the two are the same.", 1, 1),
    ("There is no evidence", None, None),
    ("no one knows", None, None),
    ("nothing", None, None),
    ("I don't know", None, None),
    ("I am not sure", None, None),
    ("So the answer is **No**", 0, 0),
    ("The answer is yes.", 1, 1),
    ("The answer is Yes, since no rule forbids it.", 1, 1),
    ("The answer is not true", 0, 0),
    ("Answer: True", 1, 1),
    ("Answer: False, because True and False is False", 0, 0),
    ("**Final answer:** No", 0, 0),
    (r"\boxed{\text{Yes}}", 1, 1),
    (r"\boxed{False}", 0, 0),
    ("#### yes", 1, 1),
    ("Answer: yes/no", "?", "?"),
    ("The answer is yes or no", "?", "?"),
    ("The answer is true and false", "?", "?"),
    ("yes or no", "?", "?"),
    ("It is true", 1, 1),
    ("It's false", 0, 0),
    ("It isn't correct", 0, 0),
    ("The statement is not quite true.", 0, 0),
    ("The statement is not necessarily true", "?", "?"),
    ("It is not the case that this is true", "?", "?"),
    ("The claim is incorrect.", 0, 0),
    ("The argument is invalid.", 0, 0),
    ("This is logically valid.", 1, 1),
    ("That is implausible", 0, 0),
    ("the right side", None, None),
    ("the correct order", None, None),
    ("The answer is Yes. Wait, no.", 0, 0),
    ("The answer is no. I made a mistake. The answer is yes.", 1, 1),
    ("untrue", 0, 0),
    ("knowledge, yesterday, nobody", None, None),
    ("", None, None),
]


@pytest.mark.parametrize(("answer", "yes_no", "true_false"), TRUTHS)
def test_boolean(answer, yes_no, true_false):
    for own, value in ((("yes", "no"), yes_no), (("true", "false"), true_false)):
        read = booleans.reader(own)
        found = read(answer, False)
        assert ("?" if found is not None and math.isnan(found) else found) == value
        strict = read(answer, True)
        assert strict is None or strict == found or math.isnan(found)


def test_strict_boolean():
    read = booleans.reader(())
    marked = ["Yes", "Yes, because it is.", "The answer is true", r"\boxed{Yes}", "not false"]
    unmarked = ["It is true", "I think it is correct", "That is valid."]
    assert [read(answer, True) for answer in marked] == [1] * len(marked)
    assert [read(answer, True) for answer in unmarked] == [None] * len(unmarked)
    assert [read(answer, False) for answer in unmarked] == [1] * len(unmarked)


@pytest.mark.parametrize(
    ("names", "answer", "label"),
    [
        (("positive", "negative"), "Positive.", "positive"),
        (("positive", "negative"), "**POSITIVE**", "positive"),
        (("positive", "negative"), "positive, positive!", "positive"),
        (("positive", "negative"), "positive, not negative", "positive"),
        (("positive", "negative"), "positively", None),
        (("positive", "negative"), "non-positive", None),
        (("positive", "negative"), "positive-ish", None),
        (("positive", "negative"), "- positive", "positive"),
        (("positive", "negative"), "-positive", "positive"),
        (("positive", "negative"), "seropositive", None),
        (("positive", "negative"), "not positive", None),
        (("positive", "not positive"), "It is NOT  positive", "not positive"),
        (("positive", "not positive"), "It is positive", "positive"),
        (("positive", "not positive"), "positive or not positive", None),
        (("C", "C++"), "I say C++", "c++"),
        (("C", "C++"), "I say C.", "c"),
        (("spam", "not_spam"), "not_spam", "not_spam"),
        (("Straße", "Weg"), "STRASSE", "strasse"),
        (("positive", "negative"), "**Label:** Negative", "negative"),
        (("positive", "negative"), "A positive start, but the answer is negative.", "negative"),
        (("positive", "negative"), "positive words... Answer: **negative**", "negative"),
        (("positive", "negative"), "Answer: positive or negative", None),
        (("positive", "negative"), "`negative`", "negative"),
        (("positive", "negative"), '{"label": "positive"}', "positive"),
        (
            ("positive", "negative"),
            "Sentiment: Positive\n\nExplanation: the critic liked it.",
            "positive",
        ),
        (("positive", "negative"), "negativ", None),
        (("yes", "no"), "", None),
        (("yes", "no"), "none", None),
    ],
)
def test_labels(names, answer, label):
    assert labels.label_reader(names)(answer) == label


OBJECTS = [
    ('{"answer": 5}', "answer", "5"),
    ('{"answer": "New  York"}', "answer", "new york"),
    ('{"answer": true}', "answer", "true"),
    ('{"answer": 1e400}', "answer", "1e400"),
    ('{"answer": NaN}', "answer", "nan"),
    ('{"result": {"label": "spam"}}', "result.label", "spam"),
    ('{"items": [{"label": "a"}, {"label": "b"}]}', "items.1.label", "b"),
    ('Sure! ```json\n{"answer": "x"}\n```\nHope this helps.', "answer", "x"),
    ('The set {1, 2} gives {"answer": 3}.', "answer", "3"),
    ('{foo} {"answer": 3}', "answer", "3"),
    ('{"answer": 3} {"answer": 4}', "answer", "4"),
    ('Example: {"answer": 3}\nAnswer: {"answer": 4}', "answer", "4"),
    ('{"answer": 3}\n```json\n{"answer": 4}\n```\nwhere {n} is the count', "answer", "4"),
    ('{"answer": 3} {"note": 4}', "answer", "3"),
    ('[{"answer": 3}]', "answer", "3"),
    ('[{"answer": 3}, {"answer": 4}]', "answer", None),
    ('[{"answer": 3}, {"answer": 4}]', "1.answer", "4"),
    ('Example: {"answer": 3}\nAnswer: {"answer": 4', "answer", None),
    ("Example: {\"answer\": 3}\nAnswer: {'answer': 4}", "answer", None),
    ('{"answer": "{\\"answer\\": 7}"}', "answer", '{"answer": 7}'),
    ('{"answer" 1} {"answer": 2}', "answer", "2"),
    ('{"steps": {"answer": 3}, "answer": ', "answer", None),
    ('{"answer": "cut off', "answer", None),
    ('{"answer": null}', "answer", "null"),
    ('{"answer": ["b", "a"]}', "answer", '["b", "a"]'),
    ('{"answer": ""}', "answer", None),
    ('{"Answer": 1}', "answer", None),
    ("{'answer': 1}", "answer", None),
    ("{}", "answer", None),
    ('["answer"]', "answer", None),
    ('{"items": [1]}', "items.1", None),
    ("answer: 5", "answer", None),
    ("", "answer", None),
    ('{"a":' * 3000, "a", None),
]


@pytest.mark.parametrize(("answer", "path", "value"), OBJECTS)
def test_json(answer, path, value):
    assert fields.field_reader(path.split("."))(answer) == value


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3),
    st.text(max_size=9),
    WORDS,
)
def test_a_written_field_reads_back(others, value, prose):
    import json

    # A chat's own mark ends the answer, wherever it stands: see `turns.CHAT_MARKS`.
    assume(not any(mark in text for mark in turns.CHAT_MARKS for text in (*others.values(), value)))
    written = json.dumps({**others, "answer": value})
    read = fields.field_reader(["answer"])
    for text in (written, f"```json\n{written}\n```", f"Here it is: {written} Anything else?"):
        assert read(text) == labels.whole(value)
    # Words may deny an object ("not") or make an example of it.
    assert read(f"{prose} {written} {prose}") in (labels.whole(value), None)
