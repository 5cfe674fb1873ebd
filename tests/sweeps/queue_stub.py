"""Stands for submitit: a queue that a test moves by hand.

For: what a sweep does with jobs, without the package and without processes. Not for: how submitit
itself behaves (the long tests of test_slurm.py).
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Queue:
    """Every job that was submitted, by its number.

    Attributes:
        jobs: what was submitted.
        states: of each.
        results: what ended jobs came to.
        asked: the parameters of each submission.
        refusal: what sbatch answers instead; "" for none.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.states: dict[str, str] = {}
        self.results: dict[str, str] = {}
        self.cancelled: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.refusal = ""
        queue = self

        class Executor:
            def __init__(self, folder: Path, max_num_timeout: int, python: str) -> None:
                self.folder, self.parameters = folder, {"python": python}

            def update_parameters(self, **parameters: Any) -> None:
                self.parameters |= parameters

            def submit(self, job: Any) -> Job:
                if queue.refusal:
                    raise RuntimeError(queue.refusal)
                number = str(100 + len(queue.jobs))
                queue.jobs[number], queue.states[number] = job, "PENDING"
                queue.asked.append(self.parameters)
                return Job(self.folder, number)

        class Job:
            def __init__(self, folder: Path, job_id: str) -> None:
                self.job_id = job_id
                self.paths = SimpleNamespace(
                    result_pickle=folder / f"{job_id}.pkl", stderr=folder / f"{job_id}.err"
                )

            @property
            def state(self) -> str:
                return queue.states[self.job_id]

            def get_info(self) -> dict[str, str]:
                return {"State": self.state}

            def done(self) -> bool:
                return self.state not in ("PENDING", "RUNNING", "REQUEUED")

            def result(self) -> str:
                return queue.results[self.job_id]

            def exception(self) -> Exception | None:
                return None

            def cancel(self, check: bool) -> None:
                queue.cancelled.append(self.job_id)
                queue.states[self.job_id] = "CANCELLED"

        self.SlurmExecutor, self.SlurmJob = Executor, Job

    def run(self, number: str) -> None:
        """Let a job of the queue run to its end."""
        self.states[number] = "RUNNING"
        job = self.jobs[number]
        self.results[number] = job()
        (job._work_file.parent / "jobs" / f"{number}.pkl").touch()
        self.states[number] = "COMPLETED"
