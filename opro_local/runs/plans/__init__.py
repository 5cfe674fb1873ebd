"""From a config to a plan: one module per family of problems.

For: choosing the family. Everything that can be found wrong without a model in memory is found
here, before anything is written. Not for: running a plan (run.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opro_local.config.settings import Config
from opro_local.runs.plans.numeric import linear_regression_plan, tsp_plan
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.program import agent_file_plan, command_plan, function_plan
from opro_local.runs.plans.prompt import prompt_plan

__all__ = ["Plan", "make_plan"]

_PLANS: Mapping[str, Callable[[Config], Plan]] = {
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
    return _PLANS[config.problem.kind](config)
