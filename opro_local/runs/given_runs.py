"""What a caller gives `run` and `run_many`: looked at before any of it begins.

For: one line that names what is wrong with which of the runs, listeners and limits. Not for: what a
run finds wrong with its own config or folder, which ends that run alone (run.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config
from opro_local.engines.pool import EnginePool
from opro_local.errors import UsageError
from opro_local.files import given_path
from opro_local.runs.events import SILENT, Listener
from opro_local.runs.plans import Plan

Work = Config | Plan
WORK = "give a Config, as config.reading.build or read makes one, or a Plan"
RUNS = "give a list of pairs: a Config or a Plan, and the run's folder"
LISTENERS = "give one listener for each run, or none"


def runs_given(runs: Any) -> list[tuple[Work, Path]]:
    """What each run is to do, and its folder.

    Args:
        runs: what was given in the place of a sequence of pairs.

    Raises:
        UsageError: it is no such sequence; names the first item that is none.
    """
    return [
        _run_given(one, f"runs[{place}]") for place, one in enumerate(_listed(runs, "runs", RUNS))
    ]


def _listed(value: Any, name: str, hint: str) -> Sequence[Any]:
    """The value, where it is several things in order."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise UsageError(f"{name} is {_shown(value)}, no list", hint)
    return value


def _run_given(one: Any, name: str) -> tuple[Work, Path]:
    """Raises UsageError."""
    if not isinstance(one, (tuple, list)):
        raise UsageError(f"{name} is {_shown(one)}, no pair", RUNS)
    if len(one) != 2:
        raise UsageError(f"{name} has {len(one)} parts, not two", RUNS)
    return work_given(one[0], f"{name}[0]"), given_path(one[1], f"{name}[1]")


def work_given(work: Any, name: str) -> Work:
    """What a run is to do.

    Args:
        work: what was given.
        name: what the call names it.

    Raises:
        UsageError: it is neither a Config nor a Plan.
    """
    if not isinstance(work, (Config, Plan)):
        raise UsageError(f"{name} is {_shown(work)}, no Config and no Plan", WORK)
    return work


def _shown(value: Any) -> str:
    """A value in a message: its kind, and the value where it is short by nature."""
    if value is None or isinstance(value, (str, bytes, int, float)):
        return f"{value!r:.60}"
    return f"a {type(value).__name__}"


def listeners_given(listeners: Any, count: int) -> list[Listener]:
    """One listener for each run; those that hear nothing where none was given.

    Raises:
        UsageError: there is another number of them, or one is none.
    """
    if listeners is None or (isinstance(listeners, (tuple, list)) and not listeners):
        return [SILENT] * count
    listeners = _listed(listeners, "listeners", LISTENERS)
    if len(listeners) != count:
        raise UsageError(f"{len(listeners)} listeners for {count} runs", LISTENERS)
    return [listener_given(one, f"listeners[{place}]") for place, one in enumerate(listeners)]


def listener_given(listener: Any, name: str) -> Listener:
    """Raises UsageError where it is no Listener."""
    if not isinstance(listener, Listener):
        hint = "give a Listener of runs.events, such as Listener(report=print)"
        raise UsageError(f"{name} is {_shown(listener)}, no Listener", hint)
    return listener


def limit_given(at_once: Any) -> int | None:
    """How many runs are under way at most; None where nobody said, or 0.

    Raises:
        UsageError: it is no whole number, or under 0.
    """
    is_whole = type(at_once) is int and at_once >= 0
    if not is_whole and at_once is not None:
        raise UsageError(
            f"at_once is {_shown(at_once)}, no number of runs",
            "give a whole number from 1, or None for all",
        )
    return at_once or None


def pool_given(pool: Any) -> EnginePool | None:
    """Raises UsageError where it is no pool."""
    if pool is not None and not isinstance(pool, EnginePool):
        raise UsageError(
            f"pool is {_shown(pool)}, no EnginePool", "give one of engines.pool, or None"
        )
    return pool
