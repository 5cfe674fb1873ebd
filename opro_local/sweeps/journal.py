"""What a group of cells tells while it runs: one line of JSON for each thing that happened.

For: the file between the process that runs a group and the one that watches the sweep, on this
machine or, by a shared path, on another. Not for: what a cell came to, which its store says. A
journal lives as long as its group, in however many processes, one after another, that runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opro_local.files import make_private_folder, open_private, open_regular


@dataclass(frozen=True, slots=True)
class StepNote:
    """A cell's step is being scored: its number, and the best score on all train rows so far, None
    before there is one.
    """

    cell: str
    step: int
    best: float | None


@dataclass(frozen=True, slots=True)
class EndNote:
    """A cell has ended: "finished", "interrupted" or "failed", with the error in one line and what
    `run` would exit with.
    """

    cell: str
    state: str
    error: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A line that the user should read of a cell."""

    cell: str
    line: str


Note = StepNote | EndNote | Notice
KINDS: dict[str, type[StepNote] | type[EndNote] | type[Notice]] = {
    "step": StepNote,
    "end": EndNote,
    "notice": Notice,
}
NAMES = {kind: name for name, kind in KINDS.items()}


class JournalWriter:
    """Adds to a journal, each line at once."""

    def __init__(self, path: Path) -> None:
        make_private_folder(path.parent)
        handle = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._stream = os.fdopen(handle, "w", encoding="utf-8")
        if os.fstat(handle).st_size:
            # What was killed before may have left a part of a line.
            self._stream.write("\n")

    def write(self, note: Note) -> None:
        """Add a line."""
        line = {"kind": NAMES[type(note)], **asdict(note)}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """No more lines."""
        self._stream.close()


class JournalReader:
    """Reads what was added to a journal since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0

    def read(self) -> Iterator[Note]:
        """The new lines that are whole; none before there is a file."""
        try:
            with open_regular(self._path) as stream:
                stream.seek(self._place)
                new = stream.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.splitlines():
            note = _note(line)
            if note is not None:
                yield note


def _note(line: bytes) -> Note | None:
    """None for no line, and for the last one of a process that was killed while it wrote: what it
    says, the next process says again.
    """
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return KINDS[record.pop("kind")](**record)
