"""The code that a run's config names: somebody who prepared the run chose it.

For: asking before it runs. Not for: running it (programs/), or code of models (models/trust.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.config.settings import Config, ModelSettings


def named_code(config: Config) -> list[str]:
    """What of the user's code a plan of this config runs; empty where it runs none."""
    task, kind = config.task, config.problem.kind
    named = [value for value in (task.rule, task.pattern or "") if ".py:" in value]
    if task.rule == "python" or named:
        return named or ["a Python rule"]
    if kind in ("function", "command", "agent_file"):
        return [f"the code of a problem of kind {kind}"]
    return [f"the code beside {task.data}"] if task.harness_code else []


def named_with_models(config: Config, models: Sequence[ModelSettings]) -> list[str]:
    """The same with what these models of it bring: code of their folders, scripts, pickles."""
    named = named_code(config)
    for model in models:
        named += model.trusted_code
        named += [model.script] if model.script else []
        named += ["pickled weights"] if model.allow_pickle else []
    return named
