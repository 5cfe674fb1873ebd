"""Sequential halving: after a quarter and after half of the rows the worse half is dropped.

For: the schedule "halve", the default of a mixed search. Not for: where to look (../racing.py).
"""

from __future__ import annotations

import numpy as np

from opro_local.search import chance, racing
from opro_local.search.schedules.blocks import Standing, score_in_blocks
from opro_local.search.state import Candidates, SearchState
from opro_local.tasks.division import in_proportion
from opro_local.types import Batches


class Halve:
    """At most three batches a step. See Schedule and RaceRules."""

    def pairs(self, solutions: int, rows: int) -> int:
        """See Schedule.pairs."""
        return racing.cost(solutions, rows)

    def score_seeds(self, state: SearchState, seeds: Candidates) -> Batches:
        """The baseline on all rows, and then the other seeds as a step's solutions are.

        A baseline that can't be scored leaves nothing to compare them with.
        """
        yield from state.score(seeds.part(0, 1), "train")
        others = seeds.part(1)
        if others.solutions and state.trajectory.reference:
            yield from score_in_blocks(self, state, others)

    def score_step(self, state: SearchState, candidates: Candidates) -> Batches:
        """See Schedule.score_step."""
        return score_in_blocks(self, state, candidates)

    def order(self, state: SearchState, step: int, total: int) -> np.ndarray:
        """With every label in its share.

        Halves are dropped on few rows: had one label more than its share of these, a prompt that
        always gives it would look better than it is.
        """
        rng = chance.generator(state.config, step, chance.ROWS)
        return in_proportion(state.row_problem.targets(), rng)

    def next_rows(self, state: SearchState, alive: int, done: int, total: int) -> int:
        """Up to the next look."""
        return racing.part(done, total)

    def losers(
        self, state: SearchState, standing: Standing, incumbent: np.ndarray, total: int
    ) -> np.ndarray:
        """The worse half of those that are left, by racing.halved."""
        return racing.halved(standing.figures)
