"""Scoring in blocks of rows, with solutions dropped between blocks: what both races share.

For: asking block by block. Not for: who is dropped, how many rows come next, or in which order they
are drawn (race.py, halve.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from opro_local.search import racing
from opro_local.search.state import SearchState
from opro_local.types import Batches, Score, Solution


class RaceRules(Protocol):
    """What a race decides by."""

    def order(self, state: SearchState, step: int, total: int) -> np.ndarray:
        """Shape (total,): the positions of all train rows, in the order they are drawn."""

    def next_rows(self, state: SearchState, alive: int, done: int, total: int) -> int:
        """How many rows the next block has, at least 1, where `done` were drawn."""

    def losers(
        self, state: SearchState, values: np.ndarray, incumbent: np.ndarray, total: int
    ) -> np.ndarray:
        """Who is scored no further; shape (solutions,), bool, true for those dropped before.

        Args:
            state: the search.
            values: shape (solutions, n), in the order drawn; NaN from where one was dropped.
            incumbent: shape (n,), the best solution of earlier steps on the same rows.
            total: rows of the split.
        """


def score_in_blocks(
    rules: RaceRules,
    state: SearchState,
    solutions: Sequence[Solution],
    step: int,
    similarities: Sequence[float],
) -> Batches:
    """Score solutions on the same blocks of train rows until all rows are scored, or no solution is
    left. After each block but the last the rules say who is dropped.

    Args:
        rules: the race's.
        state: the search; its trajectory has a reference, the incumbent.
        solutions: those of the step.
        step: the step.
        similarities: one for each solution.
    """
    reference = state.trajectory.reference
    if reference is None:
        raise ValueError("a race needs a solution that was scored on all rows before")
    incumbent = reference.score
    order = rules.order(state, step, incumbent.n)
    values = np.full((len(solutions), incumbent.n), np.nan)
    parts: list[list[Score]] = [[] for _ in solutions]
    refusals: dict[int, str] = {}
    alive = np.arange(len(solutions))
    done = block = 0
    while len(alive) and done < incumbent.n:
        rows = order[done : done + rules.next_rows(state, len(alive), done, incumbent.n)]
        batches = state.row_problem.evaluate(
            [solutions[i] for i in alive], "train", f"{step}/train/{block}", rows.tolist()
        )
        results = yield from state.trajectory.count_costs(batches)
        done, block = done + len(rows), block + 1
        for i, result in zip(alive, results, strict=True):
            if isinstance(result, str):
                refusals[int(i)] = result
            else:
                parts[i].append(result)
                values[i, done - len(rows) : done] = result.values
        if done < incumbent.n:
            known = incumbent.values[order[:done]]
            out = rules.losers(state, values[:, :done], known, incumbent.n)
            alive = alive[~out[alive]]
    joined = [refusals.get(i) or racing.joined(part, order) for i, part in enumerate(parts)]
    state.enter(solutions, joined, "train", step, similarities, dropping=True)
