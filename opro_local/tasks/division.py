"""Dividing a table's rows into train, validation and test at random.

For: rows without splits of their own. Not for: the paper's splits (published.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks.task import SPLITS
from opro_local.types import Example, Split

# What a random choice is for, so that no two choices share a stream.
DIVIDE, CAP = 0, 1


def folded(text: str) -> str:
    """The text with every run of whitespace as one space: what makes two inputs the same row."""
    return " ".join(text.split())


def divide(
    rows: Sequence[Example], fractions: Sequence[float], seed: int
) -> dict[Split, list[Example]]:
    """Divide rows into train, validation and test at random; rows with the same input stay
    together.

    Args:
        rows: all rows, in file order.
        fractions: shares of train, validation and test in [0, 1], together at most 1.
        seed: equal seeds divide equal rows equally.

    Raises:
        DataError: a split with a share above 0 would get no row.
        UsageError: the fractions are not shares.
    """
    if not _are_shares(fractions):
        raise UsageError(
            f"task.split is {tuple(fractions)}",
            "give three shares of at least 0, at most 1 together",
        )
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(folded(row.input), []).append(index)
    members = list(groups.values())
    order = np.random.default_rng(np.random.SeedSequence((seed, DIVIDE))).permutation(len(members))
    bounds = np.rint(np.cumsum(fractions) * len(rows)).astype(int)
    chosen: list[list[int]] = [[], [], [], []]
    placed = 0
    for group in order:
        chosen[int(np.searchsorted(bounds, placed, side="right"))] += members[group]
        placed += len(members[group])
    # The fourth part is what the shares leave over.
    parts = dict(zip(SPLITS, chosen[:3], strict=True))
    if any(share > 0 and not part for share, part in zip(fractions, chosen[:3], strict=True)):
        counts = ", ".join(f"{split} {len(part)}" for split, part in parts.items())
        raise DataError(
            f"{len(rows)} rows ({len(members)} different inputs) are too few for the split "
            f"{tuple(fractions)}: {counts}",
            "add rows or change task.split",
        )
    return {split: [rows[index] for index in sorted(part)] for split, part in parts.items() if part}


def _are_shares(fractions: Sequence[float]) -> bool:
    """Whether these are three shares, the first above 0, together at most 1 but for rounding."""
    if len(fractions) != 3 or not fractions[0] > 0:
        return False
    return min(fractions) >= 0 and sum(fractions) <= 1 + 1e-9
