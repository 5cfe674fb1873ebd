"""What the numeric problems of the paper's section 4 share: what was proposed, and a result that is
compared with baselines.

For: the part of a result that a minimized objective has and an accuracy doesn't. Not for:
objectives or baselines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.search.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Reference:
    """The proven optimum: its text and value, and how it was found."""

    text: str
    value: float
    method: str


def proposals(trajectory: Trajectory) -> dict[str, int]:
    """How many of the optimizer's replies were new and scored (`valid`), known already
    (`duplicate`), or no solution at all (`invalid`).
    """
    scored = sum(entry.step > 0 for entry in trajectory.entries)
    refused = [rejection.reason for rejection in trajectory.rejections if rejection.step > 0]
    duplicate = sum(reason.startswith("duplicate") for reason in refused)
    return {"valid": scored, "invalid": len(refused) - duplicate, "duplicate": duplicate}


def completed(
    result: Mapping[str, Any],
    trajectory: Trajectory,
    reference: Reference | None,
    baselines: Mapping[str, float],
) -> dict[str, Any]:
    """A search's result with what a minimized objective adds to it.

    Args:
        result: what result.summarize gives.
        trajectory: of a finished search; the objective is minus its scores.
        reference: the optimum; None where none is known.
        baselines: name to objective, each at as many evaluated points as the trajectory has.

    Returns:
        `result`, its `steps` counting those too that scored nothing, and `best.value`, `optimum`,
        `gap` (best / optimum - 1; None without an optimum, or with one of 0 that was not reached),
        `reference`, `baselines`, `proposals`, `evaluations`, `reached` and `summary`.
    """
    value = -trajectory.top(1)[0].score.value
    optimum = None if reference is None else reference.value
    counts = proposals(trajectory)
    known = None if reference is None else {"text": reference.text, "method": reference.method}
    steps = [entry.step for entry in trajectory.entries]
    steps += [rejection.step for rejection in trajectory.rejections]
    whole = {
        **result,
        "steps": max(steps),
        "best": {**result["best"], "value": value},
        "optimum": optimum,
        "gap": gap(value, optimum),
        "reference": known,
        "baselines": dict(baselines),
        "proposals": counts,
        "evaluations": len(trajectory.entries),
        "reached": optimum is not None and value <= optimum * (1 + 1e-9),
    }
    return {**whole, "summary": summary(whole)}


def gap(value: float, optimum: float | None) -> float | None:
    """How far a minimized value lies above the optimum, as a share of it."""
    if optimum is None:
        return None
    if value <= optimum:
        return 0.0
    return value / optimum - 1 if optimum > 0 else None


def summary(result: Mapping[str, Any]) -> list[str]:
    """The replies and the best against the optimum, one line each."""
    counts, share = result["proposals"], result["gap"]
    asked = sum(counts.values())
    readable = f" ({100 * (asked - counts['invalid']) / asked:.0f} % valid)" if asked else ""
    new, known, refused = counts["valid"], counts["duplicate"], counts["invalid"]
    lines = [f"{asked} replies{readable}: {new} new, {known} known already, {refused} refused."]
    if result["reached"]:
        return [*lines, "The optimum was reached."]
    if share is not None:
        return [*lines, f"The best lies {100 * share:.1f} % above the optimum."]
    return lines
