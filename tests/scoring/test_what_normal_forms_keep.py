"""What the comparisons of texts and numbers may not drop: names, initials, points, float32."""

import json

import numpy as np
import pytest

from opro_local.scoring.choosing import make_rule
from opro_local.types import Example


def earned(rule, target, answer, pattern=None):
    """What an answer earns; None for a failed extraction."""
    example = Example("1", {}, "", target, "")
    values, failed = make_rule(rule, pattern=pattern, examples=[example]).score([answer], [example])
    return None if failed[0] else float(values[0])


@pytest.mark.parametrize(
    ("target", "answer", "value"),
    [
        ("score", "use under_score here", 0),
        ("under", "use under_score here", 0),
        ("under_score", "use under_score here", 1),
        ("score", "the _score_ counts", 1),
        ("score", "the __score__ counts", 1),
        (".5", "it is .5", 1),
        (".5", "it is 1.5", 0),
        (".5", "it is 0.5", 0),
        ("5", "it is .5", 0),
        ("5", ".5", 0),
        ("5", "$.5", 0),
        ("5", "it is 5.", 1),
        ("5", "No.5", 1),
        ("-5", "3-5", 0),
        ("-5", "it is -5", 1),
        ("don't", "I don't know", 1),
        ("don’t", "I don't know", 1),
        ("don", "I don't know", 0),
        ("t", "I don't know", 0),
        ("can", "I can't say", 0),
        ("s", "it's here", 0),
        ("eau", "l'eau est froide", 1),
        ("Anna", "Anna's book", 1),
        ("C++", "I use C++.", 1),
        ("U.S.", "the U.S. economy", 1),
    ],
)
def test_contains_keeps_words_whole(target, answer, value):
    assert earned("contains", target, answer) == value


@pytest.mark.parametrize(
    ("target", "answer", "value"),
    [
        ("J. R. Smith", "The answer is J. R. Smith", 1),
        ("J. R. Smith", "Answer: J. R. Smith. He was born in 1900.", 1),
        ("J", "Answer: J. R. Smith", 0),
        ("Dr", "The answer is Dr. Who", 0),
        ("Dr. Who", "The answer is Dr. Who.", 1),
        ("Dr. Who", "Answer: Dr. Who. It runs since 1963.", 1),
        ("Mt", "The answer is Mt. Fuji", 0),
        ("Mt. Fuji", "Answer: Mt. Fuji", 1),
        ("C", "Answer: C. The others are wrong.", 1),
        ("Paris", "Answer: Paris. It is the capital.", 1),
        ("__init__", "__init__", 1),
        ("__init__", "`__init__`", 1),
        ("__init__", "Answer: __init__", 1),
        ("__init__", "**__init__**", 1),
        ("__init__", "init", 0),
        ("Paris", "__Paris__", 1),
        ("paris", "__paris__", 1),
        (".5", "5", 0),
        ("-5", "5", 0),
        ("*args", "args", 0),
    ],
)
def test_exact_keeps_what_is_no_mark(target, answer, value):
    assert earned("exact", target, answer) == value


@pytest.mark.parametrize(
    "decimal", ["0.1", "3.3", "-2.7", "1234.56", "1e-7", "0.333333", "99999.9"]
)
def test_a_target_that_came_as_float32_is_its_decimal(decimal):
    # As a float32 column of Parquet or NumPy is read: 0.10000000149011612.
    target = str(float(np.float32(decimal)))
    assert earned("number", target, decimal) == 1
    assert earned("json", target, json.dumps({"x": float(decimal)}), "x") == 1
    assert earned("number", target, str(float(decimal) * 1.00001)) == 0


@pytest.mark.parametrize(
    ("target", "said", "value"),
    [
        ("5", 5, 1),
        ("5", "5", 1),
        ("5", "5.0", 1),
        ("5000000", "5M", 1),
        *((target, said, 0) for target, said in (("5", "5M"), ("5", "5!"), ("5", ">5"))),
        *((target, said, 0) for target, said in (("5", "5T"), ("5", "5²"), ("5", "at least 5"))),
        *((target, said, 0) for target, said in (("5", "5th"), ("19", "COVID-19"), ("5", "5x"))),
    ],
)
def test_a_field_of_json_is_a_number_only_where_it_is_nothing_else(target, said, value):
    assert earned("json", target, json.dumps({"x": said}), "x") == value


MATHEMATICS = [
    *(
        ("5", "5+", None),
        ("5", "> 5", None),
        ("5", "5pm", None),
        ("5", "5²", None),
        ("5", "5‰", None),
    ),
    *(("16", "√ 16", None), ("5", "5th", None), ("5", "at least 5", None), ("5", "No. 5", None)),
    *(("0", "0x1F", None), ("19", "COVID-19", None), ("5", "5? No, 6.", 0), ("6", "5? No, 6.", 1)),
    *(("6", "not 5 but 6", 1), ("5", "$x = 5$", 1), ("1024", "$2^{10}$", 1), ("5", "5 apples.", 1)),
    *(("120", "$5!$", 1), ("4", "\\boxed{\\sqrt{16}}", 1), ("0.5", "$\\frac{1}{2}$", 1)),
]


def test_math_takes_no_number_out_of_what_it_does_not_understand():
    pytest.importorskip("math_verify")
    # One rule for all, because each starts a process of its own.
    examples = [Example(str(i), {}, "", row[0], "") for i, row in enumerate(MATHEMATICS)]
    rule = make_rule("math", examples=examples)
    values, failed = rule.score([answer for _, answer, _ in MATHEMATICS], examples)
    earned = [None if bad else value for value, bad in zip(values, failed, strict=True)]
    assert earned == [value for _, _, value in MATHEMATICS]
