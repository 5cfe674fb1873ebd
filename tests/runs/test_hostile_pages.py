"""Stores whose pages lead to each other are read within bounds, and called damaged."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from opro_local.errors import DamageError
from opro_local.runs import database
from opro_local.runs.database import connect, is_corrupt
from opro_local.runs.reading import overview, rejected
from opro_local.runs.store import FILE, open_store

LEVELS, CELLS, PAGE = 16, 300, 4096


def interior(child: int) -> bytes:
    """A page of a table's tree whose every cell leads to the same page (SQLite's file format)."""
    content = bytearray(PAGE)
    content[0] = 5  # an interior page of a table
    content[3:5] = CELLS.to_bytes(2, "big")
    content[8:12] = child.to_bytes(4, "big")
    for number in range(CELLS):
        place = PAGE - 5 * (number + 1)
        content[place : place + 5] = child.to_bytes(4, "big") + b"\x01"
        content[12 + 2 * number : 14 + 2 * number] = place.to_bytes(2, "big")
    content[5:7] = (PAGE - 5 * CELLS).to_bytes(2, "big")
    return bytes(content)


def multiply(file: Path) -> None:
    """Make the tree of rejections one of 16 levels with 300 times the page below on each."""
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("INSERT INTO rejection VALUES (1, 1, 'a reply', 'a reason')")
        root = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'rejection'")
        root = root.fetchone()[0]
    content = bytearray(file.read_bytes())
    first = len(content) // PAGE + 1
    leaf = bytes(content[PAGE * (root - 1) : PAGE * root])
    content += leaf
    for level in range(LEVELS):
        content += interior(first + level)
    content[PAGE * (root - 1) : PAGE * root] = interior(first + LEVELS)
    content[28:32] = (len(content) // PAGE).to_bytes(4, "big")
    file.write_bytes(content)


def test_pages_that_multiply_end_as_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "SLACK", 1 << 20)  # in less time than with the true one
    open_store(tmp_path / "run").close()
    open_store(tmp_path / "sound").close()
    multiply(tmp_path / "run" / FILE)
    (tmp_path / "run" / "lock").unlink()
    began = time.monotonic()
    with pytest.raises(DamageError, match="lead back to themselves"):
        rejected(tmp_path / "run")
    assert [row.state for row in overview(tmp_path)] == ["damaged", "new"]
    assert time.monotonic() - began < 60


def test_a_statement_that_does_not_end_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "MOST_STEPS", 3_000_000)
    endless = (
        "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT count(*) FROM x"
    )
    (tmp_path / "file").touch()
    with closing(connect(tmp_path / "file", "ro", 1)) as connection:
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="interrupted") as ended:
                connection.execute(endless).fetchall()
            assert is_corrupt(ended.value)
            # Each statement has the whole of the steps again.
            assert connection.execute(f"{endless} LIMIT 0").fetchall() == []
