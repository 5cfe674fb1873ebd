"""Every solution on every row, as in the paper.

For: the plainest schedule, and how the others score their seeds. Not for: saving pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.search.state import SearchState
from opro_local.types import Batches, Solution


class Full:
    """One batch a step. See Schedule."""

    def pairs(self, solutions: int, rows: int) -> int:
        """See Schedule.pairs."""
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
        yield from state.score(solutions, "train", step, similarities)
