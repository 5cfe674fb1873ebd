"""What a tracker must do, and which there are.

For: the protocol that mlflow.py and trackio.py keep to, and the table of both. Not for: what is
written (record.py), or in which order (writing.py).

A new tracker is a file beside these, a line in TRACKERS and its name in `run.track`
(config/settings.py).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from opro_local.errors import OproError, UsageError
from opro_local.tracking.mlflow import Mlflow
from opro_local.tracking.record import TrackedRun
from opro_local.tracking.trackio import Trackio

EXPERIMENT = "opro-local"


class TrackerError(OproError):
    """A tracker failed; the run it was told of is as it was."""

    exit_code = 6


class Tracker(Protocol):
    """Where runs are written, in a folder of this machine.

    Whatever the tracker's package raises passes through: it ends the process that writes.
    """

    def write(self, run: TrackedRun, parent: str = "") -> tuple[str, ...]:
        """Write a run, or bring what is there of it up to date.

        Afterwards there is one run of its key, with its points, params and tags and no others of
        ours. What is there already is not written again; where something there says otherwise, it
        is replaced.

        Args:
            run: what to write.
            parent: the key of the run that it belongs under, written before; "" for none.

        Returns:
            what could not be written, each in one line.
        """

    def place(self) -> str:
        """How to look at it: a command."""


# Given the folder and the name of the experiment.
TRACKERS: Mapping[str, Callable[[Path, str], Tracker]] = {"mlflow": Mlflow, "trackio": Trackio}


def require_package(name: str) -> None:
    """Raise UsageError where there is no such tracker, or its package is not installed."""
    if name not in TRACKERS:
        raise UsageError(f"there is no tracker {name!r}", f"accepted: {', '.join(TRACKERS)}")
    if importlib.util.find_spec(name) is None:
        raise UsageError(f"{name} is not installed here", f"pip install 'opro-local[{name}]'")


def default_folder(path: Path, name: str) -> Path:
    """Where a tracker keeps what it is told of a run or a sweep: beside its folder."""
    return path.absolute().parent / name
