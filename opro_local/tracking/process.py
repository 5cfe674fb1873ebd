"""Starts the process that writes to a tracker, and says in one line how it ended.

For: one pass over what is on disk (`track`), and the process of a run that goes on (following.py).
Not for: what is written (writing.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from opro_local.errors import OproError
from opro_local.tracking.tracker import (
    EXPERIMENT,
    TrackerError,
    default_folder,
    require_package,
)
from opro_local.tracking.writing import is_sweep

MODULE = "opro_local.tracking.child"
LONGEST_LINE = 300  # characters of what a tracker said last


@dataclass(frozen=True, slots=True)
class Job:
    """What is written where.

    Attributes:
        tracker: a name in TRACKERS.
        path: of a run or a sweep.
        folder: where the tracker keeps it.
        experiment: the name there.
    """

    tracker: str
    path: Path
    folder: Path
    experiment: str = EXPERIMENT

    def line(self, goes_on: bool) -> bytes:
        """As the process reads it."""
        record = {
            "tracker": self.tracker,
            "path": str(self.path.absolute()),
            "folder": str(self.folder.absolute()),
            "experiment": self.experiment,
            "goes_on": goes_on,
        }
        return json.dumps(record).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is in the tracker now.

    Attributes:
        job: what was asked for.
        runs: each run's "path" and "state", a sweep's first.
        notices: what is not written, each in one line.
        place: a command that shows it.
    """

    job: Job
    runs: tuple[Mapping[str, str], ...]
    notices: tuple[str, ...]
    place: str

    def to_json(self) -> dict[str, Any]:
        """As `track --json` prints it."""
        return {
            "tracker": self.job.tracker,
            "folder": str(self.job.folder.absolute()),
            "experiment": self.job.experiment,
            "runs": [dict(run) for run in self.runs],
            "notices": list(self.notices),
            "place": self.place,
        }


def track(path: Path, name: str, folder: Path | None = None, experiment: str = "") -> Tracked:
    """Write a run or a sweep to a tracker, or bring what is there up to date.

    Args:
        path: of the run or the sweep.
        name: of the tracker, in TRACKERS.
        folder: where the tracker keeps it; None is beside the run's folder, by the tracker's name.
        experiment: the name there; "" is EXPERIMENT.

    Raises:
        UsageError: there is no such tracker, or its package is not installed.
        StoreError: there is no run, or it is damaged; nothing is written then.
        TrackerError: the tracker failed.
    """
    is_sweep(path)
    require_package(name)
    job = Job(name, path, folder or default_folder(path, name), experiment or EXPERIMENT)
    with tempfile.TemporaryFile() as errors:
        child = start(job, errors, goes_on=False)
        try:
            said, _ = child.communicate()
        finally:
            child.kill()
            child.wait()
        lines = said.splitlines()
        last = json.loads(lines[-1]) if lines else {}
        if child.returncode or "runs" not in last:
            raise failure(job, last, errors, child.returncode)
    return Tracked(job, tuple(last["runs"]), tuple(last["notices"]), last["place"])


def start(job: Job, errors: IO[bytes], goes_on: bool) -> subprocess.Popen[bytes]:
    """Start the process and give it its job.

    Args:
        job: what it does.
        errors: where its stderr goes.
        goes_on: whether further passes may be asked for through its stdin.

    Raises:
        TrackerError: it can't be started.
    """
    pipe = subprocess.PIPE
    try:
        # As in report/view/process.py: no module of the working directory, and Ctrl-C is ours.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=pipe,
            stdout=pipe,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as error:
        raise TrackerError(f"{job.tracker}: can't be started ({error.strerror})") from None
    if child.stdin is not None:
        # Less than a pipe holds, and into an end that is open: this doesn't wait.
        os.write(child.stdin.fileno(), job.line(goes_on))
    return child


def failure(job: Job, last: Mapping[str, Any], errors: IO[bytes], code: int) -> OproError:
    """What the end of the process means: what it said itself, or the last words of a tracker."""
    if "failure" in last:
        error = OproError(f"{job.tracker}: {last['failure']}")
        error.exit_code = last["exit_code"]
        return error
    return TrackerError(f"{job.tracker} failed: {last_words(errors, code)}")


def last_words(errors: IO[bytes], code: int) -> str:
    """The last line of a process' stderr, or by which signal it ended."""
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").splitlines()
    said = [line.strip() for line in lines if line.strip()]
    if code < 0 or not said:
        return f"its process ended with {code}"
    return said[-1][:LONGEST_LINE]
