"""Groups as jobs of a Slurm cluster, through submitit: one job each, which may be requeued.

For: one execution of a sweep (execution.py), and what a job does on its node. Not for: what a group
does in there (group.py), or what may be asked of Slurm (slurm_options.py).

A job is a small process that watches the group's own one (local.py). Slurm's signal before a
preemption or the time limit reaches the watcher alone: it lets the group end after the engine call
in flight and is requeued; the group then goes on from its stores. What submitit pickles is the path
of the group's work and nothing else, for a work may hold secrets.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import EngineError, StoreError, UsageError
from opro_local.files import make_private_folder, read_bytes, write_whole
from opro_local.sweeps.group import WORK, GroupWork, read_work, write_work
from opro_local.sweeps.local import LocalGroup
from opro_local.sweeps.slurm_options import SlurmOptions

JOBS = "jobs"  # the folder of submitit's own files, in that of the journals
JOB, STOP = ".job.json", ".stop"
# How often a job looks whether it is asked to stop.
WATCH_SECONDS = 0.5
MOST_OF_ERROR = 500
QUEUED = ("PENDING", "REQUEUED", "CONFIGURING")


class Slurm:
    """Groups as jobs in Slurm's queue.

    Args:
        options: what the jobs ask for.
        workers: how many jobs at once at most; None: all of them, Slurm makes them wait.
        stops_jobs: whether a sweep that is stopped stops its jobs too. Otherwise they go on, and
            the same command finds them.
    """

    def __init__(
        self, options: SlurmOptions, workers: int | None = None, stops_jobs: bool = False
    ) -> None:
        self._submitit = _submitit()
        # Its lines would stand among the command's own, and on stdout.
        logging.getLogger("submitit").setLevel(logging.ERROR)
        self._options, self._workers, self._stops_jobs = options, workers, stops_jobs
        self._groups: list[SlurmGroup] = []
        self.when_stopped = (
            "its jobs are asked to end; nothing is lost, the same command goes on"
            if stops_jobs
            else "its jobs go on in the queue; the same command watches them again"
        )

    def rejoin(self, folder: Path) -> Sequence[tuple[GroupWork, SlurmGroup]]:
        """See Execution.rejoin."""
        rejoined = []
        for path in sorted(folder.glob(f"*{JOB}")):
            work_file = path.with_name(path.name.removesuffix(JOB) + WORK)
            number, cluster = _job_of(path)
            job = self._job_kind(cluster)(folder / JOBS, number)
            group = SlurmGroup(work_file, job, cluster, self._stops_jobs)
            if work_file.exists() and group.poll() is None:
                rejoined.append((read_work(work_file), group))
            else:
                group.forget()
        self._groups = [group for _, group in rejoined]
        return rejoined

    def places(self, gpus: Sequence[int]) -> int:
        """See Execution.places: a group is divided for more workers alone."""
        return self._workers or max(1, len(gpus))

    def start(self, work: GroupWork) -> SlurmGroup | None:
        """See Execution.start."""
        self._groups = [group for group in self._groups if group.poll() is None]
        if self._workers and len(self._groups) >= self._workers:
            return None
        work_file = write_work(work)
        _beside(work_file, STOP).unlink(missing_ok=True)
        job = self._submit(GroupJob(work_file), work)
        record = {"job": job.job_id, "cluster": self._options.cluster}
        write_whole(_beside(work_file, JOB), json.dumps(record))
        group = SlurmGroup(work_file, job, self._options.cluster, self._stops_jobs)
        self._groups.append(group)
        return group

    def _submit(self, job: GroupJob, work: GroupWork) -> Any:
        """The job in the queue, as submitit has it. Raises EngineError."""
        folder = work.journal.parent / JOBS
        make_private_folder(folder)
        # -P: a file in the working directory must not stand in for a module.
        python = f"{shlex.quote(sys.executable)} -P"
        kind = self._executor_kind()
        try:
            executor = kind(folder, max_num_timeout=self._options.timeouts, python=python)
            executor.update_parameters(**self._options.parameters(work.name, work.gpus))
            return executor.submit(job)
        except (RuntimeError, ValueError, OSError) as error:
            words = " ".join(str(error).split())[:MOST_OF_ERROR]
            raise EngineError(
                f"{work.name}: Slurm takes no job: {words}",
                "correct --slurm, or give the command where jobs are submitted",
            ) from None

    def _executor_kind(self) -> Any:
        is_local = self._options.cluster == "local"
        return self._submitit.LocalExecutor if is_local else self._submitit.SlurmExecutor

    def _job_kind(self, cluster: str) -> Any:
        return self._submitit.LocalJob if cluster == "local" else self._submitit.SlurmJob


class SlurmGroup:
    """A group in a job.

    Args:
        work_file: the group's work, beside which its other files are.
        job: as submitit has it.
        cluster: "slurm", or "local" for processes of this machine in its place.
        stops: whether stopping the sweep stops the job.
    """

    def __init__(self, work_file: Path, job: Any, cluster: str, stops: bool) -> None:
        self._work_file, self._job, self._stops = work_file, job, stops
        self._is_local = cluster == "local"
        self._is_left = False
        self._end: str | None = None

    def poll(self) -> str | None:
        """See Running.poll; "" too once the job is left to itself."""
        if self._is_left:
            return ""
        if self._end is None and self._has_ended():
            self._end = self._how()
            self.forget()
        return self._end

    def stop(self) -> None:
        """See Running.stop. A job that still waits in the queue is taken out of it."""
        if not self._stops:
            self._is_left = True
            return
        with contextlib.suppress(OSError):  # a full disk: the job ends as soon as it is killed
            write_whole(_beside(self._work_file, STOP), "")
        if not self._is_local and self._job.get_info().get("State", "") in QUEUED:
            self._cancel()

    def interrupt(self) -> None:
        """See Running.interrupt: the job is cancelled."""
        self._is_left = not self._stops
        if self._stops and not self._has_ended():
            self._cancel()

    def kill(self) -> None:
        """See Running.kill. Slurm may take half a minute; the next command waits for it."""
        self.interrupt()

    def forget(self) -> None:
        """Remove what another command would find the job by, and its work."""
        for ending in (JOB, STOP, WORK):
            _beside(self._work_file, ending).unlink(missing_ok=True)

    def _has_ended(self) -> bool:
        if self._job.paths.result_pickle.exists():
            return True
        if self._is_local:
            return not _is_controller(self._job.job_id)
        return bool(self._job.done())

    def _how(self) -> str:
        """How the job ended, as poll says it."""
        number = self._job.job_id
        if not self._job.paths.result_pickle.exists():
            state = self._job.state
            return f"its job {number} ended as {state} (see {self._job.paths.stderr})"
        error = self._job.exception()
        if error is not None:
            said = [line.strip() for line in str(error).splitlines() if line.strip()]
            words = next((line for line in reversed(said) if "Error" in line), said[0])
            return f"its job {number} failed: {words[:MOST_OF_ERROR]}"
        return str(self._job.result())

    def _cancel(self) -> None:
        if not self._is_local:
            self._job.cancel(check=False)
        elif _is_controller(self._job.job_id):
            os.kill(int(self._job.job_id), signal.SIGINT)


class GroupJob:
    """What a job does: watch the group's process to its end. submitit pickles it, and calls
    `checkpoint` within its handler of Slurm's signal.
    """

    def __init__(self, work_file: Path) -> None:
        self._work_file = work_file
        self._group: LocalGroup | None = None

    def __call__(self) -> str:
        """Run the group; how it died, "" where it ended well."""
        if not self._work_file.exists():
            return f"{self._work_file} is not there: every node must see the sweep's folder"
        if _beside(self._work_file, STOP).exists():
            return ""
        # Slurm signals all processes of a job, and engines would die of it.
        blocked = (signal.SIGTERM, _preemption_signal())
        group = self._group = LocalGroup(read_work(self._work_file), blocked=blocked)
        while (how := group.poll()) is None:
            if _beside(self._work_file, STOP).exists():
                group.stop()
            time.sleep(WATCH_SECONDS)
        return how

    def checkpoint(self) -> Any:
        """Let the group end after the engine call in flight, and go on from its stores. Slurm ends
        what takes too long, which costs that call alone.
        """
        if self._group is not None:
            self._group.stop()
            while self._group.poll() is None:
                time.sleep(WATCH_SECONDS)
        if _beside(self._work_file, STOP).exists():
            return None  # the sweep was stopped: no requeue
        return _submitit().core.utils.DelayedSubmission(GroupJob(self._work_file))


def _job_of(path: Path) -> tuple[str, str]:
    """The number of a job that an earlier command noted, and its cluster. Raises StoreError."""
    try:
        record = json.loads(read_bytes(path))
        return str(record["job"]), str(record["cluster"])
    except (ValueError, KeyError, TypeError):
        hint = "see with squeue whether its job runs, cancel it, and remove this file"
        raise StoreError(f"{path}: damaged", hint) from None


def _beside(work_file: Path, ending: str) -> Path:
    return work_file.with_name(work_file.name.removesuffix(WORK) + ending)


def _preemption_signal() -> signal.Signals:
    """The signal that submitit has Slurm send, see submitit's JobEnvironment."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


def _is_controller(job_id: str) -> bool:
    """Whether the process of a job on this machine still runs."""
    try:
        return b"submitit.local._local" in read_bytes(Path(f"/proc/{job_id}/cmdline"))
    except OSError:
        return False


def _submitit() -> Any:
    """The package. Raises UsageError where it is missing."""
    try:
        import submitit
    except ImportError:
        raise UsageError(
            "--on slurm needs submitit, which is not installed",
            "pip install 'opro-local[slurm]'",
        ) from None
    return submitit
