"""Which label an answer names: a table of label sets and answers, in the languages and types people
use (labels.jsonl; a label of null is one that can't be read).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opro_local.scoring.reading.labels import label_reader

TABLE = Path(__file__).parent / "labels.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
# Stars are labels only where nothing else is in the answer.
SETS = sorted({tuple(row["labels"]) for row in ROWS if "***" not in row["labels"]})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['labels'][0]}:{row['answer'][:40]}")
def test_the_label_of_an_answer(row):
    assert label_reader(row["labels"])(row["answer"]) == row["label"]


@pytest.mark.parametrize("names", SETS, ids=lambda names: names[0])
def test_every_label_reads_as_itself(names):
    read = label_reader(names)
    dressed = [read(f'"{name}".') for name in names]
    assert [read(name) for name in names] == dressed
    assert len({read(name) for name in names} - {None}) == len(names)
