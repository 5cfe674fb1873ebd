"""Runs one group of cells in this process: in lockstep, on engines that load once.

For: what an execution starts somewhere (local.py as `python -m opro_local.sweeps.group`), the work
as another machine reads it, and what becomes of cells whose engine broke. Not for: where a group
runs, or which cells there are.

As a program it reads the work as one line of JSON on stdin. A second line, or the end of the pipe,
asks it to stop after the engine call in flight.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.engines.pool import EnginePool
from opro_local.errors import EngineError, OproError
from opro_local.files import make_private_folder, read_bytes, write_whole
from opro_local.network import guard_if_asked, switch_off_network
from opro_local.runs.events import Event, Interrupted, Listener, TrajectoryGrowth
from opro_local.runs.lockstep import run_many
from opro_local.search.trajectory import Entry
from opro_local.sweeps.journal import EndNote, JournalWriter, Notice, StepNote

WORK = ".work.json"
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>: the signal a process gets when its parent ends


@dataclass(frozen=True, slots=True)
class CellWork:
    """A cell as a group runs it: its identity, its config's tables and its run's folder."""

    id: str
    tables: Mapping[str, Any]
    path: Path


@dataclass(frozen=True, slots=True)
class GroupWork:
    """A group as some process runs it.

    Attributes:
        name: of the group, for files and messages.
        cells: what to run.
        at_once: how many cells are under way at most.
        journal: the file that tells what happens.
        gpus: how many GPUs it needs at least.
    """

    name: str
    cells: tuple[CellWork, ...]
    at_once: int
    journal: Path
    gpus: int = 1

    def to_json(self) -> dict[str, Any]:
        """For another process; it may hold the secrets of the cells' configs."""
        return {
            "name": self.name,
            "cells": [
                {"id": cell.id, "tables": cell.tables, "path": str(cell.path)}
                for cell in self.cells
            ],
            "at_once": self.at_once,
            "journal": str(self.journal),
            "gpus": self.gpus,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> GroupWork:
        """What `to_json` gave."""
        cells = tuple(
            CellWork(cell["id"], cell["tables"], Path(cell["path"])) for cell in record["cells"]
        )
        journal = Path(record["journal"])
        return cls(record["name"], cells, record["at_once"], journal, record["gpus"])


def write_work(work: GroupWork) -> Path:
    """Keep a group's work beside its journal, for a process elsewhere: a file for this user alone,
    as it may hold secrets. Raises StoreError.
    """
    path = work.journal.with_suffix(WORK)
    make_private_folder(path.parent)
    write_whole(path, json.dumps(work.to_json(), default=str))
    return path


def read_work(path: Path) -> GroupWork:
    """What `write_work` kept. Raises OSError."""
    return GroupWork.from_json(json.loads(read_bytes(path)))


def run_group(work: GroupWork, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Run or resume the cells of a group to their ends; each end stands in the journal.

    A cell that fails ends alone. Where several end with an engine that broke, one of them may have
    broken it: they are run again in halves on a new engine, down to the one that breaks it.

    Args:
        work: what to run.
        should_stop: asked after each engine call; true ends the cells that are not at their end, to
            be resumed.
    """
    journal = JournalWriter(work.journal)
    try:
        _GroupRun(work, journal, should_stop).run(work.cells)
    finally:
        journal.close()


class _GroupRun:
    """Runs cells and writes down their ends."""

    def __init__(
        self, work: GroupWork, journal: JournalWriter, should_stop: Callable[[], bool]
    ) -> None:
        self._work, self._journal, self._should_stop = work, journal, should_stop

    def run(self, cells: Sequence[CellWork]) -> None:
        """Run cells on engines of their own."""
        broken: list[tuple[CellWork, EngineError]] = []

        def when_ended(number: int, end: Any) -> None:
            if isinstance(end, EngineError):
                broken.append((cells[number], end))
            else:
                self._note_end(cells[number], end)

        pool = EnginePool()
        try:
            run_many(
                [(reading.build(cell.tables), cell.path) for cell in cells],
                [self._listener(cell) for cell in cells],
                at_once=self._work.at_once,
                when_ended=when_ended,
                pool=pool,
            )
            did_start = not pool.has_failures
        finally:
            pool.close()
        if len(broken) < 2 or not did_start or self._should_stop():
            for cell, error in broken:
                self._note_end(cell, error)
            return
        half = (len(broken) + 1) // 2
        for part in (broken[:half], broken[half:]):
            self.run([cell for cell, _ in part])

    def _note_end(self, cell: CellWork, end: Any) -> None:
        if isinstance(end, OproError):
            line = " ".join(str(end).split())
            note = EndNote(cell.id, "failed", line, end.exit_code)
        else:
            state = "interrupted" if isinstance(end, Interrupted) else "finished"
            note = EndNote(cell.id, state)
        self._journal.write(note)

    def _listener(self, cell: CellWork) -> Listener:
        best: float | None = None

        def report(event: Event) -> None:
            nonlocal best
            train = _scored(event)
            if not train:
                return
            whole = [entry.score.value for entry in train if not entry.partial]
            known = whole if best is None else [best, *whole]
            best = max(known, default=None)
            self._journal.write(StepNote(cell.id, train[0].step, best))

        def notify(line: str) -> None:
            self._journal.write(Notice(cell.id, line))

        return Listener(report, notify, self._should_stop)


def _scored(event: Event) -> list[Entry]:
    """What an event says was scored on train."""
    if not isinstance(event, TrajectoryGrowth):
        return []
    return [entry for entry in event.entries if entry.split == "train"]


def main() -> None:
    """Run the group that stdin names."""
    # The kernel ends this process with the one that watches it, however that ended; its engines
    # end with this one.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    job = json.loads(sys.stdin.readline())
    stop = threading.Event()
    # A daemon: it may wait for a line that never comes.
    threading.Thread(target=_wait_for_stop, args=(stop,), daemon=True).start()
    if job["cores"]:
        os.sched_setaffinity(0, job["cores"])
    switch_off_network()
    guard_if_asked()
    # All cells come to their first interval together; half a second of imports is over by then, as
    # an engine takes longer to start.
    threading.Thread(target=import_module, args=("scipy.stats",)).start()
    run_group(GroupWork.from_json(job["work"]), stop.is_set)


def _wait_for_stop(stop: threading.Event) -> None:
    os.read(0, 1)
    stop.set()


if __name__ == "__main__":
    main()
