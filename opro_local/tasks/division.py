"""Dividing a table's rows into train, validation and test at random, and drawing some of them, with
each target in its share.

For: rows without splits of their own, and orders that keep shares. Not for: the paper's splits
(published.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks.task import SPLITS
from opro_local.types import Example, Split

# What a random choice is for, so that no two choices share a stream.
DIVIDE, CAP = 0, 1
# Rows of a band of amounts, and the share of targets that may be no numbers.
BAND, OTHERS = 10, 0.05
# What may stand around the digits of an amount.
AROUND_NUMBER = re.compile(r"[\s,_$€£¥%]")


def folded(text: str) -> str:
    """The text with every run of whitespace as one space: what makes two inputs the same row."""
    return " ".join(text.split())


def divide(
    rows: Sequence[Example],
    fractions: Sequence[float],
    seed: int,
    strata: Sequence[str] | None = None,
) -> dict[Split, list[Example]]:
    """Divide rows into train, validation and test at random; rows with the same input stay
    together.

    Args:
        rows: all rows, in file order.
        fractions: shares of train, validation and test in [0, 1], together at most 1.
        seed: equal seeds divide equal rows equally.
        strata: one of each row (see by_target and by_kind_of_target): every split gets each
            stratum's share of its rows, to within one row as far as repeated inputs allow. None
            divides without regard to any.

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
    if strata is not None:
        chosen = _stratified(members, strata, bounds, rng)
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


def by_target(rows: Sequence[Example]) -> list[str]:
    """The stratum of each row: its target."""
    return [folded(row.target) for row in rows]


def by_kind_of_target(rows: Sequence[Example]) -> list[str]:
    """The stratum of each row: its target, or where targets are amounts the band that it is in.

    Amounts are more than BAND different numbers with fewer than BAND rows each on average; fewer
    or more frequent ones are codes or ratings. A band is about BAND rows that are neighbours in
    order of their numbers, so that every split has as many small and large ones. What is no number
    among them is a stratum of its own.
    """
    targets = by_target(rows)
    amounts = np.array([_amount(target) for target in targets])
    are_numbers = np.isfinite(amounts)
    different = len({*targets})
    has_others = (~are_numbers).sum() > OTHERS * len(rows)
    if has_others or different <= BAND or BAND * different <= len(rows):
        return targets
    order = np.argsort(amounts, kind="stable")  # NaN last
    bands = max(1, int(are_numbers.sum()) // BAND)
    strata = [""] * len(rows)
    for band, places in enumerate(np.array_split(order[: are_numbers.sum()], bands)):
        for place in places:
            strata[place] = str(band)
    return strata


def _amount(target: str) -> float:
    """A target as a number: digits with separators of thousands, a sign, a currency or a percent
    sign; NaN for others.
    """
    plain = AROUND_NUMBER.sub("", target)
    try:
        value = float(plain)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


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
    strata: Sequence[str],
    bounds: np.ndarray,
    rng: np.random.Generator,
) -> list[list[int]]:
    """The rows of the four parts, each stratum in its share.

    Args:
        members: groups of rows that stay together.
        strata: of every row.
        bounds: where the first three parts would end among all rows.
        rng: the source of chance.
    """
    # Groups of one stratum and one size can stand for each other.
    alike: dict[tuple[int, str], list[list[int]]] = {}
    for place in rng.permutation(len(members)):
        group = members[int(place)]
        alike.setdefault((len(group), strata[group[0]]), []).append(group)
    sizes = np.diff([0, *bounds, len(strata)])
    chosen: list[list[int]] = [[], [], [], []]
    for stratum, quota in _quotas({key: len(own) for key, own in alike.items()}, sizes).items():
        groups = iter(alike[stratum])
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
