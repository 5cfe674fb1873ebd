"""Greedy completions kept between runs, found by everything that decides them.

For: one SQLite file for all runs of a user; reading, keeping, checking and evicting. Not for: which
roles and engines may use it (hosting.py) or what a run keeps (store.py). Whatever is wrong with the
file never ends a run: the cache is switched off for the process and says so once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import DamageError, StoreError
from opro_local.files import free_bytes
from opro_local.runs.database import (
    SQLITE_ERRORS,
    Format,
    Marks,
    connect,
    create_linked,
    files_of,
    is_corrupt,
    make_private,
    marks_of,
    one_line,
    set_journal,
    transaction,
)
from opro_local.runs.disks import journal_for
from opro_local.types import Completion, Request

FORMAT = Format(0x4F504743, 1, Path(__file__).with_name("cache_schema.sql"))  # "OPGC"
FILE = "completions.sqlite"
BUSY_SECONDS = 5.0
AT_ONCE = 500  # keys in one question; SQLite's oldest limit on parameters is 999
EVICTED_AT_ONCE = 5000  # rows in one transaction: other processes wait for it
AFTER_EVICTION = 0.9  # of the cap: evicting at every batch would cost each of them a scan
OTHERS_WRITE, OTHERS_ENTER = 0o022, 0o011  # of a mode: the group and everybody else
TOUCH_SECONDS = 3600  # a use is noted once an hour: a hit must not cost a write


class Cache:
    """The user's cache. Nothing is opened before the first question.

    Args:
        folder: where the file is; `place()` if None.
        most_bytes: above this the least recently used completions go, down to nine tenths.
        notify: called once if the cache has to be switched off.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        folder: Path | None = None,
        most_bytes: int = 1 << 30,
        notify: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._most, self._notify, self._clock = folder, most_bytes, notify, clock
        self._connection: sqlite3.Connection | None = None
        self._is_off = False

    def shelf(self, engine: Mapping[str, Any]) -> Shelf:
        """The cache as one engine sees it; `engine` is JSON-able and names all that decides a
        greedy answer.
        """
        return Shelf(
            self, hashlib.sha256(json.dumps(engine, sort_keys=True).encode("ascii")).digest()
        )

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        """What is known of these keys. A damaged row is deleted and counts as unknown."""
        found: dict[bytes, Completion] = {}
        stale: list[tuple[int, bytes]] = []
        damaged: list[tuple[bytes]] = []
        now = int(self._clock())

        def look_up(connection: sqlite3.Connection) -> None:
            for key, payload, digest, used in _rows(connection, keys):
                if not isinstance(payload, bytes) or _digest(key, payload) != digest:
                    damaged.append((key,))
                    continue
                found[key] = Completion(*json.loads(payload))
                if now - used >= TOUCH_SECONDS:
                    stale.append((now, key))

        def note(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany("DELETE FROM completion WHERE key = ?", damaged)
                connection.executemany("UPDATE completion SET used = ? WHERE key = ?", stale)

        self._attempt(look_up)
        if stale or damaged:
            self._attempt(note)
        return found

    def write(self, completions: Mapping[bytes, Completion]) -> None:
        """Keep these. A key that is already there keeps its completion: others may have read it."""
        now = int(self._clock())
        rows = [
            (key, payload, _digest(key, payload), now) for key, payload in _payloads(completions)
        ]

        def insert(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(
                    "INSERT OR IGNORE INTO completion (key, payload, digest, used) VALUES "
                    "(?, ?, ?, ?)",
                    rows,
                )
            self._evict(connection)

        self._attempt(insert)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._connection is not None:
            with contextlib.suppress(*SQLITE_ERRORS):
                self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do it with the open file; whatever is wrong with that switches the cache off."""
        if self._is_off:
            return
        try:
            if self._connection is None:
                folder = self._folder or place()
                _refuse_shared(folder)
                self._connection = _opened(folder)
            work(self._connection)
        except (*SQLITE_ERRORS, OSError, StoreError) as error:
            self.close()
            self._is_off = True
            what = str(error)
            if not isinstance(error, StoreError):
                folder = self._folder or place()
                what = f"{folder / FILE}: {one_line(error)}{free_bytes(folder)}"
            self._notify(f"the generation cache is off: {what}; run.cache = false does without it")

    def _evict(self, connection: sqlite3.Connection) -> None:
        """Forget down to nine tenths of the cap. How much is left is asked in every transaction:
        others evict too.
        """
        if _total(connection)[1] <= self._most:
            return
        goal = int(AFTER_EVICTION * self._most)
        while True:
            with transaction(connection):
                count, size = _total(connection)
                if size <= goal or not count:
                    return
                connection.execute(
                    "DELETE FROM completion WHERE id IN (SELECT id FROM completion ORDER BY "
                    "used, id LIMIT ?)",
                    (min(math.ceil(count * (1 - goal / size)), EVICTED_AT_ONCE),),
                )


@dataclass(frozen=True, slots=True)
class Shelf:
    """The completions of one engine."""

    cache: Cache
    engine: bytes

    def find(self, requests: Sequence[Request]) -> list[Completion | None]:
        """The known completion of each request, in order."""
        keys = [self._key(request) for request in requests]
        known = self.cache.read([key for key in dict.fromkeys(keys) if key])
        return [known.get(key) if key else None for key in keys]

    def keep(self, requests: Sequence[Request], completions: Sequence[Completion]) -> None:
        """Keep what the engine answered, where it is greedy and was generated.

        Of a prompt that is too long nothing was generated, so that keeping it would save nothing.
        """
        kept: dict[bytes, Completion] = {}
        for request, completion in zip(requests, completions, strict=True):
            key = self._key(request)
            if key and completion.finish_reason in ("stop", "length"):
                kept.setdefault(key, completion)
        if kept:
            self.cache.write(kept)

    def _key(self, request: Request) -> bytes:
        """32 bytes over all that decides the answer; none for a request that is not greedy."""
        prompt, sampling = request.prompt, request.sampling
        if sampling.temperature or sampling.seed is not None:
            return b""
        limit = sampling.constraint
        exact = [
            *(prompt.text, prompt.system, prompt.prefill, prompt.chat),
            *(sampling.max_tokens, sampling.top_p, sampling.stop),
            *((limit.kind, limit.value) if limit else ()),
            *(("ends_loops",) if sampling.ends_loops else ()),
            *(("labels", sampling.labels) if sampling.labels else ()),
            *([prompt.turns] if prompt.turns else ()),
        ]
        return hashlib.sha256(self.engine + json.dumps(exact).encode("ascii")).digest()


def place() -> Path:
    """The folder of the cache: $OPRO_CACHE, else opro-local in the user's cache folder.

    Raises:
        StoreError: there is no such folder, because HOME is not set.
    """
    if os.environ.get("OPRO_CACHE"):
        return Path(os.environ["OPRO_CACHE"])
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the XDG standard has relative ones ignored
        return Path(given) / "opro-local"
    if not os.environ.get("HOME"):
        raise StoreError(
            "there is no place for the cache: HOME is not set", "name a folder in OPRO_CACHE"
        )
    return Path(os.environ["HOME"]) / ".cache" / "opro-local"


def stat(folder: Path) -> dict[str, Any]:
    """What is in the cache: path, completions, bytes (of rows, as the cap counts) and file_bytes.
    Raises StoreError.
    """
    file, count, size = folder / FILE, 0, 0
    if file.exists():
        with _explained(file), contextlib.closing(_opened(folder)) as connection:
            count, size = _total(connection)
    whole = sum(part.stat().st_size for part in files_of(file) if part.exists())
    return {"path": str(file), "completions": count, "bytes": size, "file_bytes": whole}


def clear(folder: Path) -> int:
    """Forget everything, also while runs use it; a damaged file is removed. Gives the number of
    completions forgotten.

    Raises:
        StoreError: the file is locked, can't be written or belongs to something else.
    """
    file = folder / FILE
    if not file.exists():
        return 0
    with _explained(file):
        try:
            with contextlib.closing(_opened(folder)) as connection:
                count = connection.execute("DELETE FROM completion").rowcount
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return count
        except (*SQLITE_ERRORS, DamageError) as error:
            if not isinstance(error, DamageError) and not is_corrupt(error):
                raise
            for part in files_of(file):
                part.unlink(missing_ok=True)
            return 0


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except (*SQLITE_ERRORS, OSError) as error:
        raise StoreError(
            f"{file}: {one_line(error)}{free_bytes(file.parent)}",
            "wait for the process that uses it, or remove the file",
        ) from None


def _opened(folder: Path) -> sqlite3.Connection:
    """The cache's file, made where it is missing. Raises sqlite3.Error, OSError, StoreError."""
    file = folder / FILE
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # prompts may be private
        create_linked(file, FORMAT, journal_for(folder)[0])
    make_private(file)
    connection = connect(file, "rw", BUSY_SECONDS)
    try:
        if marks_of(connection) != Marks(FORMAT.application_id, FORMAT.version):
            raise StoreError(
                f"{file}: not a generation cache of this version",
                "name another folder in OPRO_CACHE",
            )
        # A completion lost in a power cut is only asked again.
        connection.execute("PRAGMA synchronous=NORMAL")
        journal, network = journal_for(folder)
        if network:
            set_journal(connection, journal)
    except (*SQLITE_ERRORS, StoreError):
        connection.close()
        raise
    return connection


def _refuse_shared(folder: Path) -> None:
    """Refuse a cache that others may write: what they put in would be taken for a model's answers.

    A row's digest tells damage, not forgery, as it needs no secret.

    Raises:
        StoreError: the folder or the file belongs to another user or is writable by others; a
            folder that is not there is made, and is private.
    """
    file = folder / FILE
    own, others_may_enter = os.geteuid(), False
    for path in (folder, file):
        try:
            there = path.stat()
        except FileNotFoundError:
            continue
        if there.st_uid not in (own, 0):
            raise StoreError(f"{path}: belongs to another user", "name a folder in OPRO_CACHE")
        # Who can't enter the folder can't write the file, whatever its permissions.
        if there.st_mode & OTHERS_WRITE and (path == folder or others_may_enter):
            hint = f"chmod go-w {folder}, then opro-local cache clear"
            raise StoreError(f"{path}: others may write there", hint)
        others_may_enter = bool(there.st_mode & OTHERS_ENTER)


def _total(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many completions there are, and their bytes as the cap counts them. Raises DamageError,
    sqlite3.Error.
    """
    counts = connection.execute("SELECT completions, bytes FROM total").fetchone()
    if counts is None or not all(isinstance(count, int) for count in counts):
        raise DamageError("the cache's counts are damaged", "opro-local cache clear begins anew")
    return counts


def _rows(
    connection: sqlite3.Connection, keys: Sequence[bytes]
) -> Iterator[tuple[bytes, bytes, bytes, int]]:
    for first in range(0, len(keys), AT_ONCE):
        some = keys[first : first + AT_ONCE]
        marks = ", ".join("?" * len(some))
        yield from connection.execute(
            f"SELECT key, payload, digest, used FROM completion WHERE key IN ({marks})", some
        ).fetchall()


def _payloads(completions: Mapping[bytes, Completion]) -> Iterator[tuple[bytes, bytes]]:
    for key, c in completions.items():
        values = (c.text, c.finish_reason, c.prompt_tokens, c.cached_tokens, c.completion_tokens)
        yield key, json.dumps(values).encode("ascii")


def _digest(key: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(key + payload).digest()
