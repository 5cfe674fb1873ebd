"""A race: solutions that are not the best, by a test that may be looked at after every block, are
scored no further.

For: the schedule "race". Not for: the test itself (../racing.py).
"""

from __future__ import annotations

import numpy as np

from opro_local.search import chance, racing
from opro_local.search.schedules.blocks import Standing, score_in_blocks
from opro_local.search.state import Candidates, SearchState
from opro_local.types import Batches


class Race:
    """A batch a block of rows. See Schedule and RaceRules."""

    def pairs(self, solutions: int, rows: int) -> int:
        """See Schedule.pairs: a race may have to score everything."""
        return solutions * rows

    def score_seeds(self, state: SearchState, seeds: Candidates) -> Batches:
        """See Schedule.score_seeds."""
        return state.score(seeds, "train")

    def score_step(self, state: SearchState, candidates: Candidates) -> Batches:
        """See Schedule.score_step."""
        return score_in_blocks(self, state, candidates)

    def order(self, state: SearchState, step: int, total: int) -> np.ndarray:
        """At random, anew in every step: nothing is assumed about rows but this order."""
        return chance.generator(state.config, step, chance.ROWS).permutation(total)

    def next_rows(self, state: SearchState, alive: int, done: int, total: int) -> int:
        """As many as keep the engine full."""
        evaluation = state.config.evaluation
        # A call that leaves the engine half empty takes as long as a full one.
        prompts = max(evaluation.block, evaluation.running)
        return racing.block(alive, total - done, prompts)

    def losers(
        self, state: SearchState, standing: Standing, incumbent: np.ndarray, total: int
    ) -> np.ndarray:
        """Those that are not the best, by racing.beaten."""
        return racing.beaten(standing.values, incumbent, total, state.config.evaluation.drop_alpha)
