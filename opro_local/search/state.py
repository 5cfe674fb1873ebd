"""What every part of a search needs: the problem, the config and the trajectory, in one object.

For: scoring solutions on a split, and entering what came of it. Not for: which solutions are scored
(loop.py), or on which rows (schedules/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from opro_local.config.settings import Config
from opro_local.protocols import Problem, RowProblem
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batches, Rejection, Score, Solution, Split


@dataclass(frozen=True, slots=True)
class Candidates:
    """Solutions that are scored together.

    Attributes:
        solutions: in the order in which they enter the trajectory.
        step: the step that their entries belong to.
        similarities: what Similarity.measure says of each; () where it is not asked.
    """

    solutions: Sequence[Solution]
    step: int
    similarities: Sequence[float] = ()

    def part(self, start: int, stop: int | None = None) -> Candidates:
        """Those at the positions from `start` up to `stop`, or to the end."""
        return Candidates(self.solutions[start:stop], self.step, self.similarities[start:stop])


@dataclass(frozen=True, slots=True)
class SearchState:
    """One search on its way.

    Attributes:
        problem: what is optimized.
        config: the run's settings.
        trajectory: what was scored so far; it grows.
    """

    problem: Problem
    config: Config
    trajectory: Trajectory

    @property
    def row_problem(self) -> RowProblem:
        """The problem as one that can be scored on a part of its rows.

        The config lets no schedule of parts near another problem (config/settings.py).
        """
        # Not looked at: a protocol's check takes longer than the rest of a small block does.
        return cast(RowProblem, self.problem)

    def score(
        self,
        candidates: Candidates,
        split: Split,
        rows: np.ndarray | None = None,
        label: str = "",
    ) -> Batches:
        """Score solutions on a split with one batch, and enter them in the trajectory.

        Args:
            candidates: at least one.
            split: which examples.
            rows: shape (n,), ascending positions in the split; None means all.
            label: the batch's; by default step and split.
        """
        label = label or f"{candidates.step}/{split}"
        if rows is None:
            batches = self.problem.evaluate(candidates.solutions, split, label)
        else:
            solutions = candidates.solutions
            batches = self.row_problem.evaluate(solutions, split, label, rows.tolist())
        results: list[Score | str] = yield from self.trajectory.count_costs(batches)
        if rows is not None:
            results = [_of_rows(result, rows) for result in results]
        self.enter(candidates, results, split)

    def enter(
        self,
        candidates: Candidates,
        results: Sequence[Score | str],
        split: Split,
        dropping: bool = False,
    ) -> None:
        """Append what was scored to the trajectory, and reject what could not be.

        Args:
            candidates: what was scored.
            results: one for each: its score, or the reason why it has none.
            split: where.
            dropping: whether a score on a part of the rows means that a race dropped the solution.
        """
        solutions, step = candidates.solutions, candidates.step
        position = self.trajectory.scored_in(step, split)
        similarities = candidates.similarities or [0.0] * len(solutions)
        for solution, result, similarity in zip(solutions, results, similarities, strict=True):
            if isinstance(result, str):
                self.trajectory.reject(Rejection(step, solution.text, result))
                continue
            dropped = dropping and result.rows is not None
            self.trajectory.add(Entry(split, step, position, solution, result, similarity, dropped))
            position += 1


def _of_rows(result: Score | str, rows: np.ndarray) -> Score | str:
    """The result with the rows it was scored on."""
    return result if isinstance(result, str) else replace(result, rows=rows)
