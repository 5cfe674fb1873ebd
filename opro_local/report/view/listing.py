"""Which runs, sweeps and feedback stores a folder holds, and what is known of each: read once, and
again when it changes.

For: a first page that does not wait for a thousand stores. Runs are found by looking at the folder,
which takes milliseconds; a thread has them read, the newest first. Not for: reading a store
(child.py).

A run or a sweep is what stands directly in the folder, or the folder itself, and a feedback store a
file there. Each is known by its name; a cell of a sweep by the sweep's name, a slash and its own,
and is in no list but its sweep's. Links that lead out of the folder are named and not followed.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opro_local.feedback.file import FORMAT
from opro_local.report.view.line import UNREAD, Line, of_json
from opro_local.report.view.process import Reader
from opro_local.runs.database import header_of
from opro_local.runs.store import FILE
from opro_local.sweeps.records import SWEEP

LINE_SECONDS = 10  # of a processor, to read a run's line
MOST_WAITED_FOR = 50  # runs; more are not read in the time of a first page
LOOK_SECONDS = 1.0  # the folder is looked at no oftener
# A run that goes on may be killed, which changes no file of it; and what was wrong with one that
# was just written may be so no more.
AGAIN_SECONDS = 5.0
JUST_SECONDS = 60.0
# What is opened of a run's folder; each may be a link.
OPENED = (FILE, f"{FILE}-wal", f"{FILE}-journal", "lock", "result.json", "best.json")
CELLS = "cells"  # the folder of a sweep's runs
STORES = ".sqlite"  # how the name of a feedback store ends, to be looked into
Stamp = tuple[tuple[int, int], ...]  # time and size of a store's files


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of a run, of which state of its files, and when."""

    line: Line
    stamp: Stamp
    at: float


class Listing:
    """The runs of a folder. Threads may share it.

    Attributes:
        folder: where they are.
    """

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder = folder
        self._reader = reader
        self._root = folder.resolve()
        self._is_one = _kind_of(folder) in ("run", "sweep")
        self._changed = threading.Condition()
        self._stamps: dict[str, Stamp] = {}
        self._known: dict[str, _Known] = {}
        self._looked_at = float("-inf")
        self._is_closed = False
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def lines(self, wait: float = 0.0) -> Sequence[Line]:
        """Every run, the newest first; those that were not read yet have the state "unread".

        Args:
            wait: seconds to wait for runs that are not read yet.
        """
        self._look()
        with self._changed:
            if len(self._unread()) <= MOST_WAITED_FOR:
                self._changed.wait_for(lambda: self._is_closed or not self._unread(), wait)
            lines = [self._line(name) for name in self._stamps]
        return sorted(lines, key=lambda line: (-line.changed, line.name))

    def line(self, name: str, wait: float = 0.0) -> Line | None:
        """A run of the folder as it is now, or None where there is none of this name."""
        self._look()
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or name not in self._unread(), wait)
            return self._line(name) if name in self._stamps else None

    def cell(self, sweep: str, name: str) -> Line | None:
        """A cell of a sweep, which nothing was read of yet; None where there is none."""
        line = self.line(sweep)
        key = f"{sweep}/{name}"
        path = self.path(key)
        if line is None or line.kind != "sweep" or name not in _names_in(path.parent):
            return None
        if not os.path.lexists(path / FILE):
            return None
        # Their folder may be a link, too.
        fault = self._leads_out(self.path(sweep)) or self._leads_out(path)
        return Line(key, state="unreadable" if fault else UNREAD, error=fault)

    def stamp(self, name: str) -> Stamp:
        """What differs when a run's files do."""
        return _stamp(self.path(name))

    def path(self, name: str) -> Path:
        """Where something is that `line` or `cell` knows."""
        own, _, cell = name.partition("/")
        path = self.folder if self._is_one else self.folder / own
        return path / CELLS / cell if cell else path

    def _line(self, name: str) -> Line:
        """What is known of a run, be it of an earlier state of it."""
        known = self._known.get(name)
        if known:
            return known.line
        kind = _kind_of(self.path(name)) or "run"
        return Line(name, kind, changed=_time(self._stamps[name]))

    def _look(self) -> None:
        """See which runs there are, and which have changed."""
        with self._changed:
            if time.monotonic() - self._looked_at < LOOK_SECONDS:
                return
            stamps = {name: _stamp(self.path(name)) for name in self._names()}
            self._looked_at = time.monotonic()
            self._stamps = stamps
            self._known = {name: one for name, one in self._known.items() if name in stamps}
            self._changed.notify_all()

    def _names(self) -> list[str]:
        if self._is_one:
            return [self._root.name]
        return [name for name in _names_in(self.folder) if _kind_of(self.folder / name)]

    def _unread(self) -> list[str]:
        """Runs of which nothing, or an earlier state, is known; the newest first."""
        unread = [name for name, stamp in self._stamps.items() if self._is_to_read(name, stamp)]
        return sorted(unread, key=lambda name: (self._stamps[name], name), reverse=True)

    def _is_to_read(self, name: str, stamp: Stamp) -> bool:
        known = self._known.get(name)
        if known is None or known.stamp != stamp:
            return True
        line = known.line
        just = bool(line.error) and time.time() - line.changed < JUST_SECONDS
        return (just or line.state == "running") and time.monotonic() - known.at > AGAIN_SECONDS

    def _read_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._unread())
                if self._is_closed:
                    return
                # Another look may have sorted others in; a few at a time are no matter.
                names = self._unread()[:20]
                stamps = {name: self._stamps[name] for name in names}
            for name, stamp in stamps.items():
                line = replace(self._read(name), name=name, changed=_time(stamp))
                with self._changed:
                    self._known[name] = _Known(line, stamp, time.monotonic())
                    self._changed.notify_all()

    def _read(self, name: str) -> Line:
        path = self.path(name)
        kind = _kind_of(path) or "run"
        if fault := self._leads_out(path):
            return Line(name, kind, state="unreadable", error=fault)
        if kind == "feedback store":
            # A service may write it every second: what is in it is read for its page.
            return Line(name, kind, note=kind, state="", version=str(_stamp(path)))
        what = "line of a sweep" if kind == "sweep" else "line"
        said = self._reader.ask(what, path, LINE_SECONDS)
        if "failure" in said:
            return Line(name, kind, state="unreadable", error=said["failure"])
        return of_json(said)

    def _leads_out(self, path: Path) -> str:
        """What is a link out of the folder; "" where nothing is."""
        for place in _opened(path):
            if place.is_symlink() and not place.resolve().is_relative_to(self._root):
                return f"{place.name} is a link out of the folder, which is not followed"
        return ""


def is_read(line: Line) -> bool:
    """Whether anything is known of a run."""
    return line.state != UNREAD


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # it was removed
        return []


def _kind_of(path: Path) -> str:
    """What stands there, see Line.kind; "" where it is nothing that is listed."""
    # By the names: a link that leads nowhere would not exist.
    if os.path.lexists(path / FILE):
        return "run"
    if os.path.lexists(path / SWEEP):
        return "sweep"
    return "feedback store" if path.suffix == STORES and _is_feedback(path) else ""


def _is_feedback(path: Path) -> bool:
    """Whether a file of this folder, and no link, says that it is a feedback store."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        return header_of(path).application_id == FORMAT.application_id
    except OSError:
        return False


def _opened(path: Path) -> Iterator[Path]:
    """What is opened to read a run, a sweep or a store; each may be a link."""
    runs = [path]
    if _kind_of(path) == "sweep":
        yield from (path / SWEEP, path / CELLS)
        runs += [path / CELLS / name for name in _names_in(path / CELLS)]
    for run in runs:
        yield run
        yield from (run / name for name in OPENED)


def _time(stamp: Stamp) -> float:
    """When a store was last written, in seconds since 1970."""
    return max(at for at, _ in stamp) / 1e9


def _stamp(folder: Path) -> Stamp:
    """Time and size of a store's files, or of a sweep's record, as far as they are there."""
    kind = _kind_of(folder)
    file = folder / (SWEEP if kind == "sweep" else FILE)
    if kind == "feedback store":
        file = folder
    stamps = []
    for place in (file, f"{file}-wal"):
        try:
            there = os.stat(place)
        except OSError:
            stamps.append((0, -1))
        else:
            stamps.append((there.st_mtime_ns, there.st_size))
    return tuple(stamps)
