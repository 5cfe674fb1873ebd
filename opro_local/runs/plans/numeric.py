"""Plans of the numeric problems of the paper's section 4: linear regression and the travelling
salesman.

For: from a config to a Plan that ends when the optimum is found. Not for: the problems themselves.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from opro_local.config.problem import LinearRegressionSettings, TspSettings
from opro_local.config.settings import Config
from opro_local.models.cards import Card
from opro_local.problems.numeric import tsp, tsp_points
from opro_local.problems.numeric.linear_regression import LinearRegression
from opro_local.runs.plans.plan import Plan, assemble, cards_of
from opro_local.search.metaprompts import metaprompt


def linear_regression_plan(config: Config) -> Plan:
    """w and b of a line; see make_plan."""
    cards = cards_of(config, ("optimizer",))
    form, constrained = _asked(config, cards["optimizer"])
    assert isinstance(config.problem, LinearRegressionSettings)
    problem = LinearRegression(config, config.problem, constrained)
    return assemble(
        _minimizing(config, problem.target),
        problem,
        cards,
        form=form,
        shares=False,
        conclude=problem.conclude,
    )


def tsp_plan(config: Config) -> Plan:
    """A tour through points drawn or read from a file; see make_plan."""
    cards = cards_of(config, ("optimizer",))
    form, constrained = _asked(config, cards["optimizer"])
    assert isinstance(config.problem, TspSettings)
    points = _points(config)
    problem = tsp.Tsp(config, config.problem, points, metaprompt.load(form), constrained)
    unknown = (
        f"the shortest tour through {problem.nodes} points is not known here: no gap can be given"
    )
    return assemble(
        _minimizing(config, problem.target),
        problem,
        cards,
        form=form,
        identity={"points": hashlib.sha256(points.distances.tobytes()).hexdigest()[:16]},
        notices=() if problem.optimum else (unknown,),
        shares=False,
        conclude=problem.conclude,
    )


def _asked(config: Config, card: Card) -> tuple[str, bool]:
    """The form for this model, and whether its replies are constrained: small models get both made
    for them.
    """
    kind, decoding = config.problem.kind, config.problem.decoding
    form = config.search.metaprompt
    if form == "auto":
        form = kind if card.metaprompt in ("brackets", "tags") else f"{kind}-continuation"
    return form, decoding == "constrained" or (
        decoding == "auto" and not metaprompt.load(form).chat
    )


def _points(config: Config) -> tsp_points.Points:
    settings = config.problem
    if settings.data_file:
        return tsp_points.read(Path(settings.data_file))
    rng = np.random.default_rng(np.random.SeedSequence((config.run.seed, 0, tsp.POINTS)))
    return tsp_points.draw(settings.nodes, settings.span, settings.decimals, rng)


def _minimizing(config: Config, target: float | None) -> Config:
    """The config with the target that ends the search; scores lie below 0, where the default
    threshold hides all.
    """
    settings = config.search
    changes = {} if "threshold" in settings.model_fields_set else {"threshold": -sys.float_info.max}
    if settings.target_score is None:
        changes["target_score"] = target
    return config.model_copy(update={"search": settings.model_copy(update=changes)})
