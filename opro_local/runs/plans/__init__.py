"""From a config to a plan: one module per kind of problem, and the table that lists them.

For: choosing the kind. Everything that can be found wrong without a model in memory is found here,
before anything is written. A new kind of problem is its settings in config/problem.py, a module in
this folder, and one line in PLANS. Not for: running a plan (run.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.runs.plans.agent_file import agent_file_plan
from opro_local.runs.plans.command import command_plan
from opro_local.runs.plans.function import function_plan
from opro_local.runs.plans.linear_regression import linear_regression_plan
from opro_local.runs.plans.plan import Plan, guard_as_set
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.plans.tsp import tsp_plan

__all__ = ["PLANS", "Plan", "make_plan"]

# What `problem.kind` may be, and what makes its plan.
PLANS: Mapping[str, Callable[[Config], Plan]] = {
    "prompt": prompt_plan,
    "linear_regression": linear_regression_plan,
    "tsp": tsp_plan,
    "function": function_plan,
    "command": command_plan,
    "agent_file": agent_file_plan,
}


def make_plan(config: Config) -> Plan:
    """Check everything that can be checked without a model in memory; nothing is written.

    Raises:
        UsageError, DataError, ModelError: what is wrong and what to do.
    """
    guard_as_set(config)
    kind = config.problem.kind
    if config.evaluation.vote > 1 and kind != "prompt":
        raise UsageError(
            f"evaluation.vote = {config.evaluation.vote}: a problem of kind {kind} has no labels",
            "leave it out",
        )
    return PLANS[kind](config)
