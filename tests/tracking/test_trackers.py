"""Runs and sweeps written to a tracker: once, up to date, and never at the cost of a run."""

from __future__ import annotations

import io
import json
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest
import trackio_stand_in
from running import ROOT
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config.facts import facts_of
from opro_local.config.settings import RunSettings
from opro_local.errors import DamageError, StoreError, UsageError
from opro_local.network import NetworkError
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.tracking import following, process, tracker, writing
from opro_local.tracking.process import track
from opro_local.tracking.record import TrackedRun, tracked_run
from opro_local.tracking.trackio import Trackio

# The last pass gets so long on a busy machine.
SECONDS = 250.0


class Told:
    """A tracker that keeps in memory what it is told."""

    def __init__(self) -> None:
        self.runs: list[tuple[TrackedRun, str]] = []

    def write(self, run: TrackedRun, parent: str = "") -> tuple[str, ...]:
        self.runs.append((run, parent))
        return (f"{run.name}: a word",)

    def place(self) -> str:
        return "look here"


def written(folder: Path) -> list[dict]:
    return trackio_stand_in.runs_in(folder.parent / "trackio")


def keep(path: Path) -> None:
    """What `track` does, in this process."""
    writing.write(path, Trackio(path.parent / "trackio", "opro-local"))


def test_a_run_is_written_with_what_its_tracker_could_not_take(mails):
    told = Told()
    came = writing.write(mails, told)
    assert [(one.path, parent) for one, parent in told.runs] == [(mails, "")]
    assert came.runs == ((str(mails), "finished"),) and came.notices == ("mails: a word",)


def sweep_of(mails: Path, folder: Path) -> list[Path]:
    """A sweep's folder with three cells, the last one not begun."""
    cells = [folder / "cells" / f"s{seed}" for seed in range(3)]
    for path in cells[:-1]:
        shutil.copytree(mails, path)
    record = {
        "name": "seeds",
        "keys": ["run.seed"],
        "cells": [{"name": f"s{n}", "state": "?", "path": str(one)} for n, one in enumerate(cells)],
    }
    (folder / "sweep.json").write_text(json.dumps(record))
    return cells


def test_a_sweep_is_its_parent_and_the_cells_that_are_well(mails, tmp_path):
    cells = sweep_of(mails, tmp_path / "seeds")
    (cells[1] / "result.json").write_text("{}")
    told = Told()
    came = writing.write(tmp_path / "seeds", told)
    (parent, above), (cell, under) = told.runs
    assert (parent.name, above, parent.is_sweep, parent.state) == ("seeds", "", True, "interrupted")
    assert parent.tags["opro_local.cells"] == "1 finished, 2 not begun or damaged"
    assert (cell.name, under, cell.group) == ("s0", parent.key, "seeds")
    assert len(came.notices) == 2 and came.notices[0].startswith("s1: not written: ")


def test_the_same_command_again_changes_nothing(stand_in, mails):
    keep(mails)
    (first,) = written(mails)
    keep(mails)
    assert written(mails) == [first]
    wanted = {(point.name, str(point.step), point.value) for point in tracked_run(mails).points}
    assert {
        (name, str(step), value)
        for step, row in first["rows"].items()
        for name, value in row.items()
    } == wanted
    assert first["config"]["run.seed"] == "3" and first["config"]["_Group"] is None


def test_a_run_that_went_on_has_no_figures_of_before(stand_in, build, mails):
    keep(mails)
    (before,) = written(mails)
    run(build("search.steps=3"), mails)
    keep(mails)
    (after,) = written(mails)
    assert "test/best" in before["rows"][2] and "test/best" not in after["rows"][2]
    assert "test/best" in after["rows"][3] and after["key"] == before["key"]


def test_a_tracker_that_fails_is_one_line_and_leaves_the_run(stand_in, mails):
    before = (mails / "run.sqlite").read_bytes()
    stand_in("fail")
    came = CliRunner().invoke(app, ["track", str(mails), "--to", "trackio"])
    error = came.exception
    assert isinstance(error, tracker.TrackerError) and error.exit_code == 6
    assert str(error) == "trackio failed: RuntimeError: no room on this disk"
    assert (mails / "run.sqlite").read_bytes() == before


def test_the_verb_says_where_it_is(stand_in, mails):
    stand_in("speak")
    words = ["track", str(mails), "--to", "trackio", "--experiment", "post", "--json"]
    came = CliRunner().invoke(app, [*words, "--folder", str(mails.parent / "there")])
    said = json.loads(came.output)
    assert said["runs"] == [{"path": str(mails), "state": "finished"}]
    assert said["experiment"] == "post" and said["notices"] == []
    assert trackio_stand_in.runs_in(mails.parent / "there")[0]["project"] == "post"


def test_a_tracker_does_not_leave_the_machine_where_a_guard_is_up(stand_in, mails):
    stand_in("out")
    with pytest.raises(NetworkError, match=r"192\.0\.2\.1"):
        keep(mails)


def test_what_cant_be_tracked_is_one_line(stand_in, mails, monkeypatch):
    with pytest.raises(UsageError, match="accepted: mlflow, trackio"):
        track(mails, "wandb")
    with pytest.raises(StoreError, match="there is no run here"):
        track(mails.parent, "trackio")
    monkeypatch.setattr(tracker.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'opro-local\[trackio\]'"):
        track(mails, "trackio")


def test_what_the_process_refuses_has_its_own_exit_code(mails):
    job = process.Job("trackio", mails, mails)
    refused = {"failure": "damaged; restore a copy", "exit_code": DamageError.exit_code}
    error = process.failure(job, refused, io.BytesIO(), 1)
    assert (str(error), error.exit_code) == ("trackio: damaged; restore a copy", 4)
    error = process.failure(job, {}, io.BytesIO(b"half a li"), -9)
    assert str(error) == "trackio failed: its process ended with -9" and error.exit_code == 6


def test_the_setting_takes_the_trackers_there_are():
    field = RunSettings.model_fields["track"]
    (names, _) = get_args(field.annotation)
    assert get_args(names) == tuple(tracker.TRACKERS)
    assert facts_of(field).free and facts_of(field).added


def followed(build, folder, should_stop=lambda: False) -> list[str]:
    """Run with the stand-in told of it; gives the lines that were said."""
    lines: list[str] = []
    config = build('run.track=["trackio"]')
    listener = Listener(notify=lines.append, should_stop=should_stop)
    with following.following(config.run.track, folder, listener) as told:
        run(config, folder, told)
    return lines


def test_a_run_that_goes_on_is_told_to_its_end(stand_in, build, mails, monkeypatch):
    monkeypatch.setattr(following, "END_SECONDS", SECONDS)
    folder = mails.parent / "live"
    assert followed(build, folder) == []
    (one,) = written(folder)
    assert one["config"]["opro_local.state"] == "finished" and "test/best" in one["rows"][2]
    assert describe(folder).digest == describe(mails).digest


@pytest.mark.long
def test_a_stopped_run_is_told_as_stopped(stand_in, build, mails, monkeypatch):
    monkeypatch.setattr(following, "END_SECONDS", SECONDS)
    folder, seen = mails.parent / "live", iter(range(3))
    with pytest.raises(Interrupted):
        followed(build, folder, lambda: next(seen, None) is None)
    (one,) = written(folder)
    assert one["config"]["opro_local.state"] == "interrupted" and list(one["rows"]) == [0, 1]
    assert not any("test/best" in row for row in one["rows"].values())


@pytest.mark.parametrize("how", ["fail", "hang"])
def test_a_tracker_that_fails_or_hangs_never_stops_a_run(stand_in, build, mails, how, monkeypatch):
    monkeypatch.setattr(following, "END_SECONDS", 0.2 if how == "hang" else SECONDS)
    stand_in(how)
    folder = mails.parent / "live"
    (line,) = followed(build, folder)
    assert line.startswith("trackio")
    assert describe(folder).digest == describe(mails).digest


def test_a_tracker_that_is_not_installed_is_said_once(build, mails, monkeypatch):
    monkeypatch.setattr(tracker.importlib.util, "find_spec", lambda name: None)
    (line,) = followed(build, mails.parent / "live")
    assert line == "trackio is not installed here; pip install 'opro-local[trackio]'"


def test_a_tracker_that_cant_be_started_is_said(stand_in, build, mails, monkeypatch):
    def refuse(*words, **named):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(process.subprocess, "Popen", refuse)
    with following.looking(["trackio"], mails, (lines := []).append) as look:
        look()
        look()
    assert lines == ["trackio: can't be started (Cannot allocate memory)"]


def test_the_commands_of_tracking_md_are_the_verbs(monkeypatch):
    """tracking.md names packages that are not here: its commands are read, and what they ask for."""
    asked = []

    def note(path, name, folder, experiment):
        asked.append((str(path), name, folder, experiment))
        return process.Tracked(process.Job(name, path, path), (), (), "")

    monkeypatch.setattr(process, "track", note)
    lines = (ROOT / "docs" / "tracking.md").read_text("utf-8").splitlines()
    commands = [line.partition(" #")[0] for line in lines if line.startswith("opro-local ")]
    for command in commands:
        assert CliRunner().invoke(app, shlex.split(command)[1:]).exit_code == 0
    assert asked == [
        ("runs/mails", "mlflow", None, "opro-local"),
        ("runs/mails", "trackio", None, "opro-local"),
        ("runs/seeds", "mlflow", None, "opro-local"),
    ]
