"""A kill at any point of a change of schema loses nothing: the next start makes the same store."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, write_reviews

from opro_local.feedback import file as feedback_file
from opro_local.feedback import sealed
from opro_local.runs import database, lock, migration
from opro_local.runs.store import open_store

# Where the child is killed, at every call in turn: before it and after it.
POINTS = {
    "copy": (database, "copy_linked"),
    "link": (os, "link"),
    "fsync": (os, "fsync"),
    "journal": (database, "set_journal"),
    "statements": (database, "_statements"),
    "note": (lock.Lock, "note"),
    "row of a run": (migration, "row_digest"),
    "seal of a run": (migration, "write_seal"),
    "row of feedback": (sealed, "row_digest"),
    "seal of feedback": (sealed, "write_seal"),
}


def open_run(folder: Path) -> None:
    open_store(folder / "run").close()


def open_feedback(folder: Path) -> None:
    feedback_file.open_file(folder / "f.sqlite").close()


KINDS: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "run": ("schema-4", "run/run.sqlite", open_run),
    "feedback": ("feedback-schema-1", "f.sqlite", open_feedback),
}


def make(folder: Path, fixture: str, name: str) -> Path:
    """An older store in a new folder; its path."""
    shutil.rmtree(folder, ignore_errors=True)
    file = folder / name
    file.parent.mkdir(parents=True)
    write_reviews(folder / "reviews.csv")
    text = (Path(__file__).parent / "stores" / f"{fixture}.sql").read_text("utf-8")
    text = text.replace("@ROOT@", str(ROOT)).replace("@FOLDER@", str(folder))
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(text)
    return file


def content(file: Path) -> dict[str, list[Any]]:
    """All rows of a file by table, its schema's version among them."""
    with closing(sqlite3.connect(file)) as raw:
        names = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = {name: sorted(raw.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in names}
        return {**rows, "version": raw.execute("PRAGMA user_version").fetchall()}


def is_killed(begin: Callable[[], None], point: str, number: int, before: bool) -> bool:
    """Whether a child that does this is killed at a call of the point."""
    child = os.fork()
    if child == 0:
        killing(point, number, before)
        begin()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, (point, number, before)
    return os.WIFSIGNALED(status)


def killing(point: str, number: int, before: bool) -> None:
    place, name = POINTS[point]
    whole, calls = getattr(place, name), 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        came = whole(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return came

    setattr(place, name, counted)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_in_a_change_of_schema_loses_nothing(tmp_path, kind):
    fixture, name, begin = KINDS[kind]
    folder = tmp_path / "place"
    file = make(folder, fixture, name)
    older = content(file)
    begin(folder)
    right = content(file)
    assert right["version"] != older["version"]
    kills = 0
    for point in POINTS:
        for before in (True, False):
            number = 1
            while number < 40:  # of rows the first 39
                make(folder, fixture, name)
                if not is_killed(lambda: begin(folder), point, number, before):
                    break
                kills += 1
                begin(folder)
                assert content(file) == right, (point, number, before)
                copies = [path for path in file.parent.glob("*.schema-*") if path.suffix != ".new"]
                assert [content(copy) for copy in copies] == [older], (point, number, before)
                number += 1 if number < 4 else 9
    assert kills >= 20, kills
