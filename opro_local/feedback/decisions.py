"""Decisions in the feedback store: who is champion, which experiment runs, and who was before.

For: reading and writing the table of decisions with a cursor that is open. Not for: opening the
store, or its outcomes (log.py), or what an experiment shows (experiment.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opro_local.errors import UsageError
from opro_local.feedback.experiment import Experiment, Terms
from opro_local.feedback.outcomes import clean, stamp
from opro_local.feedback.sealed import SealedRows


@dataclass(frozen=True, slots=True)
class State:
    """Who is champion, which experiment runs (None: none does), and the number of the last
    decision.
    """

    champion: str
    experiment: Experiment | None
    decision: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why.

    Attributes:
        action: "register", "challenge", "promote", "keep" or "rollback".
        reason: in words.
        champion: who is champion from now on.
        running: the experiment that runs from now on; None for none.
        experiment: the one that was decided about.
        numbers: what it showed; JSON-able.
        automatic: whether the test decided, and not a hand.
    """

    action: str
    reason: str
    champion: str
    running: str | None = None
    experiment: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    automatic: bool = False


def current_state(sealed: SealedRows, cursor: sqlite3.Cursor) -> State | None:
    """Who is champion and what runs; None while there is no prompt. Raises DamageError."""
    sealed.check(cursor, ("decision", "experiment"))
    row = cursor.execute(
        "SELECT d.champion, d.number, e.id, e.champion, e.challenger, e.started_at, "
        "e.share, e.alpha, e.harm, e.max_users, e.max_days "
        "FROM decision d LEFT JOIN experiment e ON e.id = d.running ORDER BY d.number DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    champion, number, id, old, challenger, started, *terms = row
    running = None
    if id:
        begun = datetime.fromisoformat(started)
        running = Experiment(id, old, challenger, Terms(*terms), begun)
    return State(champion, running, number)


def required(state: State | None) -> State:
    """The state where there must be one. Raises UsageError."""
    if state is None:
        raise UsageError(
            "there is no prompt yet", "register one: opro-local feedback register TEXT"
        )
    return state


def record(sealed: SealedRows, cursor: sqlite3.Cursor, decision: Decision) -> None:
    """Add a decision to the history; from then on it holds."""
    (last,) = cursor.execute("SELECT coalesce(max(number), 0) FROM decision").fetchone()
    row = (
        last + 1,
        stamp(),
        decision.action,
        int(decision.automatic),
        clean(decision.reason),
        decision.champion,
        decision.running,
        decision.experiment,
        json.dumps(decision.numbers),
    )
    sealed.add(cursor, "decision", [row])


def next_champion(state: State, action: str) -> str:
    """Who is champion once the running experiment is decided: the challenger if it is promoted."""
    if state.experiment and action == "promote":
        return state.experiment.challenger
    return state.champion


def former_champion(champion: str, history: Sequence[Mapping[str, Any]]) -> str:
    """The champion that the present one took over from; what was rolled back doesn't come back by
    another one.

    Args:
        champion: the present one.
        history: every decision, oldest first.

    Raises:
        UsageError: there was no other.
    """
    line: list[str] = []
    for row in history:
        if not line or row["champion"] != line[-1]:
            line = line[:-1] if row["action"] == "rollback" else [*line, row["champion"]]
    if len(line) < 2:
        raise UsageError(
            f"{champion} is the only champion there was", "there is nothing to go back to"
        )
    return line[-2]
