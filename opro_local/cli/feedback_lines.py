"""What `opro-local feedback` prints: standings, an experiment's state and decisions, a line each.

For: words. Not for: figures (feedback/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE = "No experiment runs."
UNBALANCED = "no interval, since the arms' sizes don't fit the share"


def standing_line(row: Mapping[str, Any]) -> str:
    """How a prompt stands, see feedback.standing.standings."""
    role, text = row["role"] or "", " ".join(row["text"].split())[:50]
    if not row["n"]:
        return f"{row['id']:14} {role:10} no outcome yet  {text!r}"
    low, high = row["interval"]
    score = f"{_percent(row['mean'])} ({_percent(low)} to {_percent(high)})"
    days = f"{row['first'][:10]} to {row['last'][:10]}"
    return (
        f"{row['id']:14} {role:10} {row['n']:>7,} x {score}, {days}, trend "
        f"{row['trend']['word']}  {text!r}"
    )


def judgement_lines(numbers: Mapping[str, Any], action: str, reason: str) -> list[str]:
    """What an experiment shows so far, and what follows from it."""
    low, high = (100 * bound for bound in numbers["interval"])
    sides = [f"{name} {_side(numbers[name])}" for name in ("champion", "challenger")]
    lines = [f"{numbers['users']:,} users count: {', '.join(sides)}."]
    if numbers["difference"] is not None:
        points = f"{100 * numbers['difference']:+.1f} points"
        bounds = f"at all looks together {low:+.1f} to {high:+.1f} is not ruled out"
        lines.append(f"Difference {points}; {bounds if numbers['balanced'] else UNBALANCED}.")
    left_out = [f"{many:,} {why}" for why, many in numbers["excluded"].items() if many]
    if left_out:
        lines.append(f"Outcomes that don't count: {', '.join(left_out)}.")
    return [*lines, f"{action.capitalize()}: {reason}."]


def _side(side: Mapping[str, Any]) -> str:
    return f"{side['prompt']} {_percent(side['mean'])} ({side['users']:,})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def decision_line(row: Mapping[str, Any]) -> str:
    """One decision of the history."""
    by = "test" if row["automatic"] else "hand"
    challenger = f"challenger {row['challenger']}, " if row["challenger"] else ""
    return (
        f"{row['time'][:19]} {row['action']:9} by {by}: {row['reason']}; {challenger}champion "
        f"now {row['champion']}"
    )
