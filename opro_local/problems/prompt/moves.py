"""Moves on demonstrations: how the worked examples of one solution are made from those of others.

For: which rows are shown and in what order, within a token budget. Not for: what a worked example
looks like (problems/demonstrations.py) or which move is made (bandit.py).

Every move takes a `DemonstrationPool` and gives a tuple of row ids, without repetitions; it may give what it was
given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.search.chance import in_turns
from opro_local.types import Demonstration

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemonstrationPool:
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
        """The first of these ids that fit the limits together; an id that is over the budget is
        passed over.
        """
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
        rows = [row for row in self.known if row.id not in without]
        return [rows[place].id for place in in_turns([row.target for row in rows], self.rng)]


def draw(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """New ones, half of the most or more, and the targets as equally frequent as their number
    allows.
    """
    count = int(pool.rng.integers((pool.most + 1) // 2, pool.most + 1))
    chosen = list(pool.fit(pool.balanced())[:count])
    pool.rng.shuffle(chosen)
    return tuple(chosen)


def alter(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """A small change: one is exchanged, one or two join, one leaves, or all change places."""
    if not parent:
        return draw(pool, parent, other)
    change = (_exchange, _grow, _shrink, _reorder)[int(pool.rng.integers(4))]
    return change(pool, parent)


def cross(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """The parent's first ones and another solution's last ones."""
    if not parent or not other:
        return draw(pool, parent, other)
    head, tail = (int(pool.rng.integers(1, len(ids) + 1)) for ids in (parent, other))
    return pool.fit((*parent[:head], *other[-tail:]))


def correct(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """A row that the parent got wrong joins, in the place of one of its own where all places are
    taken.
    """
    shown = {row.id for row in pool.known}
    wrong = [key for key in pool.wrong if key in shown and key not in parent]
    if not parent or not wrong:
        return alter(pool, parent, other)
    key = wrong[int(pool.rng.integers(len(wrong)))]
    full = len(parent) >= pool.most
    place = int(pool.rng.integers(len(parent) + (not full)))
    return pool.fit((*parent[:place], key, *parent[place + full :]))


MOVES: dict[str, Callable[[DemonstrationPool, Ids, Ids], Ids]] = {
    move.__name__: move for move in (draw, alter, cross, correct)
}


def _exchange(pool: DemonstrationPool, parent: Ids) -> Ids:
    fresh = pool.balanced(without=parent)
    place = int(pool.rng.integers(len(parent)))
    return pool.fit((*parent[:place], *fresh[:1], *parent[place + 1 :]))


def _grow(pool: DemonstrationPool, parent: Ids) -> Ids:
    chosen = list(parent)
    for key in pool.balanced(without=parent)[: int(pool.rng.integers(1, 3))]:
        chosen.insert(int(pool.rng.integers(len(chosen) + 1)), key)
    return pool.fit(chosen)


def _shrink(pool: DemonstrationPool, parent: Ids) -> Ids:
    place = int(pool.rng.integers(len(parent)))
    return (*parent[:place], *parent[place + 1 :])


def _reorder(pool: DemonstrationPool, parent: Ids) -> Ids:
    return tuple(parent[int(place)] for place in pool.rng.permutation(len(parent)))
