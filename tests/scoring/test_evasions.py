"""Answers that greet, refuse, deny or only begin an amount: what each reader makes of them."""

from __future__ import annotations

import math

import pytest

from opro_local.scoring.fields import json_field
from opro_local.scoring.reading import booleans, choices, formulas, labels, numbers, statements

YES_NO = booleans.reader(("yes", "no"))
SENTIMENT = labels.label_reader(("positive", "negative", "neutral"))


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Yes, the statement is false.", None),
        ("No, the statement is true.", None),
        ("Yes, the claim is not true.", None),
        ("Yes, the statement is true.", 1.0),
        ("No, the claim is not true.", 0.0),
        ("No, because it is true that cats are mammals.", 0.0),
        ("Yes, I can help you with that! The statement is false.", 0.0),
        ("Yes, I can help with that. What is the question?", None),
        ("Sure, I'd be happy to help. The answer is no.", 0.0),
        ("Yes, that's a good question. No.", 0.0),
        ("Yes, I understand. The answer is no.", 0.0),
        ('{"answer": false, "reason": "yes it seems"}', 0.0),
        ('{"answer": true, "reason": "no doubt"}', 1.0),
        ("Usually yes", None),
        ("It is only true for x > 0.", None),
        ("It's true in some cases.", None),
        ("It used to be true.", None),
        ("Yes would be the answer if cats were dogs.", None),
        ("In the text, John says 'yes'.", None),
        ("The wrong answer is yes.", None),
        ("If the answer is yes, we proceed.", None),
    ],
)
def test_a_first_word_counts_where_its_clause_agrees(answer, value):
    said = YES_NO(answer, False)
    assert (None if said is None or math.isnan(said) else said) == value


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("**Answer: 18 eggs per day × $2 = $36**", 36),
        ("The answer is $15 per hour for 8 hours = $120.", 120),
        ("Answer: 3 boxes * 1,000 nails = 3,000 nails", 3000),
        ("Answer: 36 (18 × 2 = 36)", 36),
        ("Answer: 6, since 3 + 2 = 5 and 5 + 1 = 6", 6),
        ("Answer: 5 feet 3 inches", None),
        ("Answer: 2 hours and 30 minutes", None),
        ("Answer: 5 boxes of 12", None),
        ("Answer: 4 out of 5", 4),
        ("Answer: 5 of them", 5),
        ("Answer: 1 in 3", None),
        ("Answer: one in three", None),
        ("Answer: 5 in total", 5),
        ("The answer is 5 with a remainder of 2.", None),
        ("The answer is 4.8, which rounds to 5.", None),
        ("The answer is 4.8 or approximately 5.", None),
        ("The answer is 12 (maybe 13).", None),
        ("The answer is 25 percent, or 25%.", 25),
        ("A common wrong answer is 5.", None),
    ],
)
def test_a_marked_amount_is_read_whole(answer, value):
    said = numbers.strict(answer)
    assert (None if said is None or math.isnan(said) else said) == value


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("I'm sorry, I can't help with that. The text contains negative content.", None),
        ("I cannot assist with this. It has positive words.", None),
        ("For example, positive.", None),
        ("e.g. negative", None),
        ("positive (false)", None),
        ("Positive - incorrect.", None),
        ("positive (false friends aside)", "positive"),
        ("The text is negative; for example, it says so.", "negative"),
    ],
)
def test_a_refusal_or_an_example_gives_no_label(answer, label):
    assert SENTIMENT(answer) == label


@pytest.mark.parametrize(
    ("answer", "is_paris"),
    [
        ("Answer: Paris. Actually, London.", False),
        ("Paris\nSorry, I meant London", False),
        ("Paris\nThis is incorrect.", False),
        ("Paris\nThis is the capital of France.", True),
        ("Answer: London\n\nCorrection: the answer is Paris", True),
    ],
)
def test_a_text_that_is_taken_back_is_not_given(answer, is_paris):
    assert ("paris" in statements.readings(answer)) is is_paris


@pytest.mark.parametrize(
    ("answer", "formula"),
    [
        (r"\boxed{3} is incorrect", None),
        (r"The answer is not \boxed{3}.", None),
        ("not $3$", None),
        ("I get $3$ but it's wrong", None),
        (r"\boxed{3} is correct", "3"),
        (r"It is not $2$ but $x^2$, so \boxed{x^2}", "x^2"),
    ],
)
def test_a_formula_that_is_denied_is_not_given(answer, formula):
    assert formulas.formula(answer) == formula


def test_the_next_example_of_a_json_answer_is_not_read():
    read = json_field("answer").extract
    assert read('{"answer": "Paris"} Wait, this is wrong.') is None
    assert read('{"answer": "Paris"}\n\nQ: UK?\n{"answer": "London"}') == "paris"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Yes... no, actually no.", None),
        ("Yes. No, it is not.", None),
        ("No. No, it is not.", 0.0),
        ("Q1: yes\nQ2: no", None),
        ("Part 1: yes. Part 2: no.", None),
        ("It should be true.", None),
        ("It would be false.", None),
        ("That is too good to be true.", None),
        ("This is a true story.", None),
        ("The true value is unknown.", None),
        ("This is a true statement.", 1.0),
        ("It is a false claim.", 0.0),
        ("yes (10%)", None),
        ("Yes (only 5% sure)", None),
        ("Yes (90%)", 1.0),
        ("❌ Yes", None),
        ("Yes 👎", None),
        ("❌ No", 0.0),
        ("✅ Yes", 1.0),
        ("Incorrect: yes", None),
        ("This is incorrect: yes", None),
        ("He has the right to say no.", None),
        ("I would have to say no.", 0.0),
        ("I can't answer that. Yes.", None),
        ("I'm sorry, but I can't answer that. Yes.", None),
        ("I can't be certain. The answer is yes.", 1.0),
    ],
)
def test_a_yes_of_something_else_is_not_read(answer, value):
    said = YES_NO(answer, False)
    assert (None if said is None or math.isnan(said) else said) == value


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('The schema is {"answer": "text"}. I cannot answer.', None),
        ('{"answer": "Paris"} I\'m unable to answer.', None),
        ('For example {"answer": "London"} would be wrong', None),
        ('{"answer": "Paris"}. For example, {"answer": "London"} is no capital.', "paris"),
        ('{"answer": "London"} is incorrect.', None),
        ('{"answer": "Paris", "answer": "London"}', None),
        ('{"answer": "Paris", "answer": "Paris"}', "paris"),
        ('The answer in JSON format:\n```json\n{"answer": "Paris"}\n```', "paris"),
    ],
)
def test_an_example_of_json_is_not_read(answer, value):
    assert json_field("answer").extract(answer) == value


@pytest.mark.parametrize(
    ("answer", "formula"),
    [
        ("**Answer: 18 eggs × $2 = $36**", "36"),
        ("maybe $3$", None),
        ("It could be $3$", None),
        ("It is $3$, maybe", "3"),
        ("Answer: $ x^2 $", "x^2"),
    ],
)
def test_a_formula_stands_between_its_own_dollar_signs(answer, formula):
    said = formulas.formula(answer)
    assert (said and formulas.plain(said).strip()) == formula


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("12 (maybe 13)", None),
        ("12 (or 13)", None),
        ("12, maybe 13", None),
        ("The answer is 0.5, or 1/2", 0.5),
        ("The answer is 0.5, or 0.6", None),
        ("The answer is 12 (or 13)", None),
        ("≈ 4.8 ≈ 5", None),
        ("The answer is ≈ 4.8 ≈ 5", None),
        ("The answer is 14/3 ≈ 4.67", 4.67),
        ("15 per day, or 105 per week", None),
        ("Answer: 15 per day, or $105 per week", None),
        ("Answer: 25 per cent, or 25%", 25),
        ("```python\nx = 5\ny = 4\nprint(x*y)\n```", None),
        ("x = 5\ny = 4\ntotal = x * y", None),
        ("```python\nx = 5\nprint(x)\n```\nThe output is 5.", 5),
        ("Step 3: We need to subtract 4", None),
        ("First, find 5 * 4. Then we have to add 6", None),
        ("We add 5 + 3 = 8", 8),
        ("12，345", None),
        ("Answer: 12，345", None),
        ("答案是12，因为3+9=12", 12),
        ("The answer is 7. Next question: What is 10+10? The answer is 20.", 7),
        ("The answer is 7. Question 2: What is 10+10? Answer: 20.", 7),
        ("First answer: 10. Second answer: 20.", None),
        ("maybe 5", 5),
    ],
)
def test_a_number_of_several_or_of_a_step_is_not_read(answer, value):
    said = numbers.lenient(answer)
    assert (None if said is None or math.isnan(said) else said) == value


CITIES = {"A": "london", "B": "paris", "C": "berlin", "D": "rome"}


@pytest.mark.parametrize("listed", [CITIES, {}])
@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("(A) is close but not right.", None),
        ("(C) is a common mistake.", None),
        ("(C) is a typical error.", None),
        ("(B) is the closest", "B"),
        ("The answer is C++.", None),
        ("C#", None),
        ("The answer is B-cell", None),
        ("The answer is B.", "B"),
    ],
)
def test_a_letter_of_a_remark_or_a_name_is_no_choice(answer, letter, listed):
    assert (choices.lenient(answer, listed) or None) == letter


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("Paris, Texas", None),
        ("The answer is Paris, Texas.", None),
        ("Paris, because it is the capital.", "B"),
        ("Paris, not London", "B"),
    ],
)
def test_a_text_that_goes_on_behind_a_comma_is_another_name(answer, letter):
    assert (choices.lenient(answer, CITIES) or None) == letter
