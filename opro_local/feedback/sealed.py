"""The feedback store's rows and their seal: what is added is covered, what is read is checked.

For: adding rows with their digests, and noticing rows that changed or went. Not for: what the rows
mean (log.py). Many processes write one store, so that the seal is read again in each transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import DamageError
from opro_local.runs.seal import Change, Seal, row_digest, seal_of, total, write_seal

# The columns that a row's digest covers, in the order in which they are given.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("id", "text", "source", "added_at"),
    "outcome": (
        *("number", "id", "prompt", "user", "input", "output", "score", "target", "time"),
        "metadata",
    ),
    "experiment": (
        *("id", "champion", "challenger", "share", "alpha", "harm", "max_users", "max_days"),
        *("started_at", "after"),
    ),
    "decision": (
        *("number", "time", "action", "automatic", "reason", "champion", "running", "experiment"),
        "numbers",
    ),
}
TABLES = tuple(COLUMNS)
REALS = frozenset(("score", "share", "alpha", "harm", "max_days"))


class SealedRows:
    """The rows of one open store.

    Args:
        path: of the file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Sums that this process has seen to fit the rows, by table: a service that logs reads no
        # table again that it alone wrote.
        self._sound: dict[str, int] = {}

    def add(self, cursor: sqlite3.Cursor, table: str, rows: Iterable[Sequence[Any]]) -> Change:
        """Insert rows, with all columns of COLUMNS, within a transaction; `close` ends it. Raises
        sqlite3.Error.
        """
        names = (*COLUMNS[table], "digest")
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        change = Change()
        for row in rows:
            exact = [
                float(value) if name in REALS else value
                for name, value in zip(COLUMNS[table], row, strict=True)
            ]
            digest = row_digest(table, exact)
            cursor.execute(sql, (*exact, digest))
            change.add(table, [digest])
        self._follow(cursor, change)
        return change

    def check(self, cursor: sqlite3.Cursor, tables: Iterable[str] = TABLES) -> None:
        """Compare all rows of tables with the seal, in one transaction of the caller or of the
        reader.

        Raises:
            DamageError: they are not what was written.
            sqlite3.Error: the file can't be read.
        """
        seal = self._seal(cursor)
        for table in tables:
            if self._sound.get(table) == seal.sums[table]:
                continue
            rows = cursor.execute(f"SELECT {', '.join(COLUMNS[table])} FROM {table}")
            if total(row_digest(table, row) for row in rows) != seal.sums[table]:
                raise self._damaged(f"damaged in its {table}s")
            # Rows are found, and counted, by indexes, which hold copies of their values.
            if cursor.execute(f"PRAGMA integrity_check({table})").fetchall() != [("ok",)]:
                raise self._damaged(f"damaged in the indexes of its {table}s")
            self._sound[table] = seal.sums[table]

    def _follow(self, cursor: sqlite3.Cursor, change: Change) -> None:
        before = self._seal(cursor)
        after = before.after(change)
        write_seal(cursor, after)
        for table in TABLES:
            # A transaction that is rolled back leaves a sum that no seal has: it is checked anew.
            if self._sound.get(table) == before.sums[table]:
                self._sound[table] = after.sums[table]

    def _seal(self, cursor: sqlite3.Cursor) -> Seal:
        row = cursor.execute("SELECT * FROM seal").fetchone()
        seal = seal_of(row, TABLES)
        if seal is None:
            raise self._damaged("its seal is damaged")
        return seal

    def _damaged(self, what: str) -> DamageError:
        return DamageError(
            f"{self._path}: {what}", "nothing is read from it or added: restore a copy"
        )


def fill(connection: sqlite3.Connection, version: int) -> None:
    """Copy the rows of schema 1, whose tables end in its version. Raises sqlite3.Error."""
    change = Change()
    for table, names in COLUMNS.items():
        columns = ", ".join(names)
        marks = ", ".join("?" * (len(names) + 1))
        insert = f"INSERT INTO {table} ({columns}, digest) VALUES ({marks})"
        for row in connection.execute(f"SELECT {columns} FROM {table}_{version}"):
            digest = row_digest(table, row)
            connection.execute(insert, (*row, digest))
            change.add(table, [digest])
    write_seal(connection, Seal(0, dict.fromkeys(TABLES, 0)).after(change))
