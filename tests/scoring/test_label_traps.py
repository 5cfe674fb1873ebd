"""Answers that name a label and do not say it, and fair ones beside them, in 28 languages.

traps.jsonl holds {"language", "labels", "answer", "label"}: a label of null is a trap, which has to
stay unread; every other answer has to be read.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
