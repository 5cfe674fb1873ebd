"""Stores whose digests and seal fit what somebody else wrote into them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from opro_local.runs.seal import COLUMNS, TABLES, Change, Seal, row_digest


def seal_again(folder: Path) -> None:
    """Make the digests and the seal of a run's store fit its rows, and take its notes away."""
    with closing(sqlite3.connect(folder / "run.sqlite", isolation_level=None)) as raw:
        raw.execute("BEGIN")
        sums = Change()
        for table in TABLES:
            rows = raw.execute(f"SELECT {', '.join(COLUMNS[table])} FROM {table}").fetchall()
            sums.add(table, [row_digest(table, row) for row in rows])
            for row in rows if table in ("meta", "call") else ():
                place = f"UPDATE {table} SET digest = ? WHERE {COLUMNS[table][0]} = ?"
                raw.execute(place, (row_digest(table, row), row[0]))
        raw.execute("REPLACE INTO seal VALUES (?, ?, ?, ?, ?, ?, ?)", Seal().after(sums).row())
        raw.execute("COMMIT")
    (folder / "lock").unlink(missing_ok=True)
