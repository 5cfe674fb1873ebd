"""What an import or a removal that was stopped leaves in the models folder.

For: naming each with its size and what to do about it, and taking it away. Not for: going on with
it, which the same import does (importing.py, gguf.py); models themselves (inventory.py).

A stopped import leaves `.NAME.importing`; a stopped removal `.NAME.removing`. No engine looks into
either.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import ModelError
from opro_local.files import open_regular
from opro_local.models.offline import models_folder

NAME = re.compile(
    r"""
    \. (?P<model> .+ ) \. (?P<kind> importing | removing )
    """,
    re.VERBOSE | re.DOTALL,
)
# In `.NAME.importing`: who is at work, the model that is being replaced, and what is not complete.
LOCK, OLD, HALVES = "lock", "old", ("model", "gguf")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A folder that is no model.

    Attributes:
        name: below the models folder; `models remove` takes it.
        folder: where it is.
        size: in bytes, of its own files.
        state: what it is and what to do.
    """

    name: str
    folder: Path
    size: int
    state: str


def leftovers(place: Path | None = None) -> list[Leftover]:
    """All that is left in the models folder and the owners' folders in it, by name.

    Args:
        place: instead of `models_folder()`.
    """
    home = place or models_folder()
    return [_leftover(home, path) for path in sorted(_paths_in(home))]


def _paths_in(home: Path) -> Iterator[Path]:
    for pattern in (".*", "*/.*"):
        try:
            yield from (path for path in home.glob(pattern) if is_leftover(path))
        except OSError:  # a folder that can't be read is a model's, or an owner's: `inventories`
            continue


def is_leftover(path: Path) -> bool:
    """Whether a path is what a stopped import or removal leaves."""
    return NAME.fullmatch(path.name) is not None and path.is_dir() and not path.is_symlink()


def _leftover(home: Path, path: Path) -> Leftover:
    name = path.relative_to(home).as_posix()
    try:
        return Leftover(name, path, _size(path), _state(name, path))
    except OSError as error:
        state = f"{error.filename or path}: can't be read ({error.strerror or error})"
        return Leftover(name, path, 0, state)


def _size(folder: Path) -> int:
    """Bytes of a folder's files; what a link leads to is not in it. Raises OSError."""
    states = [path.lstat() for path in folder.rglob("*")]
    return sum(state.st_size for state in states if stat.S_ISREG(state.st_mode))


def _state(name: str, path: Path) -> str:
    model, kind = _parts(path)
    remove = f"opro-local models remove {name}"
    if kind == "removing":
        return f"a removal of {model} that was stopped; {remove} ends it"
    if _is_under_way(path):
        return f"an import of {model} that is under way"
    again = "the same import command goes on"
    if replaced(path):
        return f"an import that was replacing {model}; {again}, {remove} puts the old {model} back"
    if os.path.lexists(_target(path)) and not any((path / half).exists() for half in HALVES):
        return f"what a finished import of {model} left; {remove} frees the space"
    return f"an import of {model} that was stopped; {again}, {remove} gives it up"


def _parts(path: Path) -> tuple[str, str]:
    """The model's name, and "importing" or "removing"."""
    parts = NAME.fullmatch(path.name)
    if parts is None:
        raise ModelError(f"{path}: nothing that an import left")
    return parts["model"], parts["kind"]


def _target(path: Path) -> Path:
    return path.with_name(_parts(path)[0])


def _is_under_way(path: Path) -> bool:
    """Whether a process is at the import. Raises OSError."""
    lock = path / LOCK
    if not lock.exists():
        return False
    with open_regular(lock) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def replaced(path: Path) -> bool:
    """Whether a stopped import holds the only copy of the model that it was replacing."""
    return os.path.lexists(path / OLD) and not os.path.lexists(_target(path))


def put_back(path: Path) -> bool:
    """Give the model that a stopped import was replacing its name back, where nothing has it.

    Args:
        path: `.NAME.importing`, which the caller holds.

    Returns:
        whether there was one.

    Raises:
        OSError: it can't be renamed.
    """
    if not replaced(path):
        return False
    (path / OLD).rename(_target(path))
    return True
