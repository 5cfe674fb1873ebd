"""A sweep from its file to its last cell: what it comes to, what is run again, what fails alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import program

from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import (
    DataError,
    EngineError,
    LockedError,
    ModelError,
    StoreError,
    UsageError,
)
from opro_local.runs import lock
from opro_local.runs.events import Interrupted
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.sweeps.forecast import Forecast, forecast
from opro_local.sweeps.plan import read_plan
from opro_local.sweeps.records import CellRecord, read_sweep
from opro_local.sweeps.sweep import SweepListener, read_records, run_sweep

TEXT = "[axes]\nrun.seed = [0, 1]\n[[cell]]\nname = 'more'\nsearch.candidates = 3\n"


def states(records: list[CellRecord]) -> dict[str, str]:
    return {record.cell.name: record.state for record in records}


def digests(folder: Path) -> dict[str, str]:
    return {cell["name"]: cell["digest"] for cell in read_sweep(folder).cells}


def test_every_cell_is_the_run_alone_and_its_record_says_so(tmp_path, write_sweep, in_process):
    plan = read_plan(write_sweep(TEXT))
    records = run_sweep(plan, tmp_path / "d", in_process())
    assert states(records) == {"seed=0": "finished", "seed=1": "finished", "more": "finished"}
    written = json.loads((tmp_path / "d" / "sweep.json").read_text("utf-8"))
    assert written["states"] == {"finished": 3} and written["name"] == "s"
    assert written["keys"] == ["run.seed", "search.candidates"]
    for cell, planned in zip(written["cells"], plan.cells, strict=True):
        alone = run(planned.config, tmp_path / "alone" / planned.name)
        assert cell["digest"] == alone.digest == describe(Path(cell["path"])).digest
        sides = alone.test.to_json()
        for name in ("baseline", "best"):
            sides[name] = {key: one for key, one in sides[name].items() if key != "classes"}
        assert cell["test"] == sides and cell["test"]["difference"]["p_value"] <= 1
        assert cell["validation"]["best"]["n"] == 12 and cell["train"]["best"]["n"] == 24
        assert cell["pairs"] == alone.search.pairs and cell["best_text"] == alone.best.text
        assert (cell["seed"], cell["task"]) == (planned.config.run.seed, "reviews")
        assert cell["tokens"] == dict(alone.costs.tokens) and cell["verdict"] == alone.verdict
        assert cell["settings"] == dict(planned.settings) and cell["group"] == "group-1"
    assert [dict(cell) for cell in read_sweep(tmp_path / "d").cells] == written["cells"]
    (tmp_path / "d").rename(tmp_path / "moved")
    moved = read_sweep(tmp_path / "moved")
    assert all(moved.path_of(cell).is_relative_to(tmp_path / "moved") for cell in moved.cells)


def test_the_same_command_runs_what_is_missing_only(tmp_path, write_sweep, in_process, requests):
    file = write_sweep("[axes]\nrun.seed = [0, 1]", steps=1)
    folder = tmp_path / "d"
    run_sweep(read_plan(file), folder, in_process())
    before, asked = digests(folder), len(requests())
    again = in_process()
    run_sweep(read_plan(file), folder, again)
    assert not again.works and len(requests()) == asked
    # Another order, a value more, and one axis more that has the base's value.
    text = file.read_text("utf-8").replace("[0, 1]", '[1, 5, 0]\nsearch.order = ["ascending"]')
    file.write_text(text, "utf-8")
    more = in_process()
    run_sweep(read_plan(file), folder, more)
    after = digests(folder)
    assert list(after) == [f"seed={seed},order=ascending" for seed in (1, 5, 0)]
    assert [after[f"seed={seed},order=ascending"] for seed in (0, 1)] == list(before.values())
    assert [len(work.cells) for work in more.works] == [1]
    # More steps of the base continue every cell, and repay nothing.
    asked = len(requests())
    longer = in_process()
    records = run_sweep(read_plan(file, ["search.steps=2"]), folder, longer)
    assert [record.run.steps for record in records] == [2, 2, 2]
    asked_more, fresh = len(requests()) - asked, tmp_path / "fresh"
    asked = len(requests())
    run_sweep(read_plan(file, ["search.steps=2"]), fresh, in_process())
    assert digests(fresh) == digests(folder) and asked_more < len(requests()) - asked
    # Data that changed since is no finished cell's.
    rows = (tmp_path / "reviews.csv").read_text("utf-8")
    (tmp_path / "reviews.csv").write_text(rows.replace("Number 3 ", "Number three "), "utf-8")
    records = run_sweep(read_plan(file, ["search.steps=2"]), folder, in_process())
    assert {record.state for record in records} == {"failed"}
    assert "data changed" in records[0].error


def test_cells_that_fail_end_alone_and_their_reasons_are_kept(tmp_path, write_sweep, in_process):
    text = (
        '[axes]\n"run.seed" = [0]\n'
        "[[cell]]\nname = 'no-column'\ntask.input = 'nope'\n"
        "[[cell]]\nname = 'no-script'\nscorer.script = 'none.py:answer'\n"
        "[[cell]]\nname = 'locked'\nrun.seed = 7\n"
    )
    file, folder = write_sweep(text, steps=1), tmp_path / "d"
    cells = {cell.name: cell for cell in read_plan(file).cells}
    held = lock.take(folder / "cells" / f"locked-{cells['locked'].id}")
    records = {r.cell.name: r for r in run_sweep(read_plan(file), folder, in_process())}
    assert {name: record.state for name, record in records.items()} == {
        "seed=0": "finished",
        **dict.fromkeys(("no-column", "no-script", "locked"), "failed"),
    }
    assert "no column 'nope'" in records["no-column"].error
    assert "none.py" in records["no-script"].error and "process" in records["locked"].error
    assert [records[name].exit_code for name in ("no-column", "no-script", "locked")] == [2, 3, 5]
    held.release()
    again = {r.cell.name: r.state for r in run_sweep(read_plan(file), folder, in_process())}
    assert again["locked"] == "finished" and again["no-column"] == "failed"


def test_a_group_whose_process_dies_goes_on_in_halves(tmp_path, write_sweep, in_process):
    plan = read_plan(write_sweep("[axes]\nrun.seed = { from = 0, to = 4 }", steps=1))
    bad = plan.cells[3]
    execution, told = in_process(dies=(bad.id,)), []
    records = run_sweep(plan, tmp_path / "d", execution, SweepListener(notify=told.append))
    assert [r.cell.name for r in records if r.state != "finished"] == [bad.name]
    assert records[3].error == "its process ended with signal 9" and records[3].exit_code == 3
    # 5 -> 3 + 2, 2 -> 1 + 1; each line once
    assert [len(work.cells) for work in execution.works] == [5, 3, 2, 1, 1]
    assert any("its 5 cells go on in halves" in line for line in told)


def test_an_execution_without_any_room_for_a_group_fails_its_cells(
    tmp_path, write_sweep, in_process
):
    class Full(in_process):
        def start(self, work):
            raise EngineError("no node has 9 GPUs", "ask for fewer")

    plan = read_plan(write_sweep("[axes]\nrun.seed = [0, 1]"))
    records = run_sweep(plan, tmp_path / "d", Full())
    assert [record.error for record in records] == ["no node has 9 GPUs; ask for fewer"] * 2


def test_one_process_at_a_time_runs_a_sweep_and_never_in_a_run(tmp_path, write_sweep, in_process):
    plan = read_plan(write_sweep("[axes]\nrun.seed = [0]"))
    held = lock.take(tmp_path / "d")
    with pytest.raises(LockedError, match="process"):
        run_sweep(plan, tmp_path / "d", in_process())
    held.release()
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.sqlite").touch()
    with pytest.raises(UsageError, match="is the folder of a run"):
        run_sweep(plan, tmp_path / "r", in_process())
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(StoreError):
        run_sweep(plan, tmp_path / "file", in_process())


def test_a_sweep_that_is_stopped_begins_no_group_more(tmp_path, write_sweep, in_process):
    class OneAtATime(in_process):
        def start(self, work):
            # There is room in every other turn.
            self.turn = not getattr(self, "turn", False)
            return super().start(work) if self.turn else None

    plan = read_plan(write_sweep("[axes]\nscorer.max_model_len = [512, 1024, 2048]", steps=1))
    execution, asked = OneAtATime(), iter([False, True])
    listener = SweepListener(should_stop=lambda: next(asked, True))
    with pytest.raises(Interrupted):
        run_sweep(plan, tmp_path / "d", execution, listener)
    found = [cell["state"] for cell in read_sweep(tmp_path / "d").cells]
    assert len(execution.works) == 1 and found == ["finished", "missing", "missing"]


def test_no_record_of_a_sweep_is_said_in_one_line(tmp_path):
    for text, said in (("", "no record"), ('{"cells": 3}', "no record"), ("[]", "no record")):
        (tmp_path / "sweep.json").write_text(text, "utf-8")
        with pytest.raises(UsageError, match=said):
            read_sweep(tmp_path)
    with pytest.raises(UsageError, match="can't be read"):
        read_sweep(tmp_path / "none")


def swept(file: Path, *more: str):
    return program("sweep", str(file), "--run", str(file.parent / "d"), "--json", *more)


def test_the_verb_prints_the_record_and_ends_as_the_first_failed_cell(tmp_path, write_sweep):
    text = '[axes]\n"run.seed" = [0]\n[[cell]]\nname = "breaks"\ntask.input = "nope"\n'
    told = swept(write_sweep(text, steps=1))
    assert "Traceback" not in told.stderr and told.returncode == 2
    last = told.stderr.splitlines()[-1]
    assert last.startswith("opro-local: 1 of 2 cells failed; breaks: ") and last.endswith("again")
    assert json.loads(told.stdout) == json.loads((tmp_path / "d/sweep.json").read_text("utf-8"))
    assert [cell["state"] for cell in json.loads(told.stdout)["cells"]] == ["finished", "failed"]
    assert sorted(path.suffix for path in (tmp_path / "d/groups").iterdir()) == [".jsonl", ".log"]


@pytest.fixture
def calibrated(monkeypatch):
    """Calibrations' scripted engines have no workers either."""
    monkeypatch.setattr(
        "opro_local.sweeps.calibration.start_engine",
        lambda settings, wanted: (ScriptedEngine(settings), ""),
    )


def told_of(file: Path, folder: Path, is_calibrated: bool = True) -> Forecast:
    plan = read_plan(file)
    return forecast(plan, read_records(plan, folder), 1, is_calibrated)


def test_a_forecast_says_what_there_is_to_do_and_writes_nothing(
    tmp_path, write_sweep, requests, in_process, calibrated
):
    file = write_sweep(TEXT)
    found = told_of(file, tmp_path / "d").to_json()
    # 24 train rows x (1 + 2 steps x candidates), 12 validation x 9, 24 test x 2
    pairs = [24 * (1 + 2 * candidates) + 12 * 9 + 24 * 2 for candidates in (2, 2, 3)]
    assert (found["cells"], found["groups"], found["pairs"]) == (3, 1, sum(pairs))
    assert [cell["pairs"] for cell in found["planned"]] == pairs
    assert [cell["proposals"] for cell in found["planned"]] == [4, 4, 6]
    assert found["missing"] == {"cells": 3, "pairs": sum(pairs)} and not found["problems"]
    assert found["tokens"] > sum(pairs) and found["seconds"] > 0 and found["disk_bytes"] > 3e4
    assert not (tmp_path / "d").exists() and 0 < len(requests()) < sum(pairs)
    asked = len(requests())
    quick = told_of(file, tmp_path / "d", is_calibrated=False)
    assert quick.tokens is None is quick.seconds and len(requests()) == asked
    # What a search comes to is no more than that.
    records = run_sweep(read_plan(file), tmp_path / "d", in_process())
    for record, most in zip(records, pairs, strict=True):
        scored = record.run.search
        assert scored.pairs <= 24 * (1 + 2 * 3) and scored.pairs + 12 * 9 + 24 * 2 <= most
    done = told_of(file, tmp_path / "d").to_json()
    assert done["missing"] == {"cells": 0, "pairs": 0} and done["pairs"] == sum(pairs)
    assert (done["tokens"], done["seconds"], done["disk_bytes"]) == (0, 0.0, 0)


def test_a_forecast_names_what_will_fail(tmp_path, write_sweep, monkeypatch):
    def refuse(settings, wanted):
        raise ModelError("no such weights")

    monkeypatch.setattr("opro_local.sweeps.calibration.start_engine", refuse)
    file = write_sweep('[axes]\n"task.input" = ["text", "nope"]\nrun.seed = [1, 2]')
    told = told_of(file, tmp_path / "d")
    assert told.seconds is None is told.tokens and told.pairs > 0
    cells, group = told.problems
    assert cells.startswith("2 of 4 cells: ") and "no column 'nope'" in cells
    assert group == "group-1: no such weights"
    file = write_sweep("[axes]\ntask.data = ['none.csv']")
    with pytest.raises(DataError, match=r"none\.csv"):
        told_of(file, tmp_path / "d")
