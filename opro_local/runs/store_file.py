"""The file of a run's store: made whole, opened with what it promises, brought up to this version,
refused where it is something else or not all there.

For: everything between a folder and an open connection. Not for: what is read and written through
that (store.py).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import DamageError, StoreError
from opro_local.files import free_bytes
from opro_local.runs import lock, migration
from opro_local.runs.database import (
    SQLITE_ERRORS,
    Format,
    connect,
    create_linked,
    files_of,
    has_log,
    header_of,
    is_corrupt,
    marks_of,
    one_line,
    rebuild,
    refuse_links,
    set_journal,
)
from opro_local.runs.disks import journal_for
from opro_local.runs.seal import Seal, seal_of

VERSION = 5
FORMAT = Format(0x4F50524F, VERSION, Path(__file__).with_name("schema.sql"))  # "OPRO"
FILE = "run.sqlite"
BUSY_SECONDS = 10.0  # a reader waits so long for a writer's checkpoint
CLOSE_SECONDS = 1.0  # and a writer that ends so long for readers


@dataclass(frozen=True, slots=True)
class StoreFile:
    """An open file.

    Attributes:
        connection: to it.
        seal: what it says it holds; None in a file of an earlier version, which has none.
        notice: a line for the user about where it is; else "".
        close: to be called once, after the connection's last use.
    """

    connection: sqlite3.Connection
    seal: Seal | None
    notice: str
    close: Callable[[], None]


def open_to_write(folder: Path, own: lock.Lock) -> StoreFile:
    """Open a locked run's file, making it where it is missing and bringing it up to this version.

    Args:
        folder: the run's.
        own: the run's lock, which says what the file must hold.

    Raises:
        StoreError: it can't be made or opened, is something else, or is not all there.
    """
    path, record = folder / FILE, own.record
    refuse_links(path)
    journal, network = journal_for(folder)
    try:
        _make(path, record)
        _require_log(path, record)
        # Lockstep has threads commit what the thread that opened it made.
        connection = connect(path, "rw", BUSY_SECONDS, one_thread=False)
    except (*SQLITE_ERRORS, OSError) as error:
        raise explain(folder, error) from error
    try:
        version = _version(folder, connection)
        if version < VERSION:
            rebuild(connection, path, FORMAT, migration.fill)
        seal = read_seal(folder, connection)
        _require_age(folder, seal, record)
        # Before there is a log: a file that asks for one and has none is then known to be whole.
        own.note(seal.epoch, seal.digest())
        set_journal(connection, journal)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except (*SQLITE_ERRORS, OSError) as error:
        connection.close()
        raise explain(folder, error) from error
    except StoreError:
        connection.close()
        raise
    notice = f"{folder} is on {network}: its store keeps a rollback journal, not a log"
    return StoreFile(
        connection, seal, notice if network else "", lambda: _close_written(connection)
    )


def open_to_read(folder: Path) -> StoreFile:
    """Open a run's file for reading. Nothing is written, and a running search is not disturbed.

    Raises:
        StoreError: there is none, or it is something else, or not all there.
    """
    path = folder / FILE
    try:
        if not path.is_file():
            raise StoreError(f"{folder}: there is no run here", "opro-local list shows the runs")
    except OSError as error:
        raise explain(folder, error) from error
    refuse_links(path)
    # Before the file: a writer commits first and then notes what it committed.
    record = lock.record_of(folder)
    held, handle = lock.share(folder)
    with contextlib.ExitStack() as opened:
        if handle >= 0:
            opened.callback(os.close, handle)
        try:
            if not held:
                _require_log(path, record)
            connection = _connect_to_read(path, held, opened)
            opened.callback(connection.close)
            seal = None
            if _version(folder, connection) < VERSION:
                migration.show_as_now(connection)
            else:
                seal = read_seal(folder, connection)
                _require_age(folder, seal, record)
        except (*SQLITE_ERRORS, OSError) as error:
            raise explain(folder, error) from error
        # Closed by who uses the file from here on.
        return StoreFile(connection, seal, "", opened.pop_all().close)


def read_seal(folder: Path, connection: sqlite3.Connection) -> Seal:
    """The seal of an open file of this version. Raises StoreError: it is damaged."""
    row = connection.execute("SELECT * FROM seal").fetchone()
    seal = seal_of(row)
    if seal is None:
        raise damaged(folder, "its seal is damaged")
    return seal


def damaged(folder: Path, what: str) -> DamageError:
    """The error for a file whose content is wrong: what is, and what to do."""
    return DamageError(
        f"{folder / FILE}: {what}",
        f"restore a copy, or opro-local recover {folder} copies what is intact",
    )


def explain(folder: Path, error: Exception) -> StoreError:
    """What SQLite or the system said of a run's file, as the one line a user gets."""
    if is_corrupt(error):
        return damaged(folder, one_line(error))
    return StoreError(
        f"{folder / FILE}: {one_line(error)}{free_bytes(folder)}",
        "free space or restore a copy, then give the same command",
    )


def _make(path: Path, record: lock.Record | None) -> None:
    """Make the file where there is none. Raises StoreError where there must have been one."""
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: is no regular file", "remove it")
    if path.exists() and path.stat().st_size:
        return
    if record is not None:
        raise damaged(path.parent, f"it is gone, and {lock.FILE} knows of {record.epoch} changes")
    path.unlink(missing_ok=True)
    create_linked(path, FORMAT, "delete")


def _version(folder: Path, connection: sqlite3.Connection) -> int:
    """The file's schema. Raises StoreError where it is none that this program reads."""
    marks = marks_of(connection)
    if marks.application_id != FORMAT.application_id:
        raise StoreError(f"{folder / FILE}: not a run of opro-local", "choose another --run folder")
    if not migration.OLDEST <= marks.version <= VERSION:
        raise StoreError(
            f"{folder / FILE}: written by another version (schema {marks.version}, this is "
            f"{VERSION})",
            "use that version's opro-local",
        )
    _require_tables(folder, connection)
    return marks.version


def _require_tables(folder: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file with more than tables and their indexes: reading a view, or a column that is
    worked out, runs what somebody else wrote, and need not end. Raises StoreError.
    """
    for kind, sql in connection.execute("SELECT type, sql FROM main.sqlite_master"):
        text = " ".join((sql or "").upper().split())
        is_plain = not text.startswith("CREATE VIRTUAL") and " AS (" not in text
        if kind not in ("table", "index") or not is_plain:
            raise damaged(folder, "it holds more than the tables of a run")


def _require_log(path: Path, record: lock.Record | None) -> None:
    """Refuse a file whose log was taken away; where the lock says what it held, that decides.

    Earlier versions left the mark of a log in finished files, too.
    """
    header = header_of(path)
    if record is not None or not header.uses_log or header.version < VERSION:
        return
    if not files_of(path)[1].exists():
        raise damaged(path.parent, f"its log {FILE}-wal is missing, which holds the last changes")


def _require_age(folder: Path, seal: Seal, record: lock.Record | None) -> None:
    """Refuse a file that is older than it was."""
    if record is None or seal.epoch > record.epoch:
        return
    if seal.epoch < record.epoch:
        lost = f"the last {record.epoch - seal.epoch} of {record.epoch} changes are lost"
        raise damaged(folder, f"{lost}: its log {FILE}-wal is missing or damaged")
    if seal.digest().hex() != record.digest:
        raise damaged(folder, f"its content is not what {lock.FILE} says")


def _connect_to_read(path: Path, held: bool, opened: contextlib.ExitStack) -> sqlite3.Connection:
    """A connection that writes nothing beside the file.

    SQLite has to write before it can read what a crash left; a copy elsewhere is read then.
    """
    _, log, _, journal = files_of(path)
    if held:
        return connect(path, "ro", BUSY_SECONDS)
    is_half_done = journal.exists() and journal.stat().st_size > 0
    if not has_log(path) and not is_half_done:
        return connect(path, "ro&immutable=1", BUSY_SECONDS)
    place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="opro-local-")))
    for file in (path, log, journal):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(file, place / file.name)
    return connect(place / path.name, "rw", BUSY_SECONDS)


def _close_written(connection: sqlite3.Connection) -> None:
    """Fold the log into the one file. Where a full disk or a reader is against it, the log stays
    and the next writer does it.
    """
    with contextlib.suppress(*SQLITE_ERRORS):
        connection.execute(f"PRAGMA busy_timeout={int(1000 * CLOSE_SECONDS)}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        set_journal(connection, "delete")
    connection.close()
