"""The feedback store's file: made whole, opened with what it promises, refused where it is
something else.

For: the file. Not for: what is in it (log.py).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from opro_local.errors import DamageError, StoreError
from opro_local.feedback.sealed import fill
from opro_local.files import free_bytes
from opro_local.runs.database import (
    SQLITE_ERRORS,
    Format,
    connect,
    create_linked,
    is_corrupt,
    make_private,
    marks_of,
    one_line,
    rebuild,
    set_journal,
)
from opro_local.runs.disks import journal_for

VERSION = 2
OLDEST = 1
FORMAT = Format(0x4F504642, VERSION, Path(__file__).with_name("schema.sql"))  # "OPFB"
# Every transaction is short: a writer that waits longer meets a stuck process, not a queue.
BUSY_SECONDS = 60.0


def create(path: Path) -> None:
    """Make an empty store, beside the path first and then linked there whole: no process ever sees
    half of one.

    Where another process was quicker, its file stays. Raises StoreError.
    """
    try:
        create_linked(path, FORMAT, journal_for(path.parent)[0])
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{path}: can't make the feedback store ({one_line(error)}{free_bytes(path.parent)})",
            "choose a place that is writable and has space",
        ) from None


def open_file(path: Path) -> sqlite3.Connection:
    """Open an existing store. Raises StoreError: missing, something else, or of another version; it
    is not changed.
    """
    if not path.is_file():
        what = "not a file" if path.exists() else "there is no feedback store here"
        raise StoreError(
            f"{path}: {what}",
            "give the file with --feedback; opro-local feedback register makes a new one",
        )
    try:
        make_private(path)
        connection = connect(path, "rw", BUSY_SECONDS, one_thread=False)
    except (*SQLITE_ERRORS, OSError) as error:
        raise explain(path, error) from error
    try:
        _check(path, connection)
        if marks_of(connection).version < VERSION:
            rebuild(connection, path, FORMAT, fill)
        journal, network = journal_for(path.parent)
        if network:
            set_journal(connection, journal)
        # FULL: a logged outcome survives a power cut too, not only the process. It costs one fsync
        # per call of `log`, nothing beside the model call that made the outcome; `log(*many)` and
        # imports pay it once.
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except (*SQLITE_ERRORS, OSError) as error:
        connection.close()
        raise explain(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    marks = marks_of(connection)
    if marks.application_id != FORMAT.application_id:
        raise StoreError(
            f"{path}: not a feedback store of opro-local", "choose another --feedback file"
        )
    if not OLDEST <= marks.version <= VERSION:
        raise StoreError(
            f"{path}: written by another version (schema {marks.version}, this is {VERSION})",
            "use that version's opro-local",
        )


def explain(path: Path, error: Exception) -> StoreError:
    """What SQLite or the system said, as the one line a user gets."""
    if "not a database" in str(error):
        return StoreError(
            f"{path}: not a feedback store of opro-local", "choose another --feedback file"
        )
    if is_corrupt(error):
        return DamageError(f"{path}: {one_line(error)}", "nothing was changed; restore a copy")
    return StoreError(
        f"{path}: {one_line(error)}{free_bytes(path.parent)}",
        "nothing was changed; free space or make it writable, then do it again",
    )
