"""Answers that name a label and do not say it, and fair ones beside them, in 28 languages.

traps.jsonl holds {"language", "labels", "answer", "label"}: a label of null is a trap, which has to
stay unread; every other answer has to be read.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opro_local.scoring.reading import turns
from opro_local.scoring.reading.labels import label_reader

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "traps.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['language']}:{row['answer'][:40]}")
def test_a_label_is_read_only_where_the_words_around_it_are_understood(row):
    assert label_reader(row["labels"])(row["answer"]) == row["label"]


def test_the_table_is_wide_enough():
    traps = [row for row in ROWS if row["label"] is None]
    assert len(ROWS) >= 250 and 2 * len(traps) >= len(ROWS)
    assert len({row["language"] for row in ROWS}) >= 15


@pytest.mark.parametrize(
    ("answer", "first"),
    [
        ("42\n\nTicket #2: 5 + 5\nAnswer: 10", "42"),
        ("42\n\nExample 3\n5 + 5 = 10", "42"),
        ("42\n### Input\n5 + 5\n### Output\n10", "42"),
        ("42\n---\nSum: 5 + 5\nAnswer: 10", "42"),
        ("42\n\nAufgabe: 5 + 5\nErgebnis: 10", "42"),
        ("42\n\nTotal cost: 5 + 5\n10", "42\n\nTotal cost: 5 + 5\n10"),
        ("42<|im_start|>user\n5 + 5", "42"),
        ("Steps: add.\nThe answer is 42.\n\nProblem: 5 + 5", "Steps: add.\nThe answer is 42."),
        ("It says:\nText: 5 + 5\n= 10 in all", "It says:\nText: 5 + 5\n= 10 in all"),
        ("6 of them.\n\nFinal answer: 10", "6 of them.\n\nFinal answer: 10"),
        ("\nReview: 5 + 5\nAnswer: 10", "\nReview: 5 + 5\nAnswer: 10"),
        ("one\ntwo\n\nReview: of both\nso 10", "one\ntwo\n\nReview: of both\nso 10"),
    ],
)
def test_a_next_example_ends_an_answer_that_has_been_given(answer, first):
    assert turns.first(answer) == first
