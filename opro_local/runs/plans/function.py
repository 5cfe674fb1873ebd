"""Plans of problems that a user's Python function scores, and what problems with a score of their
own share.

For: checking the function that a config names, and wiring it. Not for: calling it (programs/), or
the problem itself (problems/function.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from opro_local.config.problem import CommandSettings, FunctionSettings
from opro_local.config.settings import Config
from opro_local.models.cards import Card
from opro_local.problems.function import FunctionProblem, Report, file_digest, returned
from opro_local.programs import load
from opro_local.programs.function import FunctionEngine
from opro_local.protocols import Engine
from opro_local.runs.plans.plan import Plan, cards_of, problem_settings, search_plan
from opro_local.runs.plans.starts import check_required, with_longest
from opro_local.search.required import SINCE
from opro_local.types import Completion, Role


def function_plan(config: Config) -> Plan:
    """A search for the text that a Python function scores highest. Raises UsageError, DataError,
    ModelError.
    """
    settings = problem_settings(config, FunctionSettings)
    function = load.load(settings.function, "problem.function", "text")
    digest = file_digest(load.file_of(settings.function))
    return plan_scored_by(
        config, settings, FunctionEngine(function), returned, {"function": digest}
    )


def plan_scored_by(
    config: Config,
    settings: FunctionSettings | CommandSettings,
    engine: Engine,
    read_score: Callable[[Completion], float | Report | str],
    identity: Mapping[str, str],
    others: Mapping[Role, Engine] | None = None,
    form: str = "",
) -> Plan:
    """A plan whose scores come from the role program, on a scale of their own.

    Args:
        config: what was asked for.
        settings: its `problem`.
        engine: answers the role program.
        read_score: what its completions say, see FunctionProblem.
        identity: see Plan.
        others: further roles that this process answers itself.
        form: the meta-prompt form of an optimizer among them.
    """
    if config.search.revision >= SINCE:
        check_required(config)
    others = others or {}
    cards = {} if "optimizer" in others else cards_of(config, ("optimizer",))
    asked = with_longest(config, cards["optimizer"]) if "optimizer" in cards else config
    problem = FunctionProblem(asked, settings.description, read_score)
    form = form or form_for(cards["optimizer"], "text")
    return replace(
        search_plan(_without_threshold(asked), problem, cards, form),
        # The run is kept under the config as it was given: the one above follows from it.
        config=config,
        others={"program": engine, **others},
        identity=identity,
        shares=False,
    )


def form_for(card: Card, form: str) -> str:
    """The form to ask a model with: this one where it follows a form's marks, as large chat models
    do; small ones and base models continue a list of lines.
    """
    return form if card.metaprompt in ("brackets", "tags") else "text_line"


def _without_threshold(config: Config) -> Config:
    """The default threshold of 0 would hide every negative score, so only one that the user asked
    for holds.
    """
    if "threshold" in config.search.model_fields_set:
        return config
    search = config.search.model_copy(update={"threshold": -math.inf})
    return config.model_copy(update={"search": search})
