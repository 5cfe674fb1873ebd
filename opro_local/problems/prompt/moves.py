"""Moves on demonstrations: how those of one solution are made from those of others.

For: which rows are shown and in what order, within a token budget. Not for: what a demonstration
looks like (demonstrations.py, layout.py), which move is made (selection.py), or making one until it
gives something new (moving.py).

Every move takes a pool and the demonstrations of two parents, and gives a tuple of row ids without
repetitions; it may give what it was given. A new move is a function and a line in `MOVES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.search.chance import in_turns
from opro_local.types import Demonstration

Ids = tuple[str, ...]  # of train rows, in the order in which they are shown


@dataclass(frozen=True, slots=True)
class DemonstrationPool:
    """What a move may draw from.

    Attributes:
        known: the rows that can be shown.
        most: how many a solution may show.
        token_budget: how many tokens they may add to a prompt together.
        wrong: ids of rows that the parent got wrong.
        rng: the source of all chance.
    """

    known: Sequence[Demonstration]
    most: int
    token_budget: int
    wrong: Sequence[str]
    rng: np.random.Generator

    def fit(self, ids: Sequence[str]) -> Ids:
        """The first of these ids that fit the limits together; an id that is over the budget is
        passed over.
        """
        cost = {row.id: row.tokens for row in self.known}
        chosen: list[str] = []
        left = self.token_budget
        for key in dict.fromkeys(ids):
            if len(chosen) < self.most and cost[key] <= left:
                chosen.append(key)
                left -= cost[key]
        return tuple(chosen)

    def balanced(self, without: Sequence[str] = ()) -> list[str]:
        """All rows in an order drawn at random, in which the targets take turns."""
        rows = [row for row in self.known if row.id not in without]
        order = in_turns([row.target for row in rows], self.rng)
        return [rows[place].id for place in order]


def draw(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """New ones in random order: at least half as many as may be shown, each target as often as the
    others as far as that goes.
    """
    count = int(pool.rng.integers((pool.most + 1) // 2, pool.most + 1))
    chosen = list(pool.fit(pool.balanced())[:count])
    pool.rng.shuffle(chosen)
    return tuple(chosen)


def alter(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """A small change: one is exchanged, one or two join, one leaves, or all change places."""
    if not parent:
        return draw(pool, parent, other)
    changes = (_exchange, _grow, _shrink, _reorder)
    change = changes[int(pool.rng.integers(len(changes)))]
    return change(pool, parent)


def cross(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """The parent's first ones and another solution's last ones."""
    if not parent or not other:
        return draw(pool, parent, other)
    head = int(pool.rng.integers(1, len(parent) + 1))
    tail = int(pool.rng.integers(1, len(other) + 1))
    return pool.fit((*parent[:head], *other[-tail:]))


def correct(pool: DemonstrationPool, parent: Ids, other: Ids) -> Ids:
    """A row that the parent got wrong joins, in the place of one of its own where all places are
    taken.
    """
    available = {row.id for row in pool.known}
    wrong = [key for key in pool.wrong if key in available and key not in parent]
    if not parent or not wrong:
        return alter(pool, parent, other)
    key = wrong[int(pool.rng.integers(len(wrong)))]
    if len(parent) < pool.most:
        place = int(pool.rng.integers(len(parent) + 1))
        return pool.fit((*parent[:place], key, *parent[place:]))
    place = int(pool.rng.integers(len(parent)))
    return pool.fit((*parent[:place], key, *parent[place + 1 :]))


Move = Callable[[DemonstrationPool, Ids, Ids], Ids]

# The names are recorded in stores and results, and their order decides which is drawn.
MOVES: Mapping[str, Move] = {"draw": draw, "alter": alter, "cross": cross, "correct": correct}


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
