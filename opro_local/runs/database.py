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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opro_local.errors import StoreError
from opro_local.files import open_private, open_regular, refuse_link, sync_folder

Journal = Literal["wal", "delete"]
# What a damaged file is answered with. The module decodes SQLite's messages, which quote the file.
# What a statement may take: an honest one takes some steps a row, which has some dozen bytes.
MOST_STEPS, STEPS_A_BYTE, STEPS_COUNTED = 200_000_000, 8, 1_000_000
SLACK = 16 << 20  # bytes of rows that are read whatever a file's size is
MOST_QUOTED = 200  # characters of such an answer
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)


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


def create_linked(path: Path, form: Format, journal: Journal) -> None:
    """Make an empty file beside the path and link it there whole: no process ever sees half of one,
    and a full disk leaves none.

    Where another process was quicker, its file stays. Raises sqlite3.Error and OSError.
    """
    with _linked(path) as connection:
        write_schema(connection, form)
        # Last, and one write to the header: all else is in the main file by now.
        set_journal(connection, journal)


@contextlib.contextmanager
def _linked(path: Path) -> Iterator[sqlite3.Connection]:
    """An empty file beside the path, which is closed and linked there when the block ends, unless
    there is one by then; nothing is left of it otherwise.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        make_private(part)
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            yield connection
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        sync_folder(path.parent)
    finally:
        for left in files_of(part):
            with contextlib.suppress(OSError):
                left.unlink()


def rebuild(
    connection: sqlite3.Connection,
    path: Path,
    form: Format,
    fill: Callable[[sqlite3.Connection, int], None],
) -> None:
    """Bring an open file of an older schema up to this one, after a copy that stays beside it.

    Where another process was quicker, nothing is left to do.

    Args:
        connection: to the file.
        path: of the file; the copy's name is the file's and `.schema-N`.
        form: what the file becomes.
        fill: copies the rows: given the older schema, the number that the older tables' names now
            end in.

    Raises:
        sqlite3.Error, OSError: it can't be done, for want of space say; the file is as it was.
    """
    older = marks_of(connection).version
    copy_linked(connection, path.with_name(f"{path.name}.schema-{older}"))
    # References from one table to another keep the names they have.
    connection.execute("PRAGMA legacy_alter_table=ON")
    with transaction(connection):
        if marks_of(connection).version != older:
            return
        named = "SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL"
        for kind, name in connection.execute(named).fetchall():
            if kind == "table":
                connection.execute(f"ALTER TABLE {name} RENAME TO {name}_{older}")
            else:
                connection.execute(f"DROP {kind} IF EXISTS {name}")
        for statement in _statements(form.schema.read_text("utf-8")):
            connection.execute(statement)
        fill(connection, older)
        for kind, name in connection.execute(named).fetchall():
            if kind == "table" and name.endswith(f"_{older}"):
                connection.execute(f"DROP TABLE {name}")
        connection.execute(f"PRAGMA user_version={form.version}")


def _statements(schema: str) -> list[str]:
    """The statements of a schema that has no semicolon within one."""
    lines = [line.partition("--")[0] for line in schema.splitlines()]
    return [part for part in "\n".join(lines).split(";") if part.strip()]


def set_journal(connection: sqlite3.Connection, journal: Journal) -> None:
    """Choose the journal. Raises sqlite3.Error, also where SQLite keeps the other one."""
    said = connection.execute(f"PRAGMA journal_mode={journal}").fetchone()[0]
    if said != journal:
        raise sqlite3.OperationalError(f"the journal stays {said}")


def copy_linked(connection: sqlite3.Connection, path: Path) -> None:
    """Copy an open file, log included, to a path where nothing is yet, whole or not at all.

    A file that is there stays. Raises sqlite3.Error and OSError.
    """
    with _linked(path) as copy:
        connection.backup(copy)
        set_journal(copy, "delete")


def make_private(path: Path) -> None:
    """Make an empty file that only its user can read where there is none: SQLite gives its log
    and its index the permissions of the file, and takes an empty one for a new one.

    Raises:
        StoreError: the file, its log or its index is a link, or no regular file.
        OSError: it can't be made.
    """
    refuse_links(path)
    with contextlib.suppress(FileExistsError):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    if not path.is_file():
        raise StoreError(f"{path}: is no regular file", "remove it")


def refuse_links(path: Path) -> None:
    """Raise StoreError where the file, its log, its index or its journal is a link, or no regular
    file: SQLite would wait for ever at a FIFO.
    """
    for file in files_of(path):
        refuse_link(file)
        if file.exists() and not file.is_file():
            raise StoreError(f"{file}: is no regular file", "remove it")


def files_of(path: Path) -> tuple[Path, Path, Path, Path]:
    """The file, its write-ahead log, that log's index and its rollback journal, whether they are
    there or not.
    """
    return path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")


def one_line(error: Exception) -> str:
    """What an error says, in one line of printable characters: SQLite quotes a damaged file."""
    words = " ".join(str(error).split())
    shown = "".join(one if one.isprintable() else "?" for one in words)
    return shown if len(shown) <= MOST_QUOTED else f"{shown[:MOST_QUOTED]}..."


def is_corrupt(error: Exception) -> bool:
    """Whether this says that a file's content is wrong, and not that it can't be read or written
    now.
    """
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    # Nothing but `BoundedConnection` interrupts a statement.
    ended = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_TOOBIG)
    kinds = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, *ended)
    return isinstance(error, sqlite3.Error) and code & 0xFF in kinds


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a file say without SQLite.

    Attributes:
        uses_log: whether a write-ahead log belongs to it.
        version: of the schema.
        application_id: SQLite's mark of the program and kind.
    """

    uses_log: bool
    version: int
    application_id: int


def header_of(path: Path) -> Header:
    """The header, as it was when the log was folded in last. Raises OSError."""
    with open_regular(path) as stream:
        first = stream.read(100)
    version, mark = (int.from_bytes(first[at : at + 4], "big") for at in (60, 68))
    return Header(first[18:20] == b"\2\2", version, mark)


def has_log(path: Path) -> bool:
    """Whether a write-ahead log with something in it lies beside the file."""
    log = files_of(path)[1]
    try:
        return log.stat().st_size > 0
    except OSError:
        return False


class BoundedConnection(sqlite3.Connection):
    """A connection whose statements end: one that takes more steps than a file of its size explains
    is interrupted, which `is_corrupt` calls damage. Pages that lead to each other in a circle would
    keep it for ever.
    """

    _steps = 0

    def bound(self, path: Path) -> None:
        """Begin to count; `path` is the file."""
        self.set_progress_handler(lambda: self._count(path), STEPS_COUNTED)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """As always; every statement has the whole of the steps."""
        self._steps = 0
        return super().execute(*arguments)

    def _count(self, path: Path) -> bool:
        self._steps += STEPS_COUNTED
        return self._steps > MOST_STEPS + STEPS_A_BYTE * size_of(path)


def size_of(path: Path) -> int:
    """The bytes of a file and its log; 0 where there is none."""
    size = 0
    for file in files_of(path)[:2]:
        with contextlib.suppress(OSError):
            size += file.stat().st_size
    return size


def all_rows(connection: sqlite3.Connection, path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query that gives out each row of a file once.

    Raises:
        sqlite3.Error: it can't be read, or the rows are more than the file can hold.
    """
    rows, size = [], 0
    for row in connection.execute(sql):
        rows.append(row)
        # A cell takes two bytes at least besides the texts, which are stored as they are.
        size += 2 + sum(len(value) for value in row if isinstance(value, str | bytes))
        if size > SLACK and size > SLACK + size_of(path):
            raise sqlite3.DatabaseError("it holds rows that lead back to themselves")
    return rows


def connect(path: Path, mode: str, seconds: float, one_thread: bool = True) -> sqlite3.Connection:
    """Open a file that exists, without transactions that begin by themselves.

    Args:
        path: the file.
        mode: "ro" or "rw"; neither makes a file. "ro&immutable=1" also takes no lock and looks
            for no log: for files that nobody writes.
        seconds: how long a statement waits for another process' lock.
        one_thread: whether only the thread that opens it may use it.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        timeout=seconds,
        check_same_thread=one_thread,
        factory=BoundedConnection,
    )
    connection.bound(path)
    return connection


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
