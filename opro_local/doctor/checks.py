"""The table of checks, in the order in which their lines are shown.

For: the one place that lists them. A new check is a function of a Machine that gives findings, and
a line here. Not for: what needs a model or a config (trial.py, prepared.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opro_local.doctor import graphics, surroundings
from opro_local.doctor.finding import Finding
from opro_local.doctor.machine import Machine

Check = Callable[[Machine], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    graphics.check_gpu,
    graphics.check_driver,
    graphics.check_cuda,
    graphics.check_capability,
    graphics.check_gpu_memory,
    surroundings.check_packages,
    surroundings.check_memory,
    surroundings.check_shared_memory,
    surroundings.check_places,
    surroundings.check_clock,
    surroundings.check_network,
    surroundings.check_models,
)


def examine(machine: Machine) -> list[Finding]:
    """What every check finds on a machine, in the table's order."""
    return [finding for check in CHECKS for finding in check(machine)]
