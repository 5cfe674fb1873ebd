"""Groups on this machine: which GPUs and cores each gets, and signals and kills at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from running import program

from opro_local.errors import StoreError
from opro_local.runs.events import BatchAnswer, Listener
from opro_local.runs.run import run
from opro_local.runs.store import read_store
from opro_local.sweeps import local
from opro_local.sweeps.group import GroupWork
from opro_local.sweeps.local import Local
from opro_local.sweeps.plan import read_plan


class Child:
    """Stands for a group's process."""

    def __init__(self, work, gpus, cores) -> None:
        self.work, self.gpus, self.cores = work, list(gpus), list(cores)
        self.how: str | None = None

    def poll(self) -> str | None:
        return self.how


@pytest.fixture
def machine(monkeypatch):
    """Makes an execution on a machine with these GPUs and cores; its groups do nothing."""

    def make(gpus: list[str], workers: int | None = None, cores: int = 4) -> Local:
        monkeypatch.setattr(local, "_gpu_names", lambda: gpus)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
        monkeypatch.setattr(local, "LocalGroup", Child)
        return Local(workers)

    return make


def work(gpus: int = 1) -> GroupWork:
    return GroupWork("g", (), 16, Path("j.jsonl"), gpus)


def test_every_group_has_gpus_of_its_own_and_waits_until_they_are_free(machine):
    execution = machine(["0", "1", "2"])
    assert execution.places([1, 1]) == 3 and execution.places([2]) == 1
    assert execution.places([8]) == 1
    first, second = execution.start(work(2)), execution.start(work())
    assert (first.gpus, second.gpus) == (["0", "1"], ["2"]) and not first.cores
    assert execution.start(work()) is None
    first.how = ""
    assert execution.start(work()).gpus == ["0"]
    assert execution.start(work(2)) is None
    second.how = "its process ended with signal 9"
    assert execution.start(work(2)).gpus == ["1", "2"]


def test_more_gpus_than_there_are_is_for_the_engine_to_refuse(machine):
    assert machine(["GPU-a"]).start(work(4)).gpus == ["GPU-a"]


def test_workers_limit_groups_and_share_cores_without_gpus(machine):
    execution = machine(["0", "1", "2"], workers=2)
    assert execution.places([1]) == 2
    assert execution.start(work()) and execution.start(work()) and not execution.start(work())
    execution = machine([], workers=2)
    first, second = execution.start(work()), execution.start(work())
    assert (first.cores, second.cores) == ([0, 2], [1, 3]) and execution.start(work()) is None
    first.how = ""
    assert execution.start(work()).cores == [0, 2]
    # One worker has all, and so have more than there are cores.
    assert machine([]).start(work()).cores == [] == machine([], 9).start(work()).cores
    assert machine([]).places([1]) == 1


CELLS = "[axes]\nrun.seed = {{ from = 0, to = {last} }}\n"
FAILING = (
    "[[cell]]\nname = 'no-column'\ntask.input = 'nope'\n"
    "[[cell]]\nname = 'no-script'\nscorer.script = 'none.py:answer'\n"
)


def start(file: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "opro_local", "sweep", str(file)),
            *("--run", str(file.parent / "d"), *more),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_requests(requests, child: subprocess.Popen, count: int) -> None:
    """Wait until the engine was asked so many more, or the sweep has ended."""
    wanted = len(requests()) + count
    while child.poll() is None and len(requests()) < wanted:
        time.sleep(0.02)


@pytest.mark.parametrize(
    "cells, kills",
    [
        pytest.param(2, 1, id="two", marks=pytest.mark.long),
        pytest.param(22, 5, id="issue", marks=pytest.mark.nightly),
    ],
)
def test_a_sweep_that_is_killed_again_and_again_comes_to_the_runs_alone(
    tmp_path, write_sweep, requests, cells, kills
):
    text = CELLS.format(last=cells - 1) + (FAILING if cells > 2 else "")
    file = write_sweep(text, steps=2, seconds=0.0005)
    draw, seen = random.Random(cells), []
    for number in range(kills):
        child = start(file, "--workers", str(min(kills, 2)))
        # Each asks some three hundred requests.
        wait_for_requests(requests, child, draw.randint(1, 60 * cells))
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL, number
        seen.append((len(requests()), stored(tmp_path / "d")))
    done = program("sweep", str(file), "--run", str(tmp_path / "d"), "--json")
    found = {cell["name"]: cell for cell in json.loads(done.stdout)["cells"]}
    assert done.returncode == (2 if cells > 2 else 0) and "Traceback" not in done.stderr
    failed = [name for name, cell in found.items() if cell["state"] != "finished"]
    assert failed == (["no-column", "no-script"] if cells > 2 else [])
    asked, batches = requests(), {}
    for cell in read_plan(file).cells:
        if cell.name not in failed:
            report = partial(note_requests, batches, cell.id)
            alone = run(cell.config, tmp_path / "alone" / cell.name, Listener(report))
            assert found[cell.name]["digest"] == alone.digest
    # What one cell alone asks, and had the answer of when a kill came, is not asked again.
    cells_of = Counter(request for own in batches.values() for request in own)
    assert set(asked) == set(cells_of)
    for place, answered in seen:
        own = {one for key in answered for one in batches.get(key, ()) if cells_of[one] == 1}
        assert not own & set(asked[place:])
    assert any(answered for _, answered in seen) or cells == 2


def note_requests(batches: dict, cell: str, event) -> None:
    """Keep what a batch of a cell asks, as the script writes it down."""
    if isinstance(event, BatchAnswer):
        batches[cell, event.batch.label] = {
            hashlib.sha256(repr(request).encode()).hexdigest() for request in event.batch.requests
        }


def stored(folder: Path) -> set[tuple[str, str]]:
    """The identity of a cell and the label of each batch that it has the answer of."""
    labels = set()
    for path in (folder / "cells").glob("*"):
        with contextlib.suppress(StoreError):  # not there yet
            store = read_store(path)
            labels |= {(path.name.rpartition("-")[2], call["label"]) for call in store.calls()}
            store.close()
    return labels


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sweep_in_order_and_the_same_command_goes_on(
    tmp_path, write_sweep, requests, number
):
    file = write_sweep(CELLS.format(last=1), steps=4, seconds=0.002)
    child = start(file)
    wait_for_requests(requests, child, 30)
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + number and "Traceback" not in errors
    assert "the same command goes on in" in errors
    states = [c["state"] for c in json.loads((tmp_path / "d/sweep.json").read_text())["cells"]]
    if number == signal.SIGINT:  # the other one waits a few seconds only
        assert states == ["interrupted"] * 2
    assert program("sweep", str(file), "--run", str(tmp_path / "d")).returncode == 0
