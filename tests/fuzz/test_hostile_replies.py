"""The default mode asks a model that answers with whatever could upset it: nothing crashes, every
reply is a candidate or a rejection with a reason, and what is kept can be written down.
"""

from __future__ import annotations

import json

import pytest
from hostile_model import answer
from running import ROOT

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.runs.driver import drive
from opro_local.runs.events import BatchStart, Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.search.trajectory import Trajectory

SCRIPT = f"{ROOT / 'tests' / 'fuzz' / 'hostile_model.py'}:answer"


def hostile(tables, steps, **search):
    """A run of the default mode, asking for eight replies a step."""
    own = {"seeds": ["What is it?"], "steps": steps, "candidates": 8, "patience": 0, **search}
    return {
        **tables,
        "search": own,
        "scorer": {**tables["scorer"], "script": SCRIPT, "max_tokens": 8},
        "optimizer": {**tables["optimizer"], "script": SCRIPT},
    }


def driven(tables):
    """Drive a search; returns its trajectory and how many replies the optimizer gave."""
    plan, trajectory, asked = make_plan(reading.build(tables)), Trajectory(), []
    engine = ScriptedEngine.of(answer)

    def note(event):
        if isinstance(event, BatchStart) and event.batch.role == "optimizer":
            asked.append(len(event.batch.requests))

    drive(
        plan.search(trajectory),
        {"optimizer": engine, "scorer": engine},
        trajectory,
        listener=Listener(note),
    )
    return trajectory, sum(asked)


def check(trajectory, replies):
    assert replies > 0
    solutions = [entry.solution for entry in trajectory.entries]
    kept = [solution.text for solution in solutions]
    # Each reply is kept, rejected, or stands for the same text as another one.
    assert len(trajectory.rejections) > 0
    assert all(rejection.reason for rejection in trajectory.rejections)
    for text in kept:
        assert text == text.strip() and text
        json.dumps(text).encode("ascii")
        assert not any("\ud800" <= character <= "\udfff" for character in text), ascii(text)
        assert "\x00" not in text and "\x1b" not in text, ascii(text)
    assert len({solution.key for solution in solutions}) == len(solutions)


@pytest.mark.parametrize("mode", ["auto", "opro"])
def test_hostile_replies_of_one_search(tables, mode):
    trajectory, replies = driven(hostile(tables, 12, mode=mode))
    assert replies >= 60
    check(trajectory, replies)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(16))
def test_some_five_thousand_replies(tables, seed):
    made = hostile(tables, 60)
    trajectory, replies = driven({**made, "run": {"seed": seed}})
    check(trajectory, replies)
    print(
        f"{replies} replies, {len(trajectory.rejections)} rejections, {len(trajectory.entries)} kept"
    )


def test_a_whole_run_of_them_is_stored_shown_and_resumed(tables, tmp_path):
    config = reading.build(hostile(tables, 3))
    first = run(config, tmp_path / "r")
    again = run(config, tmp_path / "r")
    assert first.to_json() == again.to_json()
    said = describe(tmp_path / "r")
    assert said["digest"] and said["state"] == "finished"
    assert json.loads((tmp_path / "r" / "result.json").read_text())["test"]
