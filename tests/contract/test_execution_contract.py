"""What every way to execute a sweep does, held by one suite: processes here, jobs, actors.

The queue and the cluster are stand-ins by default, and the packages themselves where they are
installed (long).
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sweeps.conftest import InProcess, in_process, requests, write_sweep
from sweeps.queue_stub import Queue
from sweeps.ray_stub import Ray

from opro_local.runs.reading import describe
from opro_local.sweeps import ray as ray_module
from opro_local.sweeps import slurm
from opro_local.sweeps.execution import Execution
from opro_local.sweeps.group import CellWork, GroupWork
from opro_local.sweeps.journal import EndNote, JournalReader
from opro_local.sweeps.local import Local, LocalGroup
from opro_local.sweeps.plan import cell_folders, read_plan
from opro_local.sweeps.slurm_options import SlurmOptions

__all__ = ["in_process", "requests", "write_sweep"]  # fixtures of the sweeps' tests

PATIENCE = 200.0


@pytest.fixture(
    params=[
        "in this process",
        "a queue",
        "a cluster",
        pytest.param("processes", marks=pytest.mark.long),
        pytest.param("submitit", marks=pytest.mark.long),
        pytest.param("ray", marks=pytest.mark.long),
    ]
)
def execution(request, monkeypatch, in_process) -> Iterator[Execution]:
    yield from EXECUTIONS[request.param](monkeypatch)


def _in_this_process(monkeypatch) -> Iterator[Execution]:
    yield InProcess()


def _queue(monkeypatch) -> Iterator[Execution]:
    queue = Queue()
    monkeypatch.setattr(slurm, "_submitit", lambda: queue)
    monkeypatch.setattr(slurm, "LocalGroup", lambda work, blocked: InProcess().start(work))
    execution = slurm.Slurm(SlurmOptions(), stops_jobs=True)
    begin = execution.start

    def start_and_run(work: GroupWork):
        group = begin(work)
        queue.run(max(queue.jobs))
        return group

    monkeypatch.setattr(execution, "start", start_and_run)
    yield execution


def _cluster(monkeypatch) -> Iterator[Execution]:
    monkeypatch.setattr(ray_module, "_ray", Ray)
    monkeypatch.setattr(ray_module, "LocalGroup", lambda work: InProcess().start(work))
    yield ray_module.RayCluster("auto")


def _processes(monkeypatch) -> Iterator[Execution]:
    yield Local()


def _submitit(monkeypatch) -> Iterator[Execution]:
    pytest.importorskip("submitit", reason="submitit is not installed (extra slurm)")
    yield slurm.Slurm(SlurmOptions(cluster="local"), stops_jobs=True)


def _ray(monkeypatch) -> Iterator[Execution]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (extra ray)")
    monkeypatch.setattr(ray_module, "LocalGroup", LocalGroup)
    cluster = ray_module.RayCluster()
    yield cluster
    cluster.close()


EXECUTIONS: dict[str, Callable[[pytest.MonkeyPatch], Iterator[Execution]]] = {
    "in this process": _in_this_process,
    "a queue": _queue,
    "a cluster": _cluster,
    "processes": _processes,
    "submitit": _submitit,
    "ray": _ray,
}


def ended(running) -> str:
    """How a group ended, once it has."""
    end = time.monotonic() + PATIENCE
    while (how := running.poll()) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return how


def work_of(file: Path, folder: Path, name: str) -> GroupWork:
    plan = read_plan(file)
    folders = cell_folders(folder, plan.cells)
    cells = tuple(CellWork(one.id, one.tables, folders[one.id]) for one in plan.cells)
    return GroupWork(name, cells, 16, folder / "groups" / f"{name}.jsonl")


@pytest.mark.timeout(600)
def test_a_group_runs_to_its_end_and_may_be_started_and_ended_again(
    tmp_path, write_sweep, execution
):
    file = write_sweep("[axes]\nrun.seed = [0, 1]\n", steps=1)
    folder = tmp_path / "d"
    assert list(execution.rejoin(folder / "groups")) == []
    assert execution.places([1]) >= 1 and execution.places([]) >= 1
    assert isinstance(execution.when_stopped, str) and execution.when_stopped
    work = work_of(file, folder, "g")
    running = execution.start(work)
    assert running is not None and ended(running) == ""
    notes = list(JournalReader(work.journal).read())
    ends = {note.cell: note.state for note in notes if isinstance(note, EndNote)}
    assert ends == {cell.id: "finished" for cell in work.cells}
    digests = [describe(cell.path).digest for cell in work.cells]
    # What has ended takes every word and stays as it was.
    running.stop()
    running.interrupt()
    running.kill()
    assert running.poll() == ""
    # Finished cells are finished again, with what they came to.
    again = execution.start(work_of(file, folder, "h"))
    assert again is not None and ended(again) == ""
    assert [describe(cell.path).digest for cell in work.cells] == digests
    assert list(execution.rejoin(folder / "groups")) == []
    # Nothing is left that may hold a secret.
    assert not list(folder.rglob("*.work.json"))
