"""A run, or a sweep with its cells, brought up to date in a tracker.

For: which runs there are, in which order they are written, and what is not. Not for: reading one
(record.py), or how a tracker keeps it (mlflow.py, trackio.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opro_local.errors import OproError, StoreError
from opro_local.runs.store import FILE
from opro_local.sweeps.records import SWEEP, SweepRecord, read_sweep
from opro_local.sweeps.table import TABLE
from opro_local.tracking.record import PREFIX, TrackedRun, key_of, tracked_run
from opro_local.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Written:
    """What a pass came to.

    Attributes:
        runs: each run's folder and state, a sweep's first.
        notices: what is not written, each in one line.
    """

    runs: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]


def write(path: Path, tracker: Tracker) -> Written:
    """Write what a folder holds.

    Args:
        path: of a run or a sweep.
        tracker: where to.

    Raises:
        StoreError: the run is damaged, or there is neither.
        UsageError: sweep.json can't be read.
    """
    if is_sweep(path):
        return _write_sweep(read_sweep(path), tracker)
    run = tracked_run(path)
    said = tracker.write(run)
    return Written(((str(run.path), run.state),), (*run.notices, *said))


def is_sweep(path: Path) -> bool:
    """Whether a folder is a sweep's. Raises StoreError: it is neither that nor a run's."""
    if (path / FILE).exists():
        return False
    if (path / SWEEP).is_file():
        return True
    raise StoreError(f"{path}: there is no run here", "name the folder of a run or a sweep")


def _write_sweep(sweep: SweepRecord, tracker: Tracker) -> Written:
    """Its parent first, then each cell. One that is damaged is said and left as it is there."""
    notices: list[str] = []
    cells = list(_cells(sweep, notices))
    parent = _parent(sweep, cells)
    tracker.write(parent)
    for cell in cells:
        notices += (*cell.notices, *tracker.write(cell, parent.key))
    runs = [(str(run.path), run.state) for run in (parent, *cells)]
    return Written(tuple(runs), tuple(notices))


def _cells(sweep: SweepRecord, notices: list[str]) -> Iterator[TrackedRun]:
    """The cells that have a store; what is wrong with the others goes to `notices`."""
    for cell in sweep.cells:
        path = sweep.path_of(cell)
        if not (path / FILE).exists():
            continue
        try:
            run = tracked_run(path)
        except OproError as error:
            line = " ".join(str(error).split())
            notices.append(f"{cell['name']}: not written: {line}")
            continue
        tags = {**run.tags, f"{PREFIX}sweep": sweep.name, f"{PREFIX}cell": cell["name"]}
        yield replace(run, name=cell["name"], tags=tags, group=sweep.name)


def _parent(sweep: SweepRecord, cells: Sequence[TrackedRun]) -> TrackedRun:
    """The sweep as the run that its cells belong under."""
    states = Counter(cell.state for cell in cells)
    states["not begun or damaged"] = len(sweep.cells) - len(cells)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if count)
    began = [cell.began for cell in cells if cell.began is not None]
    ended = [cell.ended for cell in cells if cell.ended is not None]
    state = _state(sweep, cells)
    path = sweep.folder.absolute()
    tags = {"path": str(path), "cells": counts, "state": state}
    files = (path / SWEEP, path / TABLE, path / "report.html")
    return TrackedRun(
        key=key_of(path, {"sweep": sweep.name}),
        path=path,
        name=sweep.name,
        state=state,
        params={"axes": ", ".join(sweep.keys)},
        tags={f"{PREFIX}{name}": text for name, text in tags.items()},
        note=f"A sweep of {len(sweep.cells)} cells: {counts}",
        files=tuple(file for file in files if file.is_file()),
        began=min(began, default=None),
        ended=None if state == "running" else max(ended, default=None),
        is_sweep=True,
    )


def _state(sweep: SweepRecord, cells: Sequence[TrackedRun]) -> str:
    """Of a sweep: it runs while a cell does, and is finished where every cell is."""
    states = {cell.state for cell in cells}
    if states & {"running", "new"}:
        return "running"
    if states == {"finished"} and len(cells) == len(sweep.cells):
        return "finished"
    return "failed" if "failed" in states else "interrupted"
