"""Groups on this machine: a process each, on GPUs of its own or on its share of the cores.

For: one execution of a sweep (execution.py). Not for: what a group does in there (group.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from opro_local.engines.gpus import gpus, visible_devices
from opro_local.files import make_private_folder, open_private, read_bytes
from opro_local.sweeps.group import GroupWork

# How much of a dead group's log is looked at for its last line.
LOG_BYTES = 4000
MOST_OF_LINE = 300


class Local:
    """Groups side by side on the GPUs that there are; without any, one after another or on so many
    workers.

    Args:
        workers: how many groups at once at most; None: as many as the GPUs have room for, and one
            where there is none. Without GPUs each worker is held to cores of its own, where there
            are enough.
    """

    when_stopped = "nothing is lost, the same command goes on"

    def __init__(self, workers: int | None = None) -> None:
        self._gpus = _gpu_names()
        self._free_gpus = list(self._gpus)
        self._workers = workers or (max(1, len(self._gpus)))
        self._free_cores = [] if self._gpus else _core_sets(self._workers)
        self._running: list[LocalGroup] = []

    def rejoin(self, folder: Path) -> Sequence[tuple[GroupWork, LocalGroup]]:
        """See Execution.rejoin: a group ends with the process that started it."""
        return ()

    def places(self, gpus: Sequence[int]) -> int:
        """See Execution.places."""
        if not self._gpus:
            return self._workers
        return max(1, min(self._workers, len(self._gpus) // max(gpus, default=1)))

    def start(self, work: GroupWork) -> LocalGroup | None:
        """See Execution.start. A group that wants more GPUs than there are gets all, and its
        engine says what is wrong.
        """
        self._take_back()
        wanted = min(work.gpus, len(self._gpus))
        if len(self._running) >= self._workers or wanted > len(self._free_gpus):
            return None
        taken = [self._free_gpus.pop(0) for _ in range(wanted)]
        cores = self._free_cores.pop(0) if self._free_cores else []
        self._running.append(LocalGroup(work, taken, cores))
        return self._running[-1]

    def _take_back(self) -> None:
        """Free the GPUs and cores of groups that have ended."""
        for group in [one for one in self._running if one.poll() is not None]:
            self._running.remove(group)
            self._free_gpus = sorted([*self._free_gpus, *group.gpus], key=self._gpus.index)
            if group.cores:
                self._free_cores.append(group.cores)


class LocalGroup:
    """A group in a child process.

    Args:
        work: what it runs.
        gpus, cores: see below.
        blocked: signals that neither it nor what it starts gets.

    Attributes:
        gpus: the GPUs that it has, as CUDA_VISIBLE_DEVICES names them; empty for those of this
            process.
        cores: the cores that it is held to; empty for all.
    """

    def __init__(
        self,
        work: GroupWork,
        gpus: Sequence[str] = (),
        cores: Sequence[int] = (),
        blocked: Collection[signal.Signals] = (),
    ) -> None:
        self.gpus, self.cores = list(gpus), list(cores)
        self._log = work.journal.with_suffix(".log")
        environment = dict(os.environ)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
            # The numbers are nvidia-smi's, and CUDA's own begin with the fastest GPU.
            environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        make_private_folder(self._log.parent)
        log = open_private(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        # A child inherits what is blocked, through every exec; Ray's actors have SIGINT blocked.
        before = signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        try:
            self._child = subprocess.Popen(
                # -P: a file in the working directory must not stand in for a module.
                [sys.executable, "-P", "-m", "opro_local.sweeps.group"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                # Ctrl-C in the terminal is the sweep's business.
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(log)
        self._say(json.dumps({"work": work.to_json(), "cores": self.cores}, default=str) + "\n")

    def poll(self) -> str | None:
        """See Running.poll."""
        code = self._child.poll()
        if code is None or code == 0:
            return None if code is None else ""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended with {how}{_last_line(self._log)}"

    def stop(self) -> None:
        """See Running.stop."""
        self._say("stop\n")

    def interrupt(self) -> None:
        """See Running.interrupt: as Ctrl-C would."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """See Running.kill: its engines end with it."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def _say(self, line: str) -> None:
        assert self._child.stdin is not None  # it is a pipe
        try:
            self._child.stdin.write(line.encode())
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; poll says how


def _gpu_names() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    there = gpus()
    return visible_devices() or [str(number) for number in range(len(there))] if there else []


def _core_sets(workers: int) -> list[list[int]]:
    """Cores for each of several workers; empty where one has all, or there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    if workers < 2 or workers > len(cores):
        return []
    return [cores[number::workers] for number in range(workers)]


def _last_line(log: Path) -> str:
    """The end of what a dead process wrote, as the end of a message."""
    try:
        lines = read_bytes(log)[-LOG_BYTES:].decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return f": {said[-1][:MOST_OF_LINE]} (see {log})" if said else f" (see {log})"
