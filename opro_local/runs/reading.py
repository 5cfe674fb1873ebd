"""What finished, running and stopped runs look like from outside; opens stores read-only.

For: `list` and `show`. Not for: anything that writes, or that needs a model.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from opro_local.errors import StoreError
from opro_local.files import open_private
from opro_local.runs import store
from opro_local.runs.costs import count_costs
from opro_local.runs.result import rejection_counts
from opro_local.search.trajectory import chained
from opro_local.stats import share_interval


def overview(folder: Path) -> list[dict[str, Any]]:
    """One row per run directly under a folder: path, name, state, steps, best train score and
    whether it is a share.
    """
    rows = []
    for path in sorted(folder.glob(f"*/{store.FILE}")):
        try:
            found = describe(path.parent)
        except StoreError as error:
            rows.append(
                {
                    "path": str(path.parent),
                    "name": path.parent.name,
                    "state": "unreadable",
                    "steps": 0,
                    "best": None,
                    "shares": True,
                    "error": str(error),
                }
            )
            continue
        best = (found.get("train") or {}).get("best") or {}
        rows.append(
            {
                "path": str(path.parent),
                "name": found["name"],
                "state": found["state"],
                "steps": found["steps"],
                "best": best.get("accuracy"),
                "shares": found["shares"],
            }
        )
    return rows


def describe(folder: Path) -> dict[str, Any]:
    """A run's result if it is finished, else what it has so far, in the same shape without test.

    Raises:
        StoreError: there is no readable run.
    """
    opened = store.read_store(folder)
    try:
        state = opened.get("state") or "new"
        found = opened.get("result")
        if state == "finished" and found:
            return {"shares": True, **found}
        return _so_far(
            opened, "interrupted" if state == "running" and not _is_held(folder) else state
        )
    finally:
        opened.close()


def rejected(folder: Path) -> list[dict[str, Any]]:
    """The replies that did not become solutions, with step and reason."""
    opened = store.read_store(folder)
    try:
        return opened.rejections()
    finally:
        opened.close()


def scored(folder: Path) -> list[dict[str, Any]]:
    """Every scored solution: split, step, text, score, rows, and similarity to those before."""
    opened = store.read_store(folder)
    try:
        rows = [row for split in ("train", "validation", "test") for row in opened.solutions(split)]
    finally:
        opened.close()
    return [{key: value for key, value in row.items() if key != "fingerprint"} for row in rows]


def _so_far(opened: store.Store, state: str) -> dict[str, Any]:
    solutions = opened.solutions("train")
    best = max(
        (row for row in solutions if not row["partial"]), key=lambda row: row["score"], default=None
    )
    baseline = solutions[0] if solutions else None
    config = opened.get("config") or {}
    found: dict[str, Any] = {
        "name": config.get("run", {}).get("name", opened.folder.name),
        "state": state,
        "reason": opened.get("error") if state == "failed" else state,
        "digest": chained(row["fingerprint"] for row in solutions),
        "steps": max((row["step"] for row in solutions), default=0),
        "solutions": len(solutions),
        "rejections": rejection_counts(row["reason"] for row in opened.rejections()),
        "baseline": {"text": baseline["text"] if baseline else ""},
        "best": {"text": best["text"] if best else "", "step": best["step"] if best else 0},
        "shares": opened.get("shares") is not False,
        **count_costs(opened),
    }
    if baseline and best:
        side = _side if found["shares"] else _value
        found["train"] = {"baseline": side(baseline), "best": side(best)}
    return found


def _side(row: dict[str, Any]) -> dict[str, Any]:
    n = row["n"]
    total = min(
        n, max(0.0, row["score"] * n)
    )  # stores of earlier builds don't say whether scores are shares
    return {**_value(row), "interval": list(share_interval(total, n))}


def _value(row: dict[str, Any]) -> dict[str, Any]:
    """What is known of a score, of whatever scale."""
    return {
        "accuracy": row["score"],
        "n": row["n"],
        "extraction_failures": row["extraction_failures"],
        "truncated": row["truncated"],
    }


def _is_held(folder: Path) -> bool:
    """Whether a process holds the run's lock."""
    try:
        lock = open_private(folder / store.LOCK, os.O_RDONLY)
    except (OSError, StoreError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
