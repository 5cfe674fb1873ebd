"""What every SQLite file of ours has in common: it says what it is, and it changes whole or not at
all.

For: making a file, opening it, asking what it is, and transactions. Not for: what is in it
(store.py, cache.py, feedback/), or what a user is told when something is wrong: only those know
what to do then.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import StoreError
from opro_local.files import open_private, refuse_link


@dataclass(frozen=True, slots=True)
class Format:
    """What a file of one kind is.

    Attributes:
        application_id: SQLite's mark of the program and kind, in the file's header.
        version: of the schema, in the file's header.
        schema: the file with the statements that make the tables.
    """

    application_id: int
    version: int
    schema: Path


@dataclass(frozen=True, slots=True)
class Marks:
    """What a file's header says it is; both are 0 in a file that is not ours."""

    application_id: int
    version: int


def marks_of(connection: sqlite3.Connection) -> Marks:
    """The marks in the open file's header. Raises sqlite3.Error."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return Marks(application_id, version)


def write_schema(connection: sqlite3.Connection, form: Format) -> None:
    """Make the tables and the marks in an empty file, in one transaction. Raises sqlite3.Error."""
    connection.executescript(
        f"BEGIN IMMEDIATE; {form.schema.read_text('utf-8')} "
        f"PRAGMA application_id={form.application_id}; PRAGMA user_version={form.version}; COMMIT;"
    )


def create_linked(path: Path, form: Format) -> None:
    """Make an empty file beside the path and link it there whole: no process ever sees half of one.

    Where another process was quicker, its file stays. Raises sqlite3.Error and OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        make_private(part)
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            write_schema(connection, form)
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        for left in files_of(part):
            with contextlib.suppress(OSError):
                left.unlink()


def make_private(path: Path) -> None:
    """Make an empty file that only its user can read where there is none: SQLite gives its log
    and its index the permissions of the file, and takes an empty one for a new one.

    Raises:
        StoreError: the file, its log or its index is a link, or no regular file.
        OSError: it can't be made.
    """
    for file in (*files_of(path), Path(f"{path}-journal")):
        refuse_link(file)
    with contextlib.suppress(FileExistsError):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    if not path.is_file():
        raise StoreError(f"{path}: is no regular file", "remove it")


def files_of(path: Path) -> tuple[Path, Path, Path]:
    """The file, its write-ahead log and that log's index, whether they are there or not."""
    return path, Path(f"{path}-wal"), Path(f"{path}-shm")


def connect(path: Path, mode: str, seconds: float, one_thread: bool = True) -> sqlite3.Connection:
    """Open a file that exists, without transactions that begin by themselves.

    Args:
        path: the file.
        mode: "ro" or "rw"; neither makes a file.
        seconds: how long a statement waits for another process' lock.
        one_thread: whether only the thread that opens it may use it.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=seconds, check_same_thread=one_thread
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements within or none of them.

    IMMEDIATE: the busy timeout holds for taking the lock at the beginning, not for a reader that
    wants to write later.

    Whatever ends it early, a full disk at the end too, is raised again after the rollback,
    KeyboardInterrupt included.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
