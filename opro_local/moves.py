"""Moves on demonstrations: how the worked examples of one solution are made from those of others.

For: which rows are shown and in what order, within a token budget. Not for: what a worked example looks like
(problems/demonstrations.py) or which move is made (bandit.py).

Every move takes a `Pool` and gives a tuple of row ids, without repetitions; it may give what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.types import Demonstration

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """What a move may draw from.

    Attributes:
        known: the rows that can be shown.
        most: how many a solution may show.
        tokens: how many tokens they may add to a prompt together.
        wrong: ids of rows that the parent got wrong.
        rng: the source of all chance.
    """

    known: Sequence[Demonstration]
    most: int
    tokens: int
    wrong: Sequence[str]
    rng: np.random.Generator

    def fit(self, ids: Sequence[str]) -> Ids:
        """The first of these ids that fit the limits together; an id that is over the budget is passed over."""
        cost = {row.id: row.tokens for row in self.known}
        chosen: list[str] = []
        left = self.tokens
        for key in dict.fromkeys(ids):
            if len(chosen) < self.most and cost[key] <= left:
                chosen.append(key)
                left -= cost[key]
        return tuple(chosen)

    def balanced(self, without: Sequence[str] = ()) -> list[str]:
        """All rows in an order drawn at random, in which the targets take turns."""
        by_target: dict[str, list[str]] = {}
        for index in self.rng.permutation(len(self.known)):
            row = self.known[int(index)]
            if row.id not in without:
                by_target.setdefault(row.target, []).append(row.id)
        turns = list(by_target.values())
        self.rng.shuffle(turns)
        longest = max(map(len, turns), default=0)
        return [rows[place] for place in range(longest) for rows in turns if place < len(rows)]


def draw(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """New ones: how many is drawn too, and the targets are as equally frequent as that allows."""
    count = int(pool.rng.integers(1, pool.most + 1))
    chosen = list(pool.fit(pool.balanced())[:count])
    pool.rng.shuffle(chosen)
    return tuple(chosen)


def exchange(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """One of the parent's gives its place to another row."""
    if not parent:
        return draw(pool, parent, other)
    fresh = pool.balanced(without=parent)
    if not fresh:
        return parent
    place = int(pool.rng.integers(len(parent)))
    return pool.fit((*parent[:place], fresh[0], *parent[place + 1 :]))


def grow(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """One or two more, each at a place drawn at random."""
    chosen = list(parent)
    for key in pool.balanced(without=parent)[: int(pool.rng.integers(1, 3))]:
        chosen.insert(int(pool.rng.integers(len(chosen) + 1)), key)
    return pool.fit(chosen) if len(chosen) <= pool.most else exchange(pool, parent, other)


def shrink(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """One less; the last one stays."""
    if len(parent) < 2:
        return draw(pool, parent, other)
    place = int(pool.rng.integers(len(parent)))
    return (*parent[:place], *parent[place + 1 :])


def reorder(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """The same ones in another order."""
    return tuple(parent[int(place)] for place in pool.rng.permutation(len(parent)))


def cross(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """The parent's first ones and another solution's last ones."""
    cut = int(pool.rng.integers(len(parent) + 1))
    return pool.fit((*parent[:cut], *other[int(pool.rng.integers(len(other) + 1)) :])) or parent


def correct(pool: Pool, parent: Ids, other: Ids) -> Ids:
    """A row that the parent got wrong joins, in the place of one of its own where all places are taken."""
    shown = {row.id for row in pool.known}
    wrong = [key for key in pool.wrong if key in shown and key not in parent]
    if not wrong:
        return exchange(pool, parent, other)
    key = wrong[int(pool.rng.integers(len(wrong)))]
    place = int(pool.rng.integers(len(parent) + 1))
    full = len(parent) >= pool.most
    return pool.fit((*parent[:place], key, *parent[place + full :])) if place + full <= len(parent) else parent


MOVES: dict[str, Callable[[Pool, Ids, Ids], Ids]] = {
    move.__name__: move for move in (draw, exchange, grow, shrink, reorder, cross, correct)
}
