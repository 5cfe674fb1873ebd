"""What the plans of the paper's numeric problems (section 4) share.

For: asking a model in a way that it can follow, and a search that ends at the optimum. Not for: any
one problem (linear_regression.py, tsp.py).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Protocol

from opro_local.config.problem import LinearRegressionSettings, TspSettings
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.models.cards import Card
from opro_local.problems.numeric.numeric import NumericFigures
from opro_local.runs import result
from opro_local.runs.plans.plan import Summarize
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.search.loop import SearchResult
from opro_local.search.metaprompts import metaprompt
from opro_local.search.required import asked_for
from opro_local.search.trajectory import Trajectory


class MinimizedProblem(Protocol):
    """What the result of a numeric problem is made with."""

    def figures(self, trajectory: Trajectory) -> NumericFigures:
        """The best beside the optimum and the baselines."""

    def ending(self, reason: str, figures: NumericFigures) -> str:
        """Why the search ended, in the problem's own words where its target was reached."""


def form_and_constraint(
    config: Config, settings: LinearRegressionSettings | TspSettings, card: Card
) -> tuple[str, bool]:
    """The meta-prompt form for this model, and whether its replies are constrained: small models
    get both made for them.
    """
    form = config.search.metaprompt
    if form == "auto":
        follows_marks = card.metaprompt in ("brackets", "tags")
        form = settings.kind if follows_marks else f"{settings.kind}-continuation"
    if settings.decoding == "auto":
        return form, not metaprompt.load(form).chat
    return form, settings.decoding == "constrained"


def minimizing(config: Config, target: float | None) -> Config:
    """The config with the target that ends the search; scores lie below 0, where the default
    threshold hides all.

    Args:
        config: what was asked for; what it says itself of target and threshold stays.
        target: the score of the optimum; None where it is not known.

    Raises:
        UsageError: `search.required` is set.
    """
    settings = config.search
    if asked_for(settings):
        raise UsageError(
            "search.required: the solutions of a numeric problem are numbers and hold no texts",
            "leave it out",
        )
    changes: dict[str, Any] = {}
    if "threshold" not in settings.model_fields_set:
        changes["threshold"] = -sys.float_info.max
    if settings.target_score is None:
        changes["target_score"] = target
    return config.model_copy(update={"search": settings.model_copy(update=changes)})


def summarizing(problem: MinimizedProblem) -> Summarize:
    """What makes the outcome of a numeric problem's search."""

    def summarize(trajectory: Trajectory, ended: SearchResult, alpha: float) -> SearchOutcome:
        figures = problem.figures(trajectory)
        # Steps that scored nothing count too: each asked the optimizer.
        steps = [entry.step for entry in trajectory.entries]
        steps += [rejection.step for rejection in trajectory.rejections]
        return replace(
            result.summarize(trajectory, ended, alpha),
            reason=problem.ending(ended.reason, figures),
            steps=max(steps),
            numeric=figures,
            summary=figures.summary(),
        )

    return summarize
