"""Dividing a table's rows into train, validation and test at random, and drawing some of them, with
each target in its share.

For: rows without splits of their own, and orders that keep shares. Not for: the paper's splits
(published.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import islice

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
    rows: Sequence[Example], fractions: Sequence[float], seed: int, stratified: bool = False
) -> dict[Split, list[Example]]:
    """Divide rows into train, validation and test at random; rows with the same input stay
    together.

    Args:
        rows: all rows, in file order.
        fractions: shares of train, validation and test in [0, 1], together at most 1.
        seed: equal seeds divide equal rows equally.
        stratified: whether every split gets each target's share of its rows, to within one row as
            far as repeated inputs allow.

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
    rng = np.random.default_rng(np.random.SeedSequence((seed, DIVIDE)))
    bounds = np.rint(np.cumsum(fractions) * len(rows)).astype(int)
    if stratified:
        targets = [folded(row.target) for row in rows]
        chosen = _stratified(members, targets, bounds, rng)
    else:
        chosen = _in_order(members, bounds, rng)
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


def _in_order(
    members: Sequence[list[int]], bounds: np.ndarray, rng: np.random.Generator
) -> list[list[int]]:
    """The rows of the four parts: groups in random order, cut at the bounds."""
    chosen: list[list[int]] = [[], [], [], []]
    placed = 0
    for group in rng.permutation(len(members)):
        chosen[int(np.searchsorted(bounds, placed, side="right"))] += members[group]
        placed += len(members[group])
    return chosen


def _stratified(
    members: Sequence[list[int]],
    targets: Sequence[str],
    bounds: np.ndarray,
    rng: np.random.Generator,
) -> list[list[int]]:
    """The rows of the four parts, each target in its share.

    Args:
        members: groups of rows that stay together.
        targets: of every row.
        bounds: where the first three parts would end among all rows.
        rng: the source of chance.
    """
    # Groups of one target and one size can stand for each other.
    strata: dict[tuple[int, str], list[list[int]]] = {}
    for place in rng.permutation(len(members)):
        group = members[int(place)]
        strata.setdefault((len(group), targets[group[0]]), []).append(group)
    sizes = np.diff([0, *bounds, len(targets)])
    chosen: list[list[int]] = [[], [], [], []]
    for stratum, quota in _quotas({key: len(own) for key, own in strata.items()}, sizes).items():
        groups = iter(strata[stratum])
        for part, count in enumerate(quota):
            for group in islice(groups, int(count)):
                chosen[part] += group
    return chosen


def _quotas(
    counts: Mapping[tuple[int, str], int], sizes: np.ndarray
) -> dict[tuple[int, str], np.ndarray]:
    """How many groups of each stratum every part gets: its share, rounded to a neighbouring number
    so that the parts keep their sizes.

    What rounding down leaves over of a stratum goes to as many parts, one group to each: to those
    that lack most rows (as in Gale and Ryser's construction of a table from its margins).

    Args:
        counts: groups by stratum, which is (rows of a group, target), in random order.
        sizes: shape (parts,), rows by part; together as many as all rows.
    """
    total = int(sizes.sum())
    quotas = {stratum: count * sizes // total for stratum, count in counts.items()}
    lacking = sizes.copy()
    for (rows, _), quota in quotas.items():
        lacking -= rows * quota
    over = {stratum: count - int(quotas[stratum].sum()) for stratum, count in counts.items()}
    # Large groups first, and of these the strata that need most parts: later ones can fill up.
    for stratum in sorted(over, key=lambda key: (-key[0], -over[key])):
        remainder = counts[stratum] * sizes % total
        wanting = sorted(range(len(sizes)), key=lambda part: (-lacking[part], -remainder[part]))
        for part in wanting[: over[stratum]]:
            quotas[stratum][part] += 1
            lacking[part] -= stratum[0]
    return quotas


def in_proportion(kinds: Sequence[Hashable], rng: np.random.Generator) -> np.ndarray:
    """All positions of `kinds` in a random order of which every beginning has each kind's share of
    the whole.

    Within one of it: each kind's positions are spread evenly over the order (systematic sampling).
    """
    when = np.empty(len(kinds))
    for own in by_kind(kinds, rng):
        when[own] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.argsort(when, kind="stable")


def by_kind(kinds: Sequence[Hashable], rng: np.random.Generator) -> list[list[int]]:
    """The positions of each kind, kinds and positions in random order."""
    places: dict[Hashable, list[int]] = {}
    for place in rng.permutation(len(kinds)):
        places.setdefault(kinds[int(place)], []).append(int(place))
    kinds_in_order = list(places.values())
    rng.shuffle(kinds_in_order)
    return kinds_in_order


def _are_shares(fractions: Sequence[float]) -> bool:
    """Whether these are three shares, the first above 0, together at most 1 but for rounding."""
    if len(fractions) != 3 or not fractions[0] > 0:
        return False
    return min(fractions) >= 0 and sum(fractions) <= 1 + 1e-9
