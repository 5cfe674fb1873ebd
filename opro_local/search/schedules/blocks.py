"""Scoring in blocks of rows, with solutions dropped between blocks: what both races share.

For: asking block by block. Not for: who is dropped, how many rows come next, or in which order they
are drawn (race.py, halve.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from opro_local.search import racing
from opro_local.search.state import Candidates, SearchState
from opro_local.types import Batches, Score


@dataclass(frozen=True, slots=True)
class Standing:
    """What the solutions of a race earned so far.

    Attributes:
        values: shape (solutions, n), row by row in the order drawn; NaN from where one was dropped.
        figures: shape (solutions,), the value of all these rows; NaN for those dropped.
    """

    values: np.ndarray
    figures: np.ndarray


class RaceRules(Protocol):
    """What a race decides by."""

    def order(self, state: SearchState, step: int, total: int) -> np.ndarray:
        """Shape (total,): the positions of all train rows, in the order they are drawn."""

    def next_rows(self, state: SearchState, alive: int, done: int, total: int) -> int:
        """How many rows the next block has, at least 1, where `done` were drawn."""

    def losers(
        self, state: SearchState, standing: Standing, incumbent: np.ndarray, total: int
    ) -> np.ndarray:
        """Who is scored no further; shape (solutions,), bool, true for those dropped before.

        Args:
            state: the search.
            standing: what was scored so far.
            incumbent: shape (n,), the best solution of earlier steps on the same rows.
            total: rows of the split.
        """


def score_in_blocks(rules: RaceRules, state: SearchState, candidates: Candidates) -> Batches:
    """Score solutions on the same blocks of train rows until all rows are scored, or no solution is
    left. After each block but the last the rules say who is dropped.

    Args:
        rules: the race's.
        state: the search; its trajectory has a reference, the incumbent.
        candidates: those of the step.
    """
    reference = state.trajectory.reference
    if reference is None:
        raise ValueError("a race needs a solution that was scored on all rows before")
    incumbent = reference.score
    order = rules.order(state, candidates.step, incumbent.n)
    race = _Race(len(candidates.solutions), order)
    block = 0
    while race.alive and race.done < incumbent.n:
        count = rules.next_rows(state, len(race.alive), race.done, incumbent.n)
        rows = order[race.done : race.done + count]
        asked = [candidates.solutions[i] for i in race.alive]
        label = f"{candidates.step}/train/{block}"
        batches = state.row_problem.evaluate(asked, "train", label, rows.tolist())
        results = yield from state.trajectory.count_costs(batches)
        race.add(results, len(rows))
        block += 1
        if race.done < incumbent.n:
            on_same_rows = incumbent.values[order[: race.done]]
            race.drop(rules.losers(state, race.standing(), on_same_rows, incumbent.n))
    state.enter(candidates, race.results(), "train", dropping=True)


class _Race:
    """What the solutions of one race have earned so far.

    Attributes:
        alive: positions of the solutions that are still scored, ascending.
        done: how many rows were drawn.
    """

    def __init__(self, solutions: int, order: np.ndarray) -> None:
        self.alive = list(range(solutions))
        self.done = 0
        self._order = order
        self._values = np.full((solutions, len(order)), np.nan)
        self._parts: list[list[Score]] = [[] for _ in range(solutions)]
        self._refusals: dict[int, str] = {}

    def standing(self) -> Standing:
        """What was scored so far."""
        values = self._values[:, : self.done]
        figures = values.mean(axis=1)
        for i in self.alive:
            measures = [part.measure for part in self._parts[i] if part.measure is not None]
            if measures:
                figures[i] = measures[0].joined(measures[1:]).value()
        return Standing(values, figures)

    def add(self, results: Sequence[Score | str], rows: int) -> None:
        """Take in a block of so many rows: for each solution alive its score, or why it has none.

        A solution that can't be scored stays NaN, which the rules count as dropped.
        """
        block = slice(self.done, self.done + rows)
        self.done += rows
        for i, result in zip(self.alive, results, strict=True):
            if isinstance(result, str):
                self._refusals[i] = result
            else:
                self._parts[i].append(result)
                self._values[i, block] = result.values

    def drop(self, losers: np.ndarray) -> None:
        """Score these no further; shape (solutions,), bool."""
        self.alive = [i for i in self.alive if not losers[i]]

    def results(self) -> list[Score | str]:
        """For each solution its score on all that it was scored on, or why it has none.

        Those that were dropped together share the array of their rows: a long search keeps many.
        """
        results: list[Score | str] = []
        shared: dict[int, np.ndarray] = {}
        for number, parts in enumerate(self._parts):
            if number in self._refusals:
                results.append(self._refusals[number])
                continue
            score = racing.joined(parts, self._order)
            if score.rows is not None:
                score = replace(score, rows=shared.setdefault(score.n, score.rows))
            results.append(score)
        return results
