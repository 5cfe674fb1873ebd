"""Every solution on every row, as in the paper.

For: the plainest schedule, and how the others score their seeds. Not for: saving pairs.
"""

from __future__ import annotations

from opro_local.search.state import Candidates, SearchState
from opro_local.types import Batches


class Full:
    """One batch a step. See Schedule."""

    def pairs(self, solutions: int, rows: int) -> int:
        """See Schedule.pairs."""
        return solutions * rows

    def score_seeds(self, state: SearchState, seeds: Candidates) -> Batches:
        """See Schedule.score_seeds."""
        return state.score(seeds, "train")

    def score_step(self, state: SearchState, candidates: Candidates) -> Batches:
        """See Schedule.score_step."""
        return state.score(candidates, "train")
