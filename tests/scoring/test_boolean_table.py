"""What an answer says to a yes/no question: the table booleans.jsonl, of which a third are traps. A
`says` of null is an answer that says neither, both, or leaves it open, and must stay unread."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path

import pytest

from opro_local.scoring.choosing import make_rule
from opro_local.scoring.reading import booleans
from opro_local.types import Example

TABLE = Path(__file__).parent / "booleans.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
reader = lru_cache(booleans.reader)


def read(answer, own=("yes", "no"), strict=False):
    said = reader(tuple(own))(answer, strict)
    return None if said is None or math.isnan(said) else said


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["answer"][:40])
def test_the_truth_of_an_answer(row):
    own = row.get("own", ("yes", "no"))
    assert read(row["answer"], own) == row["says"]
    assert read(row["answer"], own, strict=True) in (None, row["says"])


def test_the_table_is_wide_enough():
    unread = [row for row in ROWS if row["says"] is None]
    assert len(ROWS) >= 440 and len(unread) >= 145


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Yes, if the sky is blue.", None),
        ("The answer would be yes if it were true.", None),
        ("Many say yes, but the answer is no.", 0),
        ("It is true that Venus is hot, but no.", None),
        ("Is Venus red? Yes or no? No.", 0),
        ("There is no evidence, so no.", 0),
        ("Answer: Yes → No", 0),
        ("Answer: Yes. Actually no.", 0),
        ("The premise is false, but the answer is yes.", 1),
        ("He said no.", None),
        ("It would be true only if Venus were red.", None),
        ("The text says no.", None),
        ("It is not the case that Venus is red.", None),
        ('{"yes": 0.9, "no": 0.1}', None),
        ('{"is_true": false}', 0),
    ],
)
def test_the_truth_among_other_words(answer, value):
    assert read(answer) == value
    assert read(answer, strict=True) in (None, value)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (("yes", "no"), "no"),
        (("Valid", "invalid"), "invalid"),
        (("true", "false"), "false"),
        (("yes", "false"), "false"),
    ],
)
def test_what_is_read_is_called_as_the_rows_call_it(targets, said):
    rows = [Example(str(n), {}, "x", target, "f.csv:2") for n, target in enumerate(targets)]
    assert make_rule("boolean", examples=rows).extract("Nope.") == said


def test_long_answers_are_read_in_linear_time():
    for text in ("yes no ", "not true, ", "Yes → No. ", "if yes ", "[x] yes "):
        reader(("yes", "no"))(text * 20_000, False)
