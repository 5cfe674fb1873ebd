"""Plans of the travelling salesman problem (paper section 4.2).

For: from a config to a plan that ends when the optimum is found, where one is known. Not for: the
problem itself (problems/numeric/tsp.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from opro_local.config.problem import TspSettings
from opro_local.config.settings import Config
from opro_local.problems.numeric import tsp, tsp_points
from opro_local.runs.plans.numeric import form_and_constraint, minimizing, summarizing
from opro_local.runs.plans.plan import Plan, cards_of, problem_settings, search_plan
from opro_local.search.metaprompts import metaprompt


def tsp_plan(config: Config) -> Plan:
    """A search for a tour through points drawn or read from a file. Raises UsageError, DataError,
    ModelError.
    """
    settings = problem_settings(config, TspSettings)
    cards = cards_of(config, ("optimizer",))
    form, constrained = form_and_constraint(config, settings, cards["optimizer"])
    points = _points(settings, config.run.seed)
    problem = tsp.Tsp(config, settings, points, metaprompt.load(form), constrained)
    unknown = (
        f"the shortest tour through {problem.nodes} points is not known here: no gap can be given"
    )
    plan = search_plan(minimizing(config, problem.target), problem, cards, form)
    return replace(
        plan,
        identity={"points": hashlib.sha256(points.distances.tobytes()).hexdigest()[:16]},
        notices=plan.notices if problem.optimum else (*plan.notices, unknown),
        shares=False,
        summarize=summarizing(problem),
    )


def _points(settings: TspSettings, seed: int) -> tsp_points.Points:
    """The points of the file that the settings name, or drawn ones."""
    if settings.data_file:
        return tsp_points.read(Path(settings.data_file))
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0, tsp.POINTS)))
    return tsp_points.draw(settings.nodes, settings.span, settings.decimals, rng)
