"""The lock file of a run: who writes it, and what its store held at the last commit.

For: one writer at a time, readers that know whether there is one, and noticing that a store is
older than it was, as after its log was lost. Not for: the store itself (store.py).

The file has two lines. The first names the writer. The second is written after every commit: the
store's epoch and the digest of its seal. A commit is on disk before its line is, so a sound store
is never older than the line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import DamageError, LockedError, StoreError
from opro_local.files import free_bytes, make_private_folder, open_private

FILE = "lock"
# Readers hold the lock for moments; a writer that starts meanwhile waits for them.
WAIT_SECONDS = 0.6
PAUSE_SECONDS = 0.02
MOST_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """What a store held at its last commit: the seal's epoch, and its digest as hex."""

    epoch: int
    digest: str


class Lock:
    """A lock that this process holds.

    Attributes:
        record: what the file said of the store when it was taken; None where it says nothing, as
            in a new folder, or one of an earlier version.
    """

    def __init__(self, handle: int, record: Record | None) -> None:
        self.record = record
        self._handle = handle
        self._holder = (
            f"process {os.getpid()} on {os.uname().nodename} since {time.strftime('%F %T')}"
        )
        self._write("" if record is None else f"{record.epoch} {record.digest}\n")

    def note(self, epoch: int, digest: bytes) -> None:
        """Say what the store holds now. Raises OSError."""
        self._write(f"{epoch} {digest.hex()}\n")

    def release(self) -> None:
        """Let others have it. Safe to call twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _write(self, line: str) -> None:
        content = f"{self._holder}\n{line}".encode()
        # Over what is there, not after emptying it: a kill between the two would lose the record,
        # and a full disk has room for what is there already.
        os.pwrite(self._handle, content, 0)
        os.ftruncate(self._handle, len(content))


def take(folder: Path) -> Lock:
    """Take a run's lock, making folder and file where they are missing.

    Raises:
        LockedError: another process has it.
        StoreError: they can't be made, or the file is damaged.
    """
    end = time.monotonic() + WAIT_SECONDS
    while True:
        handle = _opened(folder)
        try:
            _lock(folder, handle, end)
            # Whoever held it may have removed the folder, for nothing had come of it.
            if _is_there(folder, handle):
                return _taken(folder, handle)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _taken(folder: Path, handle: int) -> Lock:
    try:
        return Lock(handle, _record(folder, _content(handle)))
    except OSError as error:
        raise StoreError(
            f"{folder / FILE}: can't be written ({error.strerror}{free_bytes(folder)})",
            "free space, then give the same command",
        ) from None


def record_of(folder: Path) -> Record | None:
    """What a run's lock file says of its store; None where it says nothing or can't be read.

    To be asked before the store is: a writer commits first. Raises StoreError: it is damaged.
    """
    try:
        handle = open_private(folder / FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _record(folder, _content(handle))
    except OSError:
        return None
    finally:
        os.close(handle)


def share(folder: Path) -> tuple[bool, int]:
    """Keep writers out while a run is read.

    Returns:
        whether a writer has it, and the handle that keeps others out, to be closed after reading;
        -1 where there is none, as for a lock file that this user may not read.
    """
    try:
        handle = open_private(folder / FILE, os.O_RDONLY)
    except OSError:
        return False, -1
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return True, -1
    except OSError:  # a file system without locks
        os.close(handle)
        return False, -1
    return False, handle


def is_held(folder: Path) -> bool:
    """Whether a process writes the run."""
    held, handle = share(folder)
    if handle >= 0:
        os.close(handle)
    return held


def _opened(folder: Path) -> int:
    try:
        make_private_folder(folder)
        return open_private(folder / FILE, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StoreError(
            f"{folder}: can't make the run folder ({error.strerror})", "choose another --run"
        ) from None


def _lock(folder: Path, handle: int, end: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() >= end:
                raise _locked(folder, handle) from None
        time.sleep(PAUSE_SECONDS)


def _locked(folder: Path, handle: int) -> LockedError:
    with contextlib.suppress(OSError):
        # A writer would refuse this, readers don't.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return LockedError(f"{folder}: another process reads it", "wait for it or stop it")
    holder = _content(handle).decode("utf-8", "replace").partition("\n")[0].strip()
    return LockedError(
        f"{folder}: in use by {holder or 'another process'}", "wait for it or stop it"
    )


def _is_there(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder / FILE), os.fstat(handle))
    except FileNotFoundError:
        return False


def _content(handle: int) -> bytes:
    return os.pread(handle, MOST_BYTES, 0)


def _record(folder: Path, content: bytes) -> Record | None:
    lines = content.decode("utf-8", "replace").splitlines()
    if len(lines) < 2:
        return None
    epoch, _, digest = lines[1].partition(" ")
    if not (epoch.isascii() and epoch.isdigit() and len(digest) == 64):
        raise DamageError(
            f"{folder / FILE}: damaged",
            f"if opro-local verify {folder} finds nothing else, remove this file",
        )
    return Record(int(epoch), digest)
