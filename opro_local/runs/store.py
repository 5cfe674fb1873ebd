"""A run on disk: one SQLite file and one lock file in the run's folder.

For: opening, locking, appending, reading and checking. Not for: deciding what a run does. A
completion is committed before anyone acts on it; whatever is derived from completions may be
written late and is written the same again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opro_local.errors import LockedError, StoreError, UsageError
from opro_local.files import make_private_folder, open_private, refuse_link
from opro_local.runs.database import (
    Format,
    connect,
    make_private,
    marks_of,
    transaction,
    write_schema,
)
from opro_local.search.trajectory import Entry, Trajectory, fingerprint
from opro_local.types import Batch, BatchResult, Completion, FinishReason, Rejection

VERSION = 4
FORMAT = Format(0x4F50524F, VERSION, Path(__file__).with_name("schema.sql"))  # "OPRO"
FILE = "run.sqlite"
BUSY_SECONDS = 10.0  # a reader waits so long for a writer's checkpoint
LOCK = "lock"
FINISH: tuple[FinishReason, ...] = ("stop", "length", "too_long", "failed")


class Store:
    """The open store of one run. Made by `open_store` (one writer, locked) or `read_store` (any
    number of readers).
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock

    def reply(self, batch: Batch, digest: bytes) -> BatchResult | None:
        """The stored answer to a batch, or None. Raises UsageError if the label was answered for
        other requests.
        """
        with self._guarded():
            row = self._connection.execute(
                "SELECT request_digest, payload, payload_digest, seconds FROM call WHERE label = ?",
                (batch.label,),
            ).fetchone()
        if row is None:
            return None
        if row[0] != digest:
            raise UsageError(
                f"{self.folder}: the requests of {batch.label} differ from the ones stored there",
                "the data, a model's settings or the program changed since; choose another "
                "--run folder",
            )
        if hashlib.sha256(row[1]).digest() != row[2]:
            raise StoreError(
                f"{self.folder / FILE}: the completions of {batch.label} are damaged",
                "restore a copy",
            )
        return BatchResult(_unpack(row[1]), row[3])

    def append(self, batch: Batch, digest: bytes, reply: BatchResult) -> None:
        """Commit the completions of a batch; on return they survive a crash."""
        completions = reply.completions
        payload = _pack(completions)
        values = (
            batch.label,
            batch.role,
            len(completions),
            digest,
            payload,
            hashlib.sha256(payload).digest(),
        )
        tokens = (
            sum(c.prompt_tokens for c in completions),
            sum(c.cached_tokens for c in completions),
            sum(c.completion_tokens for c in completions),
        )
        self._write(
            "INSERT INTO call (label, role, requests, request_digest, payload, "
            "payload_digest, seconds, prompt_tokens, "
            "cached_tokens, completion_tokens, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
            "?, ?, ?)",
            [(*values, reply.seconds, *tokens, datetime.now(UTC).isoformat(timespec="seconds"))],
        )

    def record(
        self, entries: Sequence[Entry], rejections: Sequence[Rejection], first_rejection: int
    ) -> None:
        """Write derived rows for readers; `first_rejection` is the position of the first rejection
        given.

        Rows already there are replaced: a replay derives the same ones again.
        """
        with self._guarded(), transaction(self._connection):
            self._insert(entries, rejections, first_rejection)

    def settle(self, trajectory: Trajectory) -> None:
        """Leave the derived rows of this trajectory only: a search that ended elsewhere before may
        have left others.
        """
        with self._guarded(), transaction(self._connection):
            self._connection.execute("DELETE FROM solution")
            self._connection.execute("DELETE FROM rejection")
            self._insert([*trajectory.entries, *trajectory.held_out], trajectory.rejections, 0)

    def _insert(
        self, entries: Sequence[Entry], rejections: Sequence[Rejection], first_rejection: int
    ) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO solution VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_solution_row(entry) for entry in entries],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO rejection VALUES (?, ?, ?, ?)",
            [
                (first_rejection + i, r.step, _clean(r.text), _clean(r.reason))
                for i, r in enumerate(rejections)
            ],
        )

    def put(self, **values: Any) -> None:
        """Set meta values, JSON-able, in one transaction."""
        self._write(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(k, json.dumps(v)) for k, v in values.items()],
        )

    def get(self, key: str) -> Any:
        """A meta value, or None."""
        with self._guarded():
            row = self._connection.execute(
                "SELECT value FROM meta WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def solutions(self, split: str = "train") -> list[dict[str, Any]]:
        """The scored solutions of a split in the order they came."""
        rows = self._rows(
            "SELECT * FROM solution WHERE split = ? ORDER BY step, position", (split,)
        )
        return [{**row, "demonstrations": json.loads(row["demonstrations"])} for row in rows]

    def rejections(self) -> list[dict[str, Any]]:
        """The rejected replies in the order they came."""
        return self._rows("SELECT step, text, reason FROM rejection ORDER BY id", ())

    def calls(self) -> list[dict[str, Any]]:
        """The engine calls without their completions, in order."""
        return self._rows(
            "SELECT label, role, requests, seconds, prompt_tokens, cached_tokens, "
            "completion_tokens FROM call "
            "ORDER BY id",
            (),
        )

    def is_empty(self) -> bool:
        """Whether no call was ever answered."""
        return not self._rows("SELECT 1 FROM call LIMIT 1", ())

    def close(self) -> None:
        """Close; a writer also folds the log into the one file and releases the lock. Safe to call
        twice.
        """
        if self._lock is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _rows(self, sql: str, parameters: tuple[Any, ...]) -> list[dict[str, Any]]:
        with self._guarded():
            cursor = self._connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _write(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._guarded(), transaction(self._connection):
            self._connection.executemany(sql, rows)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(self.folder, error) from error


def open_store(folder: Path) -> Store:
    """Open a run's store for writing, making folder and file where they are missing.

    Raises:
        LockedError: another process has it open.
        StoreError: the folder can't be written or the file is not a run of this version.
    """
    try:
        make_private_folder(folder)
        lock = open_private(folder / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StoreError(
            f"{folder}: can't make the run folder ({error.strerror})", "choose another --run"
        ) from None
    _take(folder, lock)
    try:
        make_private(folder / FILE)
        connection = sqlite3.connect(folder / FILE, isolation_level=None, timeout=BUSY_SECONDS)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        _prepare(folder, connection)
    except sqlite3.Error as error:
        os.close(lock)
        raise _explain(folder, error) from error
    except OSError as error:
        os.close(lock)
        raise StoreError(f"{folder / FILE}: can't be made ({error.strerror})") from None
    except StoreError:
        os.close(lock)
        raise
    return Store(folder, connection, lock)


def read_store(folder: Path) -> Store:
    """Open a run's store for reading; a running search is not disturbed. Raises StoreError."""
    if not (folder / FILE).is_file():
        raise StoreError(f"{folder}: there is no run here", "opro-local list shows the runs")
    refuse_link(folder / FILE)
    try:
        connection = connect(folder / FILE, "ro", BUSY_SECONDS)
        _check(folder, connection)
    except sqlite3.Error as error:
        raise _explain(folder, error) from error
    return Store(folder, connection, None)


def _take(folder: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
        os.close(lock)
        raise LockedError(
            f"{folder}: in use by {holder or 'another process'}", "wait for it or stop it"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(
        lock,
        f"process {os.getpid()} on {os.uname().nodename} since {time.strftime('%F %T')}".encode(),
        0,
    )


def _prepare(folder: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        _check(folder, connection)
        return
    write_schema(connection, FORMAT)


def _check(folder: Path, connection: sqlite3.Connection) -> None:
    marks = marks_of(connection)
    if marks.application_id != FORMAT.application_id:
        raise StoreError(f"{folder / FILE}: not a run of opro-local", "choose another --run folder")
    if marks.version != VERSION:
        raise StoreError(
            f"{folder / FILE}: written by another version (schema {marks.version}, this is "
            f"{VERSION})"
        )


def _explain(folder: Path, error: sqlite3.Error) -> StoreError:
    with contextlib.suppress(OSError):
        state = os.statvfs(folder)
        free = f", {state.f_bavail * state.f_frsize:,} bytes free there"
        return StoreError(
            f"{folder / FILE}: {error}{free}",
            "free space or restore a copy, then give the same command",
        )
    return StoreError(f"{folder / FILE}: {error}")


def _solution_row(entry: Entry) -> tuple[Any, ...]:
    score = entry.score
    return (
        *(entry.split, entry.step, entry.position, entry.solution.key, _clean(entry.solution.text)),
        json.dumps(entry.solution.demonstrations),
        *(score.value, score.n, entry.partial, score.failures, score.truncated, score.tokens),
        *(entry.similarity, fingerprint(entry)),
    )


def _clean(text: str) -> str:
    """SQLite text is UTF-8: a lone surrogate from a model is written as a replacement character for
    readers.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def _pack(completions: Sequence[Completion]) -> bytes:
    columns = [
        [c.text for c in completions],
        [FINISH.index(c.finish_reason) for c in completions],
        [c.prompt_tokens for c in completions],
        [c.cached_tokens for c in completions],
        [c.completion_tokens for c in completions],
    ]
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode("ascii"), 1)


def _unpack(payload: bytes) -> list[Completion]:
    texts, finishes, *counts = json.loads(zlib.decompress(payload))
    return [
        Completion(text, FINISH[finish], *tokens)
        for text, finish, *tokens in zip(texts, finishes, *counts, strict=True)
    ]
