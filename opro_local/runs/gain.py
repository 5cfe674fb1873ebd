"""What a gain is made of: answers that can be read now, and answers that are right now.

For: dividing the difference between two solutions into format and content, row by row. Not for:
whether the difference is more than noise (stats.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opro_local.types import Score


@dataclass(frozen=True, slots=True)
class GainParts:
    """A difference between two solutions on the same rows, in two parts that add up to it.

    Attributes:
        format: the part of the rows whose answer could not be read, or was cut, with one of the
            two solutions only.
        content: the part of the rows that were read with both.
        format_rows, content_rows: how many rows there are of each kind; the rest could be read with
            neither, and earned nothing twice.
    """

    format: float
    content: float
    format_rows: int
    content_rows: int

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "format": self.format,
            "content": self.content,
            "format_rows": self.format_rows,
            "content_rows": self.content_rows,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> GainParts:
        """What `to_json` wrote."""
        return cls(
            format=record["format"],
            content=record["content"],
            format_rows=record["format_rows"],
            content_rows=record["content_rows"],
        )


def gain_parts(best: Score, baseline: Score) -> GainParts | None:
    """The parts of best minus baseline; None where a solution has no answers that are read.

    Where both answers were cut and yet read, the cut is no difference between them: such a row
    counts as content.

    Args:
        best, baseline: on the same rows.
    """
    after, before = best.read, baseline.read
    if after is None or before is None:
        return None
    read_twice = ~(after.failed | before.failed)
    content = read_twice & (after.truncated == before.truncated)
    read_never = after.failed & before.failed
    by_format = ~(content | read_never)
    gaps = best.values.astype(np.float64) - baseline.values
    return GainParts(
        format=float(gaps[by_format].sum() / len(gaps)),
        content=float(gaps[content].sum() / len(gaps)),
        format_rows=int(by_format.sum()),
        content_rows=int(content.sum()),
    )


def gain_words(parts: GainParts, of_what: str = "") -> str:
    """The two parts in a sentence; `of_what` says in what the difference is."""
    return (
        f"Of the difference{of_what}, {100 * parts.format:+.1f} points are format (answers unread "
        f"or cut with one prompt and read with the other: {parts.format_rows} rows) and "
        f"{100 * parts.content:+.1f} points content (read with both: {parts.content_rows} rows)."
    )
