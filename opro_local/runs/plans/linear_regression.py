"""Plans of linear regression (paper section 4.1).

For: from a config to a plan that ends when the optimum is found. Not for: the problem itself
(problems/numeric/linear_regression.py).
"""

from __future__ import annotations

from dataclasses import replace

from opro_local.config.problem import LinearRegressionSettings
from opro_local.config.settings import Config
from opro_local.problems.numeric.linear_regression import LinearRegression
from opro_local.runs.plans.numeric import form_and_constraint, minimizing, summarizing
from opro_local.runs.plans.plan import Plan, cards_of, problem_settings, search_plan


def linear_regression_plan(config: Config) -> Plan:
    """A search for w and b of a line. Raises UsageError, ModelError."""
    settings = problem_settings(config, LinearRegressionSettings)
    cards = cards_of(config, ("optimizer",))
    form, constrained = form_and_constraint(config, settings, cards["optimizer"])
    problem = LinearRegression(config, settings, constrained)
    return replace(
        search_plan(minimizing(config, problem.target), problem, cards, form),
        shares=False,
        summarize=summarizing(problem),
    )
