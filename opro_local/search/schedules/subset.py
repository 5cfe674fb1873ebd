"""Every solution on the same few rows; the leaders see all rows at the end (loop.py).

For: drawing the rows, once for all steps or anew for each. Not for: races, which drop solutions.
"""

from __future__ import annotations

import numpy as np

from opro_local.search import chance
from opro_local.search.state import Candidates, SearchState
from opro_local.types import Batches


class Subset:
    """One batch a step, on `evaluation.subset_rows` rows. See Schedule."""

    def pairs(self, solutions: int, rows: int) -> int:
        """See Schedule.pairs; a bound, as the rows of a step may be fewer."""
        return solutions * rows

    def score_seeds(self, state: SearchState, seeds: Candidates) -> Batches:
        """See Schedule.score_seeds."""
        return state.score(seeds, "train")

    def score_step(self, state: SearchState, candidates: Candidates) -> Batches:
        """See Schedule.score_step."""
        return state.score(candidates, "train", _rows(state, candidates.step))


def _rows(state: SearchState, step: int) -> np.ndarray | None:
    """The train rows of a step, ascending; None where that is all of them."""
    settings = state.config.evaluation
    total = state.trajectory.entries[0].score.n
    if settings.subset_rows >= total:
        return None
    drawn_at = step if settings.subset_draw == "fresh" else 0
    order = chance.generator(state.config, drawn_at, chance.ROWS).permutation(total)
    return np.sort(order[: settings.subset_rows])
