"""Records of cells as sweep.json has them, made up for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.sweeps.outcomes import Outcome, read_outcomes
from opro_local.sweeps.records import SweepRecord


def figures(value: float, n: int = 100) -> dict[str, Any]:
    return {
        "accuracy": value,
        "n": n,
        "interval": [value - 0.05, value + 0.05],
        "extraction_failures": 0,
        "truncated": 0,
    }


def cell(
    settings: Mapping[str, Any], best: float, baseline: float = 0.5, **own: Any
) -> dict[str, Any]:
    """A finished cell with its best score on test; on validation it has the same."""
    name = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings.items())
    sides = {"baseline": figures(baseline), "best": figures(best)}
    record = {
        "name": name,
        "id": "00000000",
        "settings": dict(settings),
        "state": "finished",
        "path": f"/somewhere/cells/{name}",
        "group": "g",
        "seed": settings.get("run.seed", 0),
        "task": "mails",
        "model": "m",
        "optimizer": "m",
        "digest": "d",
        "steps": 3,
        "calls": {"optimizer": 3, "scorer": 4},
        "tokens": {"prompt": 900, "cached": 400, "completion": 100},
        "seconds": 2.0,
        "pairs": 50,
        "shares": True,
        "train": sides,
        "validation": sides,
        "test": {**sides, "difference": {"value": 0.1, "interval": [0, 0.2], "p_value": 0.04}},
        "verdict": "improved",
        "best_text": "Read it.",
    }
    return record | own


def unfinished(settings: Mapping[str, Any], state: str = "failed", **own: Any) -> dict[str, Any]:
    whole = cell(settings, 0.0)
    gone = ("test", "validation", "train", "digest", "verdict", "best_text", "pairs", "shares")
    return {key: one for key, one in whole.items() if key not in gone} | {"state": state} | own


def outcomes(cells: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    keys = tuple(cells[0]["settings"])
    return read_outcomes(SweepRecord(Path("s"), "s", keys, tuple(cells)))


def write(folder: Path, cells: Sequence[Mapping[str, Any]]) -> Path:
    """Write a sweep's folder with these cells."""
    folder.mkdir(exist_ok=True)
    keys = list(cells[0]["settings"])
    record = {"name": "made up", "file": "s.toml", "keys": keys, "states": {}, "cells": cells}
    (folder / "sweep.json").write_text(json.dumps(record), "utf-8")
    return folder
