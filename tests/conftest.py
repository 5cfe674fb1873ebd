"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import SCRIPT, write_reviews


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV with 60 rows, half of them "positive"; the word "good" tells which."""
    return write_reviews(tmp_path / "reviews.csv")


@pytest.fixture
def tables(reviews: Path) -> dict:
    """Config tables of a small scripted run."""
    return {
        "task": {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"},
        "scorer": {"engine": "scripted", "script": SCRIPT, "max_tokens": 8},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": ["What is it?"], "steps": 4, "candidates": 4, "metaprompt": "continuation"},
        "run": {"seed": 3},
    }
