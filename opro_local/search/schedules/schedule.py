"""What a schedule is, and how the one that a config asks for is made.

For: the contract. Not for: any schedule's own work, or which there are (table.py).
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Protocol

from opro_local.search.schedules.choice import choose_schedule
from opro_local.search.schedules.table import SCHEDULES
from opro_local.search.state import Candidates, SearchState
from opro_local.types import Batches


class Schedule(Protocol):
    """Scores solutions on train.

    A schedule has no state of its own: all it knows is in the search's state, so that a replayed
    search asks for the same rows again. Both generators enter every solution in the trajectory, or
    reject it.
    """

    def pairs(self, solutions: int, rows: int) -> int:
        """At most how many pairs of a solution and a row a step with so many solutions costs."""

    def score_seeds(self, state: SearchState, seeds: Candidates) -> Batches:
        """Score the starting solutions, at least one. The first is the baseline: it sees all rows,
        and scores on a part of the rows are compared with those on all.
        """

    def score_step(self, state: SearchState, candidates: Candidates) -> Batches:
        """Score the candidates of a later step, at least one."""


def make_schedule(state: SearchState) -> Schedule:
    """The schedule that the search's config asks for; where it says "auto", the one that suits the
    search and the machine.
    """
    rows = answer_tokens = 0
    if state.config.evaluation.running and state.config.problem.kind == "prompt":
        problem = state.row_problem
        rows, answer_tokens = len(problem.targets()), problem.answer_tokens
    name = choose_schedule(state.config, rows, answer_tokens).schedule
    schedule: Schedule = resolve_name(SCHEDULES[name].location)()
    return schedule
