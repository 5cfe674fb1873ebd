"""A pipelined run with two worker processes, ended at any moment: it resumes to the uninterrupted trajectory."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from running import program, write_reviews
from test_kill import STEPS, command, kill_at_random, shown, start, stored

from opro_local.config import reading
from opro_local.runs.driver import Answered, Asked
from opro_local.runs.run import execute
from opro_local.runs.store import read_store


def pipelined(folder: Path, run: Path) -> list[str]:
    """A command whose optimizer has a script, and so a worker, of its own; what it says depends on the meta-prompt."""
    script = folder / "optimizer.py"
    script.write_text(
        "import zlib\nfrom scripted_model import propose\n\n\n"
        "def answer(request):\n"
        "    return propose(zlib.crc32(f'{request.prompt.text} {request.sampling.seed}'.encode()))\n"
    )
    own = (f"optimizer.script={script}:answer", "search.pipelined=true")
    return command(write_reviews(folder / "reviews.csv"), run, *(word for one in own for word in ("--set", one)))


@pytest.fixture(scope="module", autouse=True)
def importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent), prepend=":")
        yield


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("pipelined")
    began = time.monotonic()
    found = program(*pipelined(folder, folder / "run"))
    assert found.returncode == 0, found.stderr
    return {**json.loads(found.stdout), "seconds": time.monotonic() - began, "folder": folder / "run"}


def test_it_is_another_search_than_the_one_that_waits(reviews, tmp_path, clean):
    plain = program(*pipelined(tmp_path, tmp_path / "run"), "--set", "search.pipelined=false")
    assert json.loads(plain.stdout)["digest"] != clean["digest"]


@pytest.mark.parametrize("call", range(1, STEPS + 4))
def test_engines_that_die_in_any_call_cost_those_calls_only(tmp_path, clean, call):
    """Both workers die in their call of this number; which of the two is noticed first decides nothing."""
    run = tmp_path / "run"
    first = program(*pipelined(tmp_path, run), env={**os.environ, "OPRO_FAULT": f"die:{call}"})
    assert first.returncode == 3 and "Traceback" not in first.stderr and "killed by signal 9" in first.stderr
    assert not run.exists() or shown(run)["state"] == "failed"
    second = program(*pipelined(tmp_path, run))
    found = json.loads(second.stdout)
    assert (found["digest"], found["calls"]) == (clean["digest"], clean["calls"])


@pytest.mark.parametrize("kills", [pytest.param(4, id="ci"), pytest.param(150, id="long", marks=pytest.mark.long)])
def test_kills_at_random_times_change_nothing(tmp_path, clean, kills):
    kill_at_random(lambda run: pipelined(tmp_path, run), tmp_path, clean, kills, random.Random(9), (0.3, 1.2))


def test_two_workers_are_at_work_at_once(tmp_path, clean, monkeypatch):
    """Each takes two seconds for its third call: the second step's scores, and the third step's proposals."""
    monkeypatch.setenv("OPRO_FAULT", "slow:3")
    store = read_store(clean["folder"])
    config, heard = reading.build(store.get("config")), {}
    store.close()

    def report(event):
        if isinstance(event, Asked):
            heard[event.batch.label] = event.since
        elif isinstance(event, Answered):
            heard[f"{event.batch.label} done"] = time.monotonic()

    found = execute(config, tmp_path / "run", report)
    assert found["digest"] == clean["digest"]
    assert 2 < heard["2/train done"] - min(heard["2/train"], heard["3/propose"]) < 3.5 and found["seconds"] > 4


def wait_for_proposals(run: Path, child: subprocess.Popen) -> None:
    """Until the third step is being proposed, which is while the second is scored.

    The store is read here: on a busy machine another program would start too slowly to tell in time.
    """
    deadline = time.monotonic() + 60
    while "1/train" not in stored(run):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.05)
    time.sleep(0.7)  # the two calls begin a moment later and take two seconds: a signal before them would end the run


def test_a_signal_stops_after_both_calls_and_the_same_command_resumes(tmp_path, clean):
    run = tmp_path / "run"
    child = start(pipelined(tmp_path, run), OPRO_FAULT="slow:3")
    wait_for_proposals(run, child)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130 and "the same command resumes" in errors and "Traceback" not in errors
    found = shown(run)
    assert found["state"] == "interrupted" and found["calls"] == {"optimizer": 3, "scorer": 3}
    assert json.loads(program(*pipelined(tmp_path, run)).stdout)["digest"] == clean["digest"]


def test_a_second_signal_waits_for_no_engine_and_leaves_no_process(tmp_path, clean):
    run = tmp_path / "run"
    child = start(pipelined(tmp_path, run), OPRO_FAULT="hang:3")
    wait_for_proposals(run, child)
    time.sleep(0.5)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(child.pid)], capture_output=True, text=True).stdout
    workers = [Path(f"/proc/{pid}") for pid in listed.split()]
    assert len(workers) == 2 and all(worker.exists() for worker in workers)
    child.send_signal(signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130 and "Traceback" not in errors and time.monotonic() - began < 5
    assert not any(worker.exists() for worker in workers) and shown(run)["state"] == "interrupted"
    assert json.loads(program(*pipelined(tmp_path, run)).stdout)["digest"] == clean["digest"]
