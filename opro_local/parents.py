"""Parents: which scored solutions new ones are made from.

For: a draw that favours good solutions and keeps different ones alive. Not for: what is made of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opro_local.trajectory import Entry, Trajectory

TOP = 4


def parents(trajectory: Trajectory, count: int, rng: np.random.Generator, exploration: float = 0.0) -> list[Entry]:
    """So many parents, drawn with repetition: every other one from the best, the rest from those that win on some rows.

    Of the best the first is drawn twice as often as the second, and so on; of the others each as often as the rows
    that it wins are worth (see `pareto`). `exploration` is what a best one's likeness to those before it costs.
    """
    best = trajectory.top(TOP, exploration)
    ranks = 0.5 ** np.arange(len(best))
    others = trajectory.top(len(trajectory.entries), among="whole")
    worth = pareto([entry.score.values for entry in others])
    drawn = []
    for number in range(count):
        pool, weights = (best, ranks) if number % 2 == 0 else (others, worth)
        drawn.append(pool[int(rng.choice(len(pool), p=weights / weights.sum()))])
    return drawn


def pareto(values: Sequence[np.ndarray]) -> np.ndarray:
    """What each solution's wins are worth: on each row those with the highest score share 1; shape (solutions,).

    A solution that is nowhere among the best has 0. Rows on which all earn the same say nothing and are left out; where
    there are no others, all have the same worth.
    """
    table = np.stack(values)
    told = table[:, (table != table[0]).any(axis=0)]
    if not told.size:
        return np.ones(len(table))
    wins = told == told.max(axis=0)
    return (wins / wins.sum(axis=0)).sum(axis=1)
