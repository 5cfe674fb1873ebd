"""A feedback store as `view` reads it: a copy of one moment, so that the store is not written.

For: the page of a store that a service may be writing. Not for: what the page says (feedback.py).

Opening a store as its verbs do brings an older one up to this version, and makes a log beside it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

from opro_local.errors import StoreError
from opro_local.feedback.file import BUSY_SECONDS, explain
from opro_local.report.feedback import StoreContents, gather_feedback
from opro_local.runs.database import SQLITE_ERRORS, connect, files_of, has_log, refuse_links

NAME = "feedback.sqlite"  # of the copy


def gather_read_only(file: Path) -> StoreContents:
    """What the page of a store says. Raises StoreError and UsageError."""
    with tempfile.TemporaryDirectory(prefix="opro-local-") as place:
        copy = Path(place) / NAME
        _copy(file, copy)
        try:
            contents = gather_feedback(copy)
        except StoreError as error:
            # The copy's place is nobody's business.
            raise StoreError(error.message.replace(str(copy), file.name), error.hint) from None
    return replace(contents, name=file.name)


def _copy(file: Path, copy: Path) -> None:
    """Copy a store with its log. Raises StoreError, also where it was written meanwhile."""
    refuse_links(file)
    before = _stamp(file)
    # Without a log nobody has it open: no lock is taken then, and nothing made beside it.
    mode = "ro" if has_log(file) else "ro&immutable=1"
    try:
        with (
            contextlib.closing(connect(file, mode, BUSY_SECONDS)) as connection,
            contextlib.closing(sqlite3.connect(copy)) as other,
        ):
            connection.backup(other)
    except (*SQLITE_ERRORS, OSError) as error:
        raise explain(file, error) from None
    # What is read with a lock is of one moment.
    if mode != "ro" and _stamp(file) != before:
        raise StoreError(f"{file.name}: was written while it was read", "load the page again")


def _stamp(file: Path) -> list[tuple[int, int]]:
    """Time and size of a store's files, as far as they are there."""
    stamps = []
    for part in files_of(file):
        with contextlib.suppress(FileNotFoundError):
            there = part.stat()
            stamps.append((there.st_mtime_ns, there.st_size))
    return stamps
