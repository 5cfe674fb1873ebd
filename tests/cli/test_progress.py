"""The lines that a run prints as it goes."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console
from scripted_model import answer

from opro_local.cli.estimate import Estimate
from opro_local.cli.progress import _Progress
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.problems.prompt.alarms import Alarm
from opro_local.runs.driver import drive
from opro_local.runs.events import BatchAnswer, TrajectoryGrowth
from opro_local.runs.plans import make_plan
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Rejection


def test_a_step_is_told_with_the_rejections_since_the_last_one(tables):
    ready, trajectory, told = make_plan(reading.build(tables)), Trajectory(), StringIO()
    drive(
        ready.search(trajectory),
        dict.fromkeys(("scorer", "optimizer"), ScriptedEngine.of(answer)),
        trajectory,
    )
    progress = _Progress(ready, Console(file=told))
    for step, rejected in ((1, 1), (2, 3), (3, 0)):
        progress.report(
            TrajectoryGrowth(
                (), tuple(Rejection(step, "x", "y") for _ in range(rejected)), trajectory
            )
        )
        progress.report(
            TrajectoryGrowth(
                tuple(entry for entry in trajectory.entries if entry.step == step), (), trajectory
            )
        )
    lines = [line for line in told.getvalue().splitlines() if line.startswith("step")]
    assert [line.partition(" scored, ")[2].partition(",")[0] for line in lines] == [
        "1 rejected",
        "3 rejected",
        "0 rejected",
    ]


@pytest.mark.parametrize("every", [False, True])
def test_a_step_is_one_line_unless_every_solution_is_asked_for(tables, every):
    ready, trajectory, told = make_plan(reading.build(tables)), Trajectory(), StringIO()
    drive(
        ready.search(trajectory),
        dict.fromkeys(("scorer", "optimizer"), ScriptedEngine.of(answer)),
        trajectory,
    )
    progress = _Progress(ready, Console(file=told, soft_wrap=True), every)
    entries = tuple(entry for entry in trajectory.entries if entry.step == 1)
    progress.report(TrajectoryGrowth(entries, (), trajectory))
    lines = told.getvalue().splitlines()
    assert len(entries) > 1 and len(lines) == (1 + len(entries) if every else 1)
    assert all((entry.solution.text in told.getvalue()) is every for entry in entries)


def answered(label: str, seconds: float) -> BatchAnswer:
    return BatchAnswer(
        Batch(role="scorer", requests=(), label=label), BatchResult([], seconds), replayed=True
    )


def growth(split: str, rows: int, solutions: int = 1) -> TrajectoryGrowth:
    entry = SimpleNamespace(split=split, score=SimpleNamespace(n=rows))
    return TrajectoryGrowth((entry,) * solutions, (), Trajectory())  # type: ignore[arg-type]


def test_the_estimate_covers_validation_and_test():
    estimate = Estimate(10, {"validation": 600, "test": 400})
    assert estimate.words() == ""
    for step in (0, 1, 2):
        estimate.take_answer(answered(f"{step}/propose", 20.0))
        estimate.take_answer(answered(f"{step}/train", 40.0))
        estimate.take_growth(growth("train", 100, 4))
        estimate.close_step(step)
    # 8 steps of 60 s, and 1,000 answers of 0.1 s.
    assert estimate.seconds() == pytest.approx(8 * 60 + 1000 * 0.1)
    assert estimate.words() == "about 9.7 min left, validation and test included"
    # Patience ended the search: no step is left, and then test alone.
    estimate.take_growth(growth("validation", 100, 6))
    assert estimate.seconds() == pytest.approx(400 * 0.1)
    estimate.take_growth(growth("test", 200, 2))
    assert estimate.words() == ""


def test_a_plan_says_how_many_rows_are_held_out(tables):
    ready = make_plan(reading.build(tables))
    assert ready.held_out == {split: len(ready.problem.rows[split]) for split in ready.held_out}
    assert set(ready.held_out) == {"validation", "test"}


def test_an_alarm_s_examples_are_escaped(tables):
    told = StringIO()
    progress = _Progress(make_plan(reading.build(tables)), Console(file=told, soft_wrap=True))
    progress.report(Alarm("unread", "half is unread", ("\x1b]0;title\x07 \u202e",), "look"))
    assert "\x1b" not in told.getvalue() and "\u202e" not in told.getvalue()
    assert "half is unread" in told.getvalue()


def test_a_narrow_terminal_loses_no_word_of_the_live_line(tables):
    told = StringIO()
    progress = _Progress(make_plan(reading.build(tables)), Console(file=told, width=60))
    progress._best = (0.5, " ".join(f"word{number}" for number in range(20)))
    progress.console.print(progress._shown_now())
    assert [word for word in progress._best[1].split() if word not in told.getvalue()] == []
