"""A trajectory as the rows that a store keeps of it for readers.

For: columns, in the types that SQLite gives back: a row's digest covers them. Not for: writing them
(store.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from opro_local.runs.seal import Table
from opro_local.search.trajectory import Entry, Trajectory, fingerprint
from opro_local.types import Rejection


def derived_rows(trajectory: Trajectory) -> dict[Table, list[tuple[Any, ...]]]:
    """What a store keeps of a trajectory for readers, by table."""
    entries = (*trajectory.entries, *trajectory.held_out)
    return {
        "solution": [solution_row(entry) for entry in entries],
        "rejection": list(rejection_rows(trajectory.rejections, 0)),
    }


def solution_row(entry: Entry) -> tuple[Any, ...]:
    """An entry as its row."""
    score = entry.score
    return (
        *(entry.split, entry.step, entry.position, entry.solution.key, _clean(entry.solution.text)),
        json.dumps(entry.solution.demonstrations),
        *(float(score.value), score.n, int(entry.partial), score.failures, score.truncated),
        *(score.tokens, float(entry.similarity), fingerprint(entry)),
    )


def rejection_rows(
    rejections: Sequence[Rejection], first: int
) -> Iterator[tuple[int, int, str, str]]:
    """Rejections as rows; `first` is the position of the first one in its trajectory."""
    for id, rejection in enumerate(rejections, first):
        yield id, rejection.step, _clean(rejection.text), _clean(rejection.reason)


def _clean(text: str) -> str:
    """SQLite text is UTF-8: a lone surrogate from a model is written as a replacement character for
    readers.
    """
    return text.encode("utf-8", "replace").decode("utf-8")
