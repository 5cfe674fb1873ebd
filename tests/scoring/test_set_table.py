"""Which labels an answer gives: the table sets.jsonl, of which a third are traps. A `says` of null
is an answer that leaves some label open and must stay unread; "[]" is the empty set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opro_local.scoring.choosing import make_rule
from opro_local.types import Example

TABLE = Path(__file__).parent / "sets.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
NAMES = ("anger", "joy", "fear", "sadness", "not_safe")
RULE = make_rule("labels_set", labels=NAMES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["answer"][:40])
def test_the_set_of_an_answer(row):
    assert RULE.extract(row["answer"]) == row["says"]


def test_the_table_is_wide_enough():
    unread = [row for row in ROWS if row["says"] is None]
    assert len(ROWS) >= 250 and len(unread) >= 65


@pytest.mark.parametrize(
    ("answer", "measure", "value"),
    [
        ("joy - yes\nfear - no", None, 1),
        ("- [x] joy\n- [ ] fear", None, 1),
        ('{"joy": 1, "fear": 0}', None, 1),
        ("fear - yes\njoy - no", None, 0),
        ("joy, fear", "jaccard", 0.5),
        ("joy, love", "jaccard", None),
        ("joy or fear", "jaccard", None),
        ("neither joy nor fear", "f1", 0),
    ],
)
def test_what_a_marked_set_earns(answer, measure, value):
    rule = make_rule("labels_set", labels=NAMES, pattern=measure)
    values, failed = rule.score([answer], [Example("1", {}, "x", "joy", "f.csv:2")])
    assert (None if failed[0] else values[0]) == value


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("Label 1: joy\nLabel 2: fear", None),
        ("joy (no fear)", "joy"),
        ("Applicable: joy\nNot applicable: fear", "joy"),
        ("joy: yes (explicit)\nfear: no (nothing said)", "joy"),
        ("not only joy but also fear", "fear; joy"),
        ('["joy"]\n["fear"]', None),
        ('First guess: ["joy"]. Final: ["fear"]', "fear"),
        ('{"primary": "joy", "secondary": "fear"}', None),
        ('{"labels": [{"name": "joy", "score": 0.9}]}', None),
        ('{"labels": ["joy", "fear"', None),
        ("!joy, fear", None),
        ("joy rather than fear", "joy"),
        ("The emotions are joy, love and fear.", None),
    ],
)
def test_the_set_of_other_answers(answer, says):
    assert RULE.extract(answer) == says


def test_short_words_are_labels_where_they_are_items():
    rule = make_rule("labels_set", labels=("IT", "HR", "other"))
    assert rule.extract("IT, HR") == "hr; it"
    assert rule.extract("it: yes\nhr: no") == "it"
    assert rule.extract("It is HR.") == "hr"
    assert rule.extract("other") == "other"
    assert rule.extract("[]") == "[]"


def test_labels_of_several_words_hold_what_divides_others():
    rule = make_rule("labels_set", labels=("health and fitness", "food", "not food"))
    assert rule.extract("health and fitness, food") == "food; health and fitness"
    assert rule.extract("not food") == "not food"
    assert rule.extract("health & fitness: yes\nfood: no") == "health and fitness"


def test_long_answers_are_read_in_linear_time():
    for text in ("joy, " * 50_000, "[" * 100_000, "joy\n" * 50_000, "~~" * 100_000):
        RULE.extract(text)
