"""How each logged prompt stands: its mean score with an interval, when it was used, its trend, its
role.

For: `feedback status`, and which prompts a new search starts from. Not for: deciding between
prompts; production scores of different weeks are not comparable, so that is the experiment's part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opro_local import stats
from opro_local.feedback.decisions import State
from opro_local.feedback.log import Feedback
from opro_local.feedback.outcomes import stamp

RECENT_DAYS = 7

_SUMS = (
    "SELECT count(*) AS n, sum(score) AS total, min(time) AS first, max(time) AS last "
    "FROM outcome WHERE prompt = ? AND time >= ? AND time < ?"
)
_BEGINNING, _END = "", "~"


def standings(
    feedback: Feedback, now: datetime | None = None, alpha: float = 0.05
) -> dict[str, Any]:
    """Every prompt's standing, champion and challenger first, then by the lower end of the
    interval; JSON-able.

    Args:
        now: where the last week ends.
        alpha: 1 - the intervals' confidence level.

    Raises:
        UsageError: no prompt is registered.
    """
    state = feedback.state()
    week_ago = stamp((now or datetime.now(UTC)) - timedelta(days=RECENT_DAYS))
    prompts = [
        _standing(feedback, state, row, week_ago, alpha)
        for row in feedback.rows("SELECT id, text, source FROM prompt")
    ]
    prompts.sort(
        key=lambda row: (
            ("champion", "challenger", None).index(row["role"]),
            -row["interval"][0],
            row["id"],
        )
    )
    return {"prompts": prompts, "experiment": _experiment(feedback, state, now)}


def _standing(
    feedback: Feedback, state: State, prompt: Mapping[str, Any], week_ago: str, alpha: float
) -> dict[str, Any]:
    whole, before, recent = (
        _side(feedback, prompt["id"], start, end, alpha)
        for start, end in ((_BEGINNING, _END), (_BEGINNING, week_ago), (week_ago, _END))
    )
    return {
        **prompt,
        "role": _role(state, prompt["id"]),
        **whole,
        "trend": {"last_week": recent, "before": before, **_change(recent, before)},
    }


def _role(state: State, prompt: str) -> str | None:
    if prompt == state.champion:
        return "champion"
    return "challenger" if state.experiment and prompt == state.experiment.challenger else None


def _side(feedback: Feedback, prompt: str, start: str, end: str, alpha: float) -> dict[str, Any]:
    """n, mean, interval, first and last time of a prompt's outcomes from start until before end."""
    (sums,) = feedback.rows(_SUMS, (prompt, start, end))
    n = sums["n"]
    if n == 0:
        return {"n": 0, "mean": None, "interval": [0.0, 1.0], "first": None, "last": None}
    interval = list(stats.share_interval(sums["total"], n, alpha))
    return {
        "n": n,
        "mean": sums["total"] / n,
        "interval": interval,
        "first": sums["first"],
        "last": sums["last"],
    }


def _change(recent: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Last week minus before, with the interval that two intervals give (Zou and Donner 2008,
    equation 4).
    """
    if not recent["n"] or not before["n"]:
        return {"change": None, "interval": None, "word": "unknown"}
    value = recent["mean"] - before["mean"]
    (low, high), (old_low, old_high) = recent["interval"], before["interval"]
    down = math.hypot(recent["mean"] - low, old_high - before["mean"])
    up = math.hypot(high - recent["mean"], before["mean"] - old_low)
    word = "rising" if value - down > 0 else "falling" if value + up < 0 else "level"
    return {"change": value, "interval": [value - down, value + up], "word": word}


def _experiment(feedback: Feedback, state: State, now: datetime | None) -> dict[str, Any] | None:
    running = state.experiment
    if running is None:
        return None
    judgement = feedback.compare(now=now)
    return {
        "id": running.id,
        "share": running.terms.share,
        "started": stamp(running.started),
        "action": judgement.action,
        "reason": judgement.reason,
        **judgement.numbers,
    }
