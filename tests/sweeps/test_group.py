"""A group of cells in this process: rolling lockstep, and what becomes of cells whose engine broke."""

from __future__ import annotations

import json

import pytest

from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import EngineError, ModelError
from opro_local.runs.reading import describe
from opro_local.sweeps.group import CellWork, GroupWork, run_group
from opro_local.sweeps.journal import EndNote, JournalReader, StepNote
from opro_local.sweeps.plan import cell_folders, read_plan


def work_of(file, folder, at_once: int = 16) -> GroupWork:
    plan = read_plan(file)
    (group,) = plan.groups
    folders = cell_folders(folder, plan.cells)
    cells = tuple(CellWork(cell.id, cell.tables, folders[cell.id]) for cell in group.cells)
    return GroupWork(group.name, cells, at_once, folder / "j.jsonl")


def ends(work: GroupWork) -> list[EndNote]:
    return [note for note in JournalReader(work.journal).read() if isinstance(note, EndNote)]


class Fragile(ScriptedEngine):
    """An engine that is dead once it was asked with "Fatal" in the prompt."""

    started = 0

    def __init__(self, settings) -> None:
        super().__init__(settings)
        Fragile.started += 1
        self.is_dead = False

    def generate(self, requests, progress=None):
        self.is_dead = self.is_dead or any("Fatal" in one.prompt.text for one in requests)
        if self.is_dead:
            raise EngineError("the engine is dead")
        return super().generate(requests, progress)


@pytest.fixture
def fragile(monkeypatch):
    """Engines in this process."""
    monkeypatch.setattr(Fragile, "started", 0)
    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (Fragile(settings), ""),
    )
    return Fragile


def test_one_cell_that_kills_its_engine_fails_alone(tmp_path, write_sweep, fragile):
    text = '[axes]\nrun.seed = [0, 1]\n[[cell]]\nname = "fatal"\nsearch.seeds = ["Fatal?"]'
    work = work_of(write_sweep(text, steps=1), tmp_path / "d", at_once=4)
    run_group(work)
    found = {note.cell: note for note in ends(work)}
    assert [found[cell.id].state for cell in work.cells] == ["finished"] * 2 + ["failed"]
    last = found[work.cells[-1].id]
    assert (last.error, last.exit_code) == ("the engine is dead", 3) and len(found) == 3
    # The engines of the halves: at most one for each.
    assert 2 <= fragile.started <= 4


def test_an_engine_that_does_not_start_is_tried_once_for_all_its_cells(
    tmp_path, write_sweep, monkeypatch
):
    tried = []

    def refuse(settings, wanted, log, own):
        tried.append(settings)
        raise ModelError("no such weights", "get them")

    monkeypatch.setattr("opro_local.runs.run_engines.start_engine", refuse)
    work = work_of(write_sweep("[axes]\nrun.seed = [0, 1, 2]"), tmp_path / "d")
    run_group(work)
    assert len(tried) == 1
    assert [(note.state, note.error) for note in ends(work)] == [
        ("failed", "no such weights; get them")
    ] * 3


def test_cells_are_the_same_however_many_are_under_way(tmp_path, write_sweep, fragile):
    file = write_sweep("[axes]\nrun.seed = [0, 1, 2]", steps=1)
    found = []
    for started, at_once in enumerate((1, 2, 16), 1):
        work = work_of(file, tmp_path / str(at_once), at_once)
        run_group(work)
        assert fragile.started == started and len(ends(work)) == 3
        check_under_way(work, at_once)
        found.append([describe(cell.path).digest for cell in work.cells])
    assert len(set(found[0])) == 3 and found == [found[0]] * 3


def check_under_way(work: GroupWork, at_once: int) -> None:
    # Of those under way one ends before a further one begins.
    open_cells: set[str] = set()
    for note in JournalReader(work.journal).read():
        if isinstance(note, StepNote):
            open_cells.add(note.cell)
        elif isinstance(note, EndNote):
            open_cells.discard(note.cell)
        assert len(open_cells) <= at_once


def test_a_group_that_is_asked_to_stop_goes_on_where_it_was(tmp_path, write_sweep, fragile):
    work = work_of(write_sweep("[axes]\nrun.seed = [0, 1, 2]"), tmp_path / "d", at_once=4)
    calls = iter([False, False, False])
    run_group(work, lambda: next(calls, True))
    first = ends(work)
    assert [note.state for note in first] == ["interrupted"] * 3
    run_group(work)
    assert [note.state for note in ends(work)[3:]] == ["finished"] * 3


def test_work_goes_to_another_process_whole(tmp_path, write_sweep):
    work = work_of(write_sweep("[axes]\nrun.seed = [0]"), tmp_path / "d")
    assert GroupWork.from_json(json.loads(json.dumps(work.to_json()))) == work
