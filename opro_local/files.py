"""Files that hold a user's data: written whole, private, and never through a link that somebody
else may have laid.

For: making folders, opening and replacing files. Not for: what is in them, or SQLite's own opening
(runs/database.py).

Who can write in a folder, by a `git clone` too, can put a link where a file of ours goes. So every
name here is opened with O_NOFOLLOW or replaced by a rename, which replaces a link itself. What a
user names as a target is followed as far as `place_of` says. Folders on the way to a name are
followed as everywhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from opro_local.errors import LockedError, StoreError, UsageError

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
STORE_HEAD = b"SQLite format 3\0"
# What a folder with a run in it holds besides.
RUN_STORE, RUN_FILES = "run.sqlite", ("lock", "result.json", "best.json", "best.txt")
# What a file is called while `open_whole` writes it.
PART = re.compile(r"\.opro-[0-9a-f]{16}\.part")
LONGEST_SETTINGS = 1 << 20  # bytes; what is longer is no config of somebody's
PERMISSIONS = 0o777  # of a mode; what stands above them (setuid) is never copied


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all, in UTF-8; see `open_whole`.

    A lone surrogate, which a reply may hold, is no UTF-8 and becomes a question mark.

    Raises:
        StoreError: it can't be written.
    """
    with open_whole(path) as stream:
        stream.write(text.encode("utf-8", "replace"))


@contextlib.contextmanager
def open_whole(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears at its place when the block ends well, and else leaves it alone.

    It is written under a random name in the same folder, flushed to disk and renamed, which costs
    its size once more for a moment. A link at the place is replaced, not followed. A file of one's
    own that is there keeps its permissions; a new one has 0600. A `kill -9` may leave the file with
    the random name, `.opro-*.part`.

    Raises:
        StoreError: it can't be written, or the place is taken by a folder or a device.
    """
    part = path.with_name(f".opro-{secrets.token_hex(8)}.part")
    try:
        mode = _mode_at(path)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        why = f"{error.strerror or error}{free_bytes(path.parent)}"
        hint = "check the disk and the folder"
        raise StoreError(f"{path}: can't be written ({why})", hint) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _mode_at(path: Path) -> int:
    """The permissions of the file to replace. Raises StoreError where there is something else."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return PRIVATE_FILE
    if stat.S_ISLNK(there.st_mode):
        return PRIVATE_FILE
    if not stat.S_ISREG(there.st_mode):
        what = "a folder" if stat.S_ISDIR(there.st_mode) else "no regular file"
        raise StoreError(f"{path}: can't be written (it is {what})", "name a file of its own")
    # Permissions that somebody else chose may let them read what comes here.
    is_own = there.st_uid == os.geteuid()
    return there.st_mode & PERMISSIONS if is_own else PRIVATE_FILE


def place_of(path: Path) -> Path:
    """Where a target that the user named is: the path, or the end of the link it is.

    A link to the same folder or below it is followed, as AGENTS.md often is one to CLAUDE.md. One
    that leads elsewhere, or to git's own files, may have come with a clone and is refused.

    Raises:
        StoreError: it leads elsewhere.
    """
    if not path.is_symlink():
        return path
    end, home = Path(os.path.realpath(path)), os.path.realpath(path.parent)
    if end.is_symlink():
        raise StoreError(f"{path}: a link that leads in a circle", "remove it")
    if not end.is_relative_to(home) or ".git" in end.relative_to(home).parts:
        raise StoreError(
            f"{path}: a link to {end}, outside its own folder", f"if that is meant, name {end}"
        )
    return end


def given_path(value: object, name: str) -> Path:
    """A path that a Python caller gave.

    Args:
        value: what was given.
        name: what the call names it.

    Raises:
        UsageError: it is no text and no path, has a NUL in it, or half a character.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise UsageError(f"{name} is {value!r:.60}, no path", "give a text or a Path")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise UsageError(f"{name} is {value!r:.60}, bytes", "give a text or a Path")
    if "\0" in path:
        raise UsageError(f"{name} has a NUL in it: {path!r:.60}", "give a path without one")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        what = f"{name} has half a character (a lone surrogate) in it: {path!r:.60}"
        raise UsageError(what, "give text") from None
    return Path(path)


def place_of_output(
    output: Path, inputs: Iterable[Path] = (), replaces_settings: bool = False
) -> Path:
    """Where an output that the user named goes; see `place_of`.

    Args:
        output: the name.
        inputs: what the command reads: no output replaces one of these.
        replaces_settings: whether a TOML file may be replaced, as where one is what was improved.

    Raises:
        UsageError: an input is there, or a store or another file of a run: what was run or logged
            would be lost. So would a run's config, which nothing here writes: no TOML file with a
            table is replaced.
        StoreError: see `place_of`.
    """
    place = Path(os.path.realpath(place_of(output)))
    hint = "name a file of its own"
    for given in inputs:
        with contextlib.suppress(OSError, ValueError):  # what is not there is no input
            if place.samefile(given):
                raise UsageError(f"the output {output} is the input", hint)
    if not replaces_settings and _is_toml(place):
        raise UsageError(f"the output {output} is a file of settings, in TOML", hint)
    if place.name in RUN_FILES and (place.parent / RUN_STORE).exists():
        raise UsageError(f"the output {output} is a file of the run there", hint)
    if place.name.startswith(RUN_STORE) or _is_store(place):
        raise UsageError(f"the output {output} is a store, or the log of one", hint)
    return place


def _is_toml(path: Path) -> bool:
    """Whether a file is one of settings, such as a run's config or a sweep's: TOML with a table."""
    if not path.is_file() or path.stat().st_size > LONGEST_SETTINGS:
        return False
    try:
        tables = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return any(isinstance(value, dict) for value in tables.values())


def _is_store(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with open_regular(path) as stream:
            return stream.read(len(STORE_HEAD)) == STORE_HEAD
    except OSError:
        return False


def make_private_folder(path: Path) -> None:
    """Make a folder that only its user can enter, and the folders above it as they come.

    One that is there keeps its permissions.

    Raises:
        StoreError: it is a link that leads elsewhere; see `place_of`.
        OSError: it can't be made.
    """
    place = place_of(path)
    place.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def open_private(path: Path, flags: int) -> int:
    """Open a regular file and return its descriptor; one that is made has 0600.

    Args:
        path: the file.
        flags: of os.open, such as os.O_RDWR | os.O_CREAT.

    Raises:
        StoreError: it is a link, or anything else than a regular file.
        OSError: it can't be opened.
    """
    refuse_link(path)
    # Without waiting: opening a FIFO would.
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE_FILE)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise StoreError(f"{path}: is no regular file", "remove it")
    return handle


@contextlib.contextmanager
def alone(lock: Path, refusal: str, hint: str) -> Iterator[None]:
    """Hold a file that another process of the same kind would hold as well.

    Args:
        lock: the file; it is made where it is not there, and stays.
        refusal, hint: what is said where another process holds it.

    Raises:
        LockedError: another process holds it.
        OSError: it can't be made, or is a link.
    """
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(refusal, hint) from None
        yield
    finally:
        os.close(handle)


def read_text(path: Path) -> str:
    """A text file of the user's, in UTF-8 with or without its mark; line ends become "\\n".

    Raises:
        OSError: it can't be read, or is no regular file; see `open_regular`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return as_read(read_bytes(path).decode("utf-8"))


def as_read(text: str) -> str:
    """A text as `read_text` gives it once `write_whole` has written it."""
    text = text.encode("utf-8", "replace").decode().removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path) -> bytes:
    """All bytes of a file of the user's. Raises OSError as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read()


def open_regular(path: Path) -> IO[bytes]:
    """Open a file of the user's for reading.

    Raises:
        OSError: it can't be read, or is no regular file: a FIFO would wait for ever, and a device
            may have no end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, "Is a directory" if stat.S_ISDIR(mode) else "it is no regular file")
    return os.fdopen(handle, "rb")


def refuse_link(path: Path) -> None:
    """Raise StoreError where the name is a link."""
    if path.is_symlink():
        end = os.path.realpath(path)
        raise StoreError(f"{path}: a link to {end}, which is not followed", "remove the link")


def free_bytes(folder: Path) -> str:
    """How much space is left in a folder, as the end of a message; empty where nobody knows."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return ""
    return f", {state.f_bavail * state.f_frsize:,} bytes free there"


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on disk, so that a power cut takes no file of it. Raises
    OSError.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
