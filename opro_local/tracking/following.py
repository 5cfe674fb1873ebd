"""A tracker that is told of a run, or of a sweep, while it goes on: `run.track`.

For: a Listener that has a process of its own look at the store after each step. Not for: writing
(child.py). The process reads the store as any reader does; a run never waits for it but at its end,
and then END_SECONDS at most. A tracker that fails, hangs or is not installed is said once.

    with following(plan.config.run.track, folder, listener) as listener:
        run(plan, folder, listener)
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from opro_local.errors import OproError
from opro_local.runs.events import Event, Listener, TrajectoryGrowth
from opro_local.tracking.process import Job, failure, start
from opro_local.tracking.tracker import default_folder, require_package

# What a tracker gets for its last pass, once the run has ended.
END_SECONDS = 60.0


@contextmanager
def following(names: Sequence[str], folder: Path, listener: Listener) -> Iterator[Listener]:
    """The listener of a run, by which trackers hear of it as well.

    Args:
        names: of trackers; none gives the listener as it is.
        folder: the run's.
        listener: the run's own.
    """
    if not names:
        yield listener
        return
    with looking(names, folder, listener.notify) as look:

        def report(event: Event) -> None:
            listener.report(event)
            if isinstance(event, TrajectoryGrowth):
                look()

        yield replace(listener, report=report)


@contextmanager
def looking(
    names: Sequence[str], path: Path, notify: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Trackers of a run or a sweep; gives what has them look at it, which never waits.

    Args:
        names: of trackers.
        path: of the run or the sweep; it need not be there before the first look.
        notify: told once of each tracker that fails.
    """
    trackers = [Follower(Job(name, path, default_folder(path, name)), notify) for name in names]

    def look() -> None:
        for tracker in trackers:
            tracker.look()

    try:
        yield look
    finally:
        for tracker in trackers:
            tracker.close()
        for tracker in trackers:
            tracker.end(END_SECONDS)


class Follower:
    """One tracker's process, started with the first look."""

    def __init__(self, job: Job, notify: Callable[[str], None]) -> None:
        self._job, self._notify = job, notify
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._is_over = False

    def look(self) -> None:
        """Have it look at the store once it has time. Does not wait."""
        if self._is_over:
            return
        if self._child is None:
            self._start()
            return
        if self._child.poll() is not None:
            self._tell_end()
        elif self._child.stdin is not None:
            # A pipe that is full holds enough lines to be looked at.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._child.stdin.fileno(), b"\n")

    def close(self) -> None:
        """Ask for the last pass."""
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    def end(self, seconds: float) -> None:
        """Wait for the last pass, and end the process where that takes longer. `close` first."""
        if self._child is None or self._is_over:
            return
        try:
            self._child.wait(seconds)
            self._tell_end()
        except subprocess.TimeoutExpired:
            self._say(
                f"{self._job.tracker}: not done {seconds:g} s after the run; opro-local track "
                f"{self._job.path} --to {self._job.tracker} writes what is missing"
            )
        finally:
            self._child.kill()
            self._child.wait()
            self._let_go()

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by _let_go
        try:
            require_package(self._job.tracker)
            self._child = start(self._job, self._errors, goes_on=True)
        except OproError as error:
            self._say(str(error))
            self._let_go()
            return
        if self._child.stdin is not None:
            os.set_blocking(self._child.stdin.fileno(), False)

    def _tell_end(self) -> None:
        """Say how the process ended, where it did not end well, and what is not written."""
        if self._child is None or self._child.stdout is None or self._errors is None:
            return
        said = self._child.stdout.read()
        reply = json.loads(said) if said else {}
        if self._child.returncode or "notices" not in reply:
            self._say(str(failure(self._job, reply, self._errors, self._child.returncode)))
            return
        self._is_over = True
        for line in reply["notices"]:
            self._notify(f"{self._job.tracker}: {line}")

    def _say(self, line: str) -> None:
        """Tell the one line that there is to tell of a tracker that is of no more use."""
        self._is_over = True
        self._notify(" ".join(line.split()))

    def _let_go(self) -> None:
        """Close what this end has open."""
        streams: list[IO[bytes] | None] = [self._errors]
        if self._child is not None:
            streams += [self._child.stdin, self._child.stdout]
        for stream in streams:
            if stream is not None:
                stream.close()
