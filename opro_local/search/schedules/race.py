"""A race: solutions that are not the best, by a test that may be looked at after every block, are
scored no further.

For: the schedule "race". Not for: the test itself (../racing.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opro_local.search import chance, racing
from opro_local.search.schedules.blocks import score_in_blocks
from opro_local.search.state import SearchState
from opro_local.types import Batches, Solution


class Race:
    """A batch a block of rows. See Schedule and RaceRules."""

    def pairs(self, solutions: int, rows: int) -> int:
        """See Schedule.pairs: a race may have to score everything."""
        return solutions * rows

    def score_seeds(
        self, state: SearchState, seeds: Sequence[Solution], similarities: Sequence[float]
    ) -> Batches:
        """See Schedule.score_seeds."""
        yield from state.score(seeds, "train", 0, similarities)

    def score_step(
        self,
        state: SearchState,
        solutions: Sequence[Solution],
        step: int,
        similarities: Sequence[float],
    ) -> Batches:
        """See Schedule.score_step."""
        yield from score_in_blocks(self, state, solutions, step, similarities)

    def order(self, state: SearchState, step: int, total: int) -> np.ndarray:
        """At random, anew in every step: nothing is assumed about rows but this order."""
        return chance.generator(state.config, step, chance.ROWS).permutation(total)

    def next_rows(self, state: SearchState, alive: int, done: int, total: int) -> int:
        """As many as keep the engine full."""
        return racing.block(alive, total - done, state.config.evaluation.block)

    def losers(
        self, state: SearchState, values: np.ndarray, incumbent: np.ndarray, total: int
    ) -> np.ndarray:
        """Those that are not the best, by racing.beaten."""
        return racing.beaten(values, incumbent, total, state.config.evaluation.drop_alpha)
