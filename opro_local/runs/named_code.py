"""The code that a run's config names: somebody who prepared the run chose it.

For: asking before it runs. Not for: running it (programs/), or code of models (models/trust.py).
"""

from __future__ import annotations

from opro_local.config.settings import Config


def named_code(config: Config) -> list[str]:
    """What of the user's code a plan of this config runs; empty where it runs none."""
    task, kind = config.task, config.problem.kind
    named = [value for value in (task.rule, task.pattern or "") if ".py:" in value]
    if task.rule == "python" or named:
        return named or ["a Python rule"]
    if kind in ("function", "command", "agent_file"):
        return [f"the code of a problem of kind {kind}"]
    return [f"the code beside {task.data}"] if task.harness_code else []
