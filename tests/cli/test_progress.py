"""The lines that a run prints as it goes."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from scripted_model import answer

from opro_local.cli.progress import _Progress
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.runs.driver import drive
from opro_local.runs.events import TrajectoryGrowth
from opro_local.runs.plans import make_plan
from opro_local.search.trajectory import Trajectory
from opro_local.types import Rejection


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
