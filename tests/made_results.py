"""Results made by hand, for tests of what is done with one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opro_local.runs.costs import Costs
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.run_result import RunResult
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.winner import Winner


def made_result(outcome: SearchOutcome | EvaluationOutcome) -> RunResult:
    """The result of a run that cost nothing."""
    return RunResult("made", outcome, Costs({}, {}, {}, 0.0, 0), None, "", True, ())


def made_search(**fields: Any) -> SearchOutcome:
    """The outcome of a search that scored one solution and did not better it."""
    outcome = SearchOutcome(
        reason="all 1 steps done",
        digest="0",
        steps=1,
        baseline="first",
        best=Winner("first", "key"),
        solutions=1,
        rejections={},
        partial=0,
        pairs=0,
        optimism=0.0,
        verdict="not tested",
        alpha=0.05,
    )
    return replace(outcome, **fields)
