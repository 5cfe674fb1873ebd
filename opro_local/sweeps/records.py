"""What the cells of a sweep came to, and `sweep.json` that says so.

For: the record of a cell, read from its store, and the file. Not for: what is derived over cells
(report/), or running them (sweep.py). The stores are the truth: the file is made anew from them
whenever the sweep goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.errors import OproError, UsageError
from opro_local.files import read_text, write_whole
from opro_local.runs.figures import SplitResult
from opro_local.runs.reading import describe
from opro_local.runs.run_result import RunProgress, RunResult
from opro_local.runs.store import FILE, read_store
from opro_local.sweeps.cells import Cell
from opro_local.sweeps.plan import SweepPlan, model_of
from opro_local.sweeps.table import TABLE, table_of

SWEEP = "sweep.json"
# What a cell's split keeps of the result's: the figures by class stand in its own result.json.
LEFT_OUT = ("classes",)


@dataclass(frozen=True, slots=True)
class CellRecord:
    """What is known of a cell.

    Attributes:
        cell: which.
        path: its run's folder.
        group: the group that runs it.
        state: "missing", "running", "interrupted", "failed" or "finished".
        error: why it failed, in one line; "" where it did not.
        run: what its store says; None before there is one.
        exit_code: of a failed one, what `run` would end with.
    """

    cell: Cell
    path: Path
    group: str
    state: str = "missing"
    error: str = ""
    run: RunResult | RunProgress | None = None
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """As sweep.json has it, see docs/sweeps.md."""
        config = self.cell.config
        record: dict[str, Any] = {
            "name": self.cell.name,
            "id": self.cell.id,
            "settings": json.loads(json.dumps(dict(self.cell.settings), default=str)),
            "state": self.state,
            "path": str(self.path.absolute()),
            "group": self.group,
            "seed": config.run.seed,
            "task": _task_of(self.cell),
            "model": model_of(config),
            "optimizer": config.optimizer.model or config.scorer.model,
        }
        if self.error:
            record["error"] = self.error
        return record if self.run is None else record | _run_to_json(self.run)


def _run_to_json(run: RunResult | RunProgress) -> dict[str, Any]:
    """The part of a record that its store tells."""
    record: dict[str, Any] = {
        "digest": run.digest,
        "steps": run.steps,
        "calls": dict(run.costs.calls),
        "tokens": dict(run.costs.tokens),
        "from_cache": dict(run.costs.from_cache),
        "seconds": run.costs.seconds,
        "shares": run.shares,
    }
    splits: dict[str, SplitResult | None] = {"train": run.train}
    if isinstance(run, RunResult):
        splits |= {"validation": run.validation, "test": run.test}
        record |= {"best_text": run.best.text, "baseline_text": run.baseline}
        record |= {"verdict": run.verdict, "reason": run.reason, "rule": run.rule}
        if run.search is not None:
            record |= {"pairs": run.search.pairs, "alpha": run.search.alpha}
            record |= {"solutions": run.search.solutions}
    return record | {name: _sides(own) for name, own in splits.items() if own is not None}


def _sides(split: SplitResult) -> dict[str, Any]:
    sides = split.to_json()
    for name in ("baseline", "best"):
        sides[name] = {key: one for key, one in sides[name].items() if key not in LEFT_OUT}
    return sides


def _task_of(cell: Cell) -> str:
    """A short name of what is worked on: a benchmark's, or the data's, or the kind of problem."""
    config = cell.config
    if config.problem.kind != "prompt":
        return config.problem.kind
    data = config.task.data or config.task.train
    return Path(data).stem if config.task.name == "table" and data else config.task.name


def read_record(cell: Cell, path: Path, group: str) -> CellRecord:
    """What a cell's store says of it, without running anything."""
    if not (path / FILE).is_file():
        return CellRecord(cell, path, group)
    try:
        run = describe(path)
        state = run.state
        if state == "finished" and not _is_up_to_date(cell, path):
            state = "interrupted"
    except OproError as error:
        return CellRecord(cell, path, group, "failed", str(error), None, error.exit_code)
    error_text = run.reason if state == "failed" else ""
    return CellRecord(cell, path, group, "missing" if state == "new" else state, error_text, run)


def _is_up_to_date(cell: Cell, path: Path) -> bool:
    """Whether a finished run was run with the stop rules of the cell. The other settings that a run
    may be continued with decide nothing.
    """
    store = read_store(path)
    try:
        kept = (store.get("config") or {}).get("search", {})
    finally:
        store.close()
    wanted = cell.config.model_dump(mode="json")["search"]
    free = [name.partition(".")[2] for name in reading.FREE if name.startswith("search.")]
    return all(kept.get(key, wanted[key]) == wanted[key] for key in free)


def write_sweep(folder: Path, plan: SweepPlan, records: Sequence[CellRecord]) -> None:
    """Write sweep.json and sweep.csv whole. Raises StoreError."""
    record = sweep_to_json(plan, records)
    write_whole(folder / SWEEP, json.dumps(record, indent=1) + "\n")
    write_whole(folder / TABLE, table_of(record))


def sweep_to_json(plan: SweepPlan, records: Sequence[CellRecord]) -> dict[str, Any]:
    """A sweep as sweep.json has it, see docs/sweeps.md."""
    states = [record.state for record in records]
    return {
        "name": plan.name,
        "file": str(plan.file.absolute()),
        "keys": list(plan.keys),
        "states": {state: states.count(state) for state in sorted(set(states))},
        "cells": [record.to_json() for record in records],
    }


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """A sweep.json as it is read back.

    Attributes:
        folder: the sweep's.
        name: of the sweep.
        keys: every setting that varies.
        cells: the record of each, as docs/sweeps.md describes it.
    """

    folder: Path
    name: str
    keys: tuple[str, ...]
    cells: tuple[Mapping[str, Any], ...] = field(default=())

    def path_of(self, cell: Mapping[str, Any]) -> Path:
        """A cell's folder, also where the sweep's folder was moved since."""
        path = Path(cell["path"])
        here = self.folder / "cells" / path.name
        return here if here.is_dir() else path


def read_sweep(folder: Path) -> SweepRecord:
    """Read a sweep's folder.

    Raises:
        UsageError: there is no sweep.json, or it is none.
    """
    file = folder / SWEEP
    try:
        record = json.loads(read_text(file))
        cells = record["cells"]
        if not all(isinstance(cell["name"], str) and cell["state"] for cell in cells):
            raise ValueError("a cell without a name")
        return SweepRecord(folder, record["name"], tuple(record["keys"]), tuple(cells))
    except OSError as error:
        hint = "name the folder of a sweep"
        raise UsageError(f"{file}: can't be read ({error.strerror})", hint) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{file}: no record of a sweep ({error})") from None
