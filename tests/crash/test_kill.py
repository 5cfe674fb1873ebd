"""Kills at any moment: nothing acknowledged is lost, and the resumed trajectory is the
uninterrupted one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import FEW_ROWS, SCRIPT, SMOL, program, real, sets, write_reviews

from opro_local.errors import StoreError
from opro_local.runs.store import read_store

STEPS = 5


def command(reviews: Path, run: Path, *more: str) -> list[str]:
    return [
        *(
            "optimize",
            "--data",
            str(reviews),
            "--input",
            "text",
            "--target",
            "label",
            "--model",
            "none",
        ),
        *(
            "--engine",
            "scripted",
            "--set",
            f"scorer.script={SCRIPT}",
            "--prompt",
            "What is it?",
            "--seed",
            "4",
        ),
        *(
            "--set",
            f"search.steps={STEPS}",
            "--set",
            "search.candidates=3",
            "--set",
            'search.metaprompt="continuation"',
        ),
        *("--run", str(run), "--json", *more),
    ]


def start(arguments: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "opro_local", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )


def shown(run: Path) -> dict:
    return json.loads(program("show", str(run), "--json").stdout)


def stored(run: Path) -> list[str]:
    """The labels of the batches that were answered."""
    try:
        store = read_store(run)
    except StoreError:  # not there yet
        return []
    labels = [call["label"] for call in store.calls()]
    store.close()
    return labels


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> dict:
    """The result of the run that nothing disturbed, and the `seconds` it took here."""
    folder = tmp_path_factory.mktemp("clean")
    began = time.monotonic()
    found = program(*command(write_reviews(folder / "reviews.csv"), folder / "clean"))
    assert found.returncode == 0, found.stderr
    return {**json.loads(found.stdout), "seconds": time.monotonic() - began}


def kill_at_random(
    command_of, folder: Path, clean: dict, kills: int, rng: random.Random, window
) -> None:
    """Kill runs until so many were hit, each run resumed to its end; `window` is in shares of what
    a run takes here.
    """
    killed, runs = 0, 0
    while killed < kills:
        run, finished = folder / f"run{runs}", False
        runs += 1
        while not finished:
            child = start(command_of(run))
            time.sleep(rng.uniform(*window) * clean["seconds"])
            finished = child.poll() is not None
            if not finished:
                child.send_signal(signal.SIGKILL)
                killed += 1
            child.communicate()
        assert child.returncode == 0
        found = shown(run)
        assert found["digest"] == clean["digest"] and found["calls"] == clean["calls"]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(6, id="ci"),
        pytest.param(300, id="long", marks=pytest.mark.long),
        pytest.param(
            1000, id="nightly", marks=[pytest.mark.nightly, pytest.mark.timeout(3 * 3600)]
        ),
    ],
)
def test_kills_at_random_times_change_nothing(reviews, tmp_path, clean, kills):
    kill_at_random(
        lambda run: command(reviews, run), tmp_path, clean, kills, random.Random(7), (0.1, 1.3)
    )


# The first calls, one in the middle and the last one always; the others with the long tests.
ALWAYS = (1, 2, STEPS + 2, 2 * STEPS + 3)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(call, marks=() if call in ALWAYS else pytest.mark.long)
        for call in range(1, 2 * STEPS + 4)
    ],
)
def test_an_engine_that_dies_in_any_call_costs_that_call_only(reviews, tmp_path, clean, call):
    run = tmp_path / "run"
    first = program(*command(reviews, run), env={**os.environ, "OPRO_FAULT": f"die:{call}"})
    assert (
        first.returncode == 3
        and "Traceback" not in first.stderr
        and "killed by signal 9" in first.stderr
    )
    if call > 1:
        assert shown(run)["state"] == "failed" and sum(shown(run)["calls"].values()) == call - 1
    else:
        assert not run.exists()
    second = program(*command(reviews, run))
    assert second.returncode == 0 and json.loads(second.stdout)["digest"] == clean["digest"]
    assert json.loads(second.stdout)["calls"] == clean["calls"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [("hang", "progress for 3 s"), ("short", "completions for"), ("raise", "told to fail")],
)
def test_other_engine_faults_end_in_one_line_and_resume(reviews, tmp_path, clean, fault, says):
    run = tmp_path / "run"
    patience = ("--set", "scorer.stall_seconds=3")
    first = program(
        *command(reviews, run, *patience), env={**os.environ, "OPRO_FAULT": f"{fault}:4"}
    )
    assert first.returncode == 3 and says in first.stderr and "Traceback" not in first.stderr
    second = program(*command(reviews, run))
    assert json.loads(second.stdout)["digest"] == clean["digest"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_call_and_the_same_command_resumes(
    reviews, tmp_path, clean, number, code
):
    run = tmp_path / "run"
    child = start(command(reviews, run), OPRO_FAULT="slow:3")
    deadline = time.monotonic() + 60
    while len(stored(run)) < 2:  # the third call takes two seconds
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)
    assert (
        child.returncode == code
        and "the same command resumes" in errors
        and "Traceback" not in errors
    )
    assert shown(run)["state"] == "interrupted"
    assert json.loads(program(*command(reviews, run)).stdout)["digest"] == clean["digest"]


def test_a_longer_run_repays_nothing(reviews, tmp_path, clean):
    run = tmp_path / "run"
    short = json.loads(program(*command(reviews, run, "--set", "search.steps=2")).stdout)
    longer = json.loads(program(*command(reviews, run)).stdout)
    assert longer["best"] == clean["best"] and longer["steps"] == clean["steps"] > short["steps"]
    extra = sum(longer["calls"].values()) - sum(clean["calls"].values())
    assert extra == 2  # the shorter run's own validation and test
    assert longer["test_opened"] == 2


def worker_of(parent: int) -> int:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True
    ).stdout
    return next(
        (int(line.split()[0]) for line in listed.splitlines() if "engines.worker" in line), 0
    )


@pytest.mark.real
@pytest.mark.long  # the kills above are always run, with a scripted model in the same worker
def test_a_real_engine_dies_with_its_parent_and_the_resumed_run_is_the_same(reviews, tmp_path):
    real("transformers")
    arguments = [
        *(
            "optimize",
            "--data",
            str(reviews),
            "--input",
            "text",
            "--target",
            "label",
            "--model",
            str(SMOL),
        ),
        *("--engine", "transformers", "--set", "search.steps=2", "--set", "search.candidates=2"),
        *("--set", "scorer.max_tokens=4", "--set", "run.cache=false", "--json"),
        *sets(*FEW_ROWS),
    ]
    clean = json.loads(program(*arguments, "--run", str(tmp_path / "clean")).stdout)
    run = tmp_path / "run"
    child = start([*arguments, "--run", str(run)])
    while not (run / "run.sqlite").exists() or "train" not in shown(run):
        time.sleep(0.1)
    worker = worker_of(child.pid)
    assert worker
    child.kill()
    child.communicate()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    resumed = json.loads(program(*arguments, "--run", str(run)).stdout)
    assert resumed["digest"] == clean["digest"] and resumed["calls"] == clean["calls"]
