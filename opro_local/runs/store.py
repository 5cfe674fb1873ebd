"""A run on disk: one SQLite file and one lock file in the run's folder.

For: appending and reading, each row checked against the digest it was written with. Not for:
deciding what a run does, or opening files (store_file.py). A completion is committed before anyone
acts on it; whatever is derived from completions may be written late and is written the same again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opro_local.errors import StoreError, UsageError
from opro_local.runs import lock as locks
from opro_local.runs.database import SQLITE_ERRORS, all_rows, transaction
from opro_local.runs.derived_rows import derived_rows, rejection_rows, solution_row
from opro_local.runs.made_by import why_differing
from opro_local.runs.packing import ids_of, is_payload, meta_value, pack, unpack
from opro_local.runs.seal import (
    COLUMNS,
    DERIVED,
    ORDERS,
    WORDS,
    Change,
    Seal,
    Table,
    is_row,
    row_digest,
    total,
    write_seal,
)
from opro_local.runs.store_file import FILE as FILE
from opro_local.runs.store_file import (
    StoreFile,
    damaged,
    explain,
    open_to_read,
    open_to_write,
    read_seal,
)
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Completion, Rejection


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the answer to a batch is: the call's row, and that row's digest."""

    id: int
    digest: bytes


class Store:
    """The open store of one run. Made by `open_store` (one writer, locked) or `read_store` (any
    number of readers).

    Attributes:
        folder: the run's.
        notice: a line for the user about where it is; else "".
    """

    def __init__(self, folder: Path, file: StoreFile, lock: locks.Lock | None) -> None:
        self.folder, self.notice = folder, file.notice
        self._file, self._lock, self._seal = file, lock, file.seal
        self._connection = file.connection
        self._is_open = True
        self._turn = threading.Lock()  # a second Ctrl-C may come while a thread writes
        self._meta = dict(self._checked("meta"))
        self._places: dict[str, _Place] | None = None  # read when they are first needed

    def reply(self, batch: Batch, digest: bytes) -> BatchResult | None:
        """The stored answer to a batch, or None.

        Raises:
            UsageError: the label was answered for other requests.
            StoreError: the answer is damaged.
        """
        if batch.label not in self._known_places():
            return None
        call = self._call(batch.label)
        if call["request_digest"] != digest:
            raise UsageError(
                f"{self.folder}: the requests of {batch.label} differ from the ones stored there",
                why_differing(self.get("made_by")),
            )
        return self._completions(call)

    def completions(self, label: str) -> BatchResult:
        """What was answered under a label that `calls` names. Raises StoreError: damaged."""
        return self._completions(self._call(label))

    def append(
        self, batch: Batch, digest: bytes, reply: BatchResult, known: Sequence[Completion] = ()
    ) -> None:
        """Commit the completions of a batch; on return they survive a crash.

        Args:
            batch: what was asked.
            digest: of its requests.
            reply: what was answered.
            known: those of the completions that the cache gave.
        """
        completions = reply.completions
        payload = pack(completions)
        places = self._known_places()
        last = next(reversed(places.values()), None)  # they are in the order of their ids
        id = last.id + 1 if last else 1
        values = (
            *(id, batch.label, batch.role, len(completions), digest),
            *(hashlib.sha256(payload).digest(), float(reply.seconds)),
            sum(c.prompt_tokens for c in completions),
            sum(c.cached_tokens for c in completions),
            sum(c.completion_tokens for c in completions),
            len(known),
            sum(c.prompt_tokens for c in known),
            sum(c.completion_tokens for c in known),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        own = row_digest("call", values)
        with self._writing() as change:
            change.add("call", [own])
            names = (*COLUMNS["call"], "digest", "payload")
            self._connection.execute(_insert("call", names), (*values, own, payload))
        places[batch.label] = _Place(id, own)

    def adopt(self, calls: Iterable[tuple[tuple[Any, ...], bytes]]) -> None:
        """Take over calls of another store, in their order: the columns that a digest covers, and
        the payload. They are numbered anew.
        """
        places = self._known_places()
        with self._writing() as change:
            for id, (values, payload) in enumerate(calls, len(places) + 1):
                row = (id, *values[1:])
                own = row_digest("call", row)
                change.add("call", [own])
                names = (*COLUMNS["call"], "digest", "payload")
                self._connection.execute(_insert("call", names), (*row, own, payload))
                places[row[1]] = _Place(id, own)

    def record(
        self, entries: Sequence[Entry], rejections: Sequence[Rejection], first_rejection: int
    ) -> None:
        """Write derived rows for readers; `first_rejection` is the position of the first rejection
        given.

        Rows already there are replaced: a replay derives the same ones again, and writes nothing.
        """
        solutions = self._differing("solution", map(solution_row, entries), 3)
        refused = self._differing("rejection", rejection_rows(rejections, first_rejection), 1)
        if not solutions and not refused:
            return
        with self._writing() as change:
            differing: dict[Table, Any] = {"solution": solutions, "rejection": refused}
            for table, rows in differing.items():
                for old, new in rows:
                    change.remove(table, [row_digest(table, old)] if old else [])
                    change.add(table, [row_digest(table, new)])
                    self._connection.execute(_insert(table, COLUMNS[table]), new)

    def settle(self, trajectory: Trajectory) -> None:
        """Leave the derived rows of this trajectory only: a search that ended elsewhere before may
        have left others.
        """
        rows = derived_rows(trajectory)
        digests = {table: [row_digest(table, row) for row in rows[table]] for table in rows}
        seal = self._seal or Seal()
        if all(total(digests[table]) == seal.sums[table] for table in rows):
            return
        with self._writing() as change:
            for table in rows:
                change.sums[table] -= seal.sums[table]
                change.add(table, digests[table])
                self._connection.execute(f"DELETE FROM {table}")
                self._connection.executemany(_insert(table, COLUMNS[table]), rows[table])

    def put(self, **values: Any) -> None:
        """Set meta values, JSON-able, in one transaction."""
        texts = {key: json.dumps(value) for key, value in values.items()}
        changed = {key: text for key, text in texts.items() if self._meta.get(key) != text}
        if not changed:
            return
        with self._writing() as change:
            for key, text in changed.items():
                if key in self._meta:
                    change.remove("meta", [row_digest("meta", (key, self._meta[key]))])
                own = row_digest("meta", (key, text))
                change.add("meta", [own])
                names = (*COLUMNS["meta"], "digest")
                self._connection.execute(_insert("meta", names), (key, text, own))
        self._meta |= changed

    def get(self, key: str) -> Any:
        """A meta value as it was when the store was opened, or as it was put since; or None."""
        text = self._meta.get(key)
        try:
            return None if text is None else meta_value(key, text)
        except ValueError:  # in a file that was forged, or of a version without a seal
            raise damaged(self.folder, f"what it says of {key} is damaged") from None

    def solutions(self, split: str = "train") -> list[dict[str, Any]]:
        """The scored solutions of a split in the order they came. Raises StoreError: damaged."""
        rows = [row for row in self._dicts("solution") if row["split"] == split]
        try:
            return [{**row, "demonstrations": ids_of(row["demonstrations"])} for row in rows]
        except ValueError:  # as in `get`
            raise damaged(self.folder, f"damaged in {WORDS['solution']}") from None

    def rejections(self) -> list[dict[str, Any]]:
        """The rejected replies in the order they came. Raises StoreError: damaged."""
        names = ("step", "text", "reason")
        return [{name: row[name] for name in names} for row in self._dicts("rejection")]

    def calls(self) -> list[dict[str, Any]]:
        """The engine calls without their completions, in order. Raises StoreError: damaged."""
        return self._dicts("call")

    def is_empty(self) -> bool:
        """Whether no call was ever answered."""
        return not self._known_places()

    def check_pages(self) -> None:
        """Have SQLite check the file's own structure. Raises StoreError: damaged."""
        with self._guarded():
            rows = self._connection.execute("PRAGMA integrity_check(1)").fetchall()
        if rows != [("ok",)]:
            raise damaged(self.folder, " ".join(str(rows[0][0]).split()))

    def table(self, table: Table) -> list[tuple[Any, ...]]:
        """The rows of a table as they are kept, in order. Raises StoreError: damaged."""
        return self._checked(table)

    def check(self) -> None:
        """Compare every row with the seal; meta was when it was opened, completions are when they
        are read. Raises StoreError: damaged.
        """
        self._known_places()
        for table in DERIVED:
            self._checked(table)

    def close(self) -> None:
        """Close; a writer also folds the log into the one file and releases the lock. Safe to call
        twice.
        """
        if self._is_open:
            self._is_open = False
            self._file.close()
        if self._lock:
            self._lock.release()

    def remove(self) -> None:
        """Close a writer's store, and remove it with its folder before others get the lock."""
        self._is_open = False
        self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _known_places(self) -> dict[str, _Place]:
        if self._places is None:
            rows = self._checked("call")
            self._places = {row[1]: _Place(row[0], row_digest("call", row)) for row in rows}
        return self._places

    def _call(self, label: str) -> dict[str, Any]:
        """The row of an answered batch, its payload included. Raises StoreError: damaged."""
        place = self._known_places()[label]
        names = COLUMNS["call"]
        with self._guarded():
            row = self._connection.execute(
                f"SELECT {', '.join(names)}, payload FROM call WHERE id = ?", (place.id,)
            ).fetchone()
        if row is None or row_digest("call", row[:-1]) != place.digest:
            raise damaged(self.folder, f"the call {label} is damaged")
        return dict(zip((*names, "payload"), row, strict=True))

    def _completions(self, call: Mapping[str, Any]) -> BatchResult:
        if not is_payload(call["payload"], call["payload_digest"]):
            raise damaged(self.folder, f"the completions of {call['label']} are damaged")
        try:
            return BatchResult(unpack(call["payload"]), call["seconds"])
        except ValueError:
            raise damaged(
                self.folder, f"the completions of {call['label']} are no completions"
            ) from None

    def _dicts(self, table: Table) -> list[dict[str, Any]]:
        return [dict(zip(COLUMNS[table], row, strict=True)) for row in self._checked(table)]

    def _checked(self, table: Table) -> list[tuple[Any, ...]]:
        """All rows of a table, in order. Raises StoreError where they are not what was written."""
        sql = f"SELECT {', '.join(COLUMNS[table])} FROM {table} ORDER BY {ORDERS[table]}"
        with self._guarded(), self._snapshot():
            seal = self._seal
            # What a reader's seal says changes while a search goes on.
            if seal and not self._lock:
                seal = read_seal(self.folder, self._connection)
            rows = all_rows(self._connection, self.folder / FILE, sql)
        if seal and total(row_digest(table, row) for row in rows) != seal.sums[table]:
            raise damaged(self.folder, f"damaged in {WORDS[table]}")
        if not all(is_row(table, row) for row in rows):
            raise damaged(self.folder, f"other values than it may hold in {WORDS[table]}")
        return rows

    def _differing(
        self, table: Table, rows: Iterable[tuple[Any, ...]], keys: int
    ) -> list[tuple[tuple[Any, ...] | None, tuple[Any, ...]]]:
        """Those rows that are not in the table as they are, each after what is there in its place.

        Args:
            table: where.
            rows: to be written.
            keys: how many of the first columns are the table's key.
        """
        names = COLUMNS[table]
        place = " AND ".join(f"{name} = ?" for name in names[:keys])
        sql = f"SELECT {', '.join(names)} FROM {table} WHERE {place}"
        with self._guarded():
            pairs = [(self._connection.execute(sql, row[:keys]).fetchone(), row) for row in rows]
        return [(old, new) for old, new in pairs if old != new]

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """One state of the file, whatever a writer does meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(*SQLITE_ERRORS):
                self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Change]:
        """A transaction whose changes the seal follows, and the lock file after it."""
        if self._lock is None or self._seal is None:
            raise StoreError(f"{self.folder}: opened for reading", "a run's command writes it")
        change = Change()
        with self._turn:
            with self._guarded(), transaction(self._connection):
                yield change
                seal = self._seal.after(change)
                write_seal(self._connection, seal)
            self._seal = seal
            # The commit stands without the note, which only makes the loss of a log seen.
            with contextlib.suppress(OSError):
                self._lock.note(seal.epoch, seal.digest())

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except SQLITE_ERRORS as error:
            raise explain(self.folder, error) from error


def open_store(folder: Path) -> Store:
    """Open a run's store for writing, making folder and file where they are missing.

    Raises:
        LockedError: another process has it open.
        StoreError: the folder can't be written, or the file is not a run of this version, or
            damaged.
    """
    lock = locks.take(folder)
    try:
        file = open_to_write(folder, lock)
    except BaseException:
        lock.release()
        raise
    return _checked_store(folder, file, lock)


def read_store(folder: Path) -> Store:
    """Open a run's store for reading; a running search is not disturbed. Raises StoreError."""
    return _checked_store(folder, open_to_read(folder), None)


def _checked_store(folder: Path, file: StoreFile, lock: locks.Lock | None) -> Store:
    store: Store | None = None
    try:
        store = Store(folder, file, lock)
        if lock:
            store.check()
        return store
    except BaseException:
        file.close()
        if lock:
            lock.release()
        raise


def _insert(table: Table, names: Sequence[str]) -> str:
    marks = ", ".join("?" * len(names))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks})"
