"""What the stored completions of a run derive: its search gone through again without an engine.

For: making sure that a result is what its completions say. Not for: resuming (run.py), or answering
what the store has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.errors import StoreError
from opro_local.runs.driver import request_digest
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.plans.plan import Plan
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.store import Store
from opro_local.runs.thinking import heard
from opro_local.search.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Replay:
    """What a search came to over stored completions.

    Attributes:
        trajectory: what it scored and rejected.
        outcome: what came of it; None where a completion was missing.
        missing: the label of the first batch that has no stored answer; "" where none is missing.
    """

    trajectory: Trajectory
    outcome: SearchOutcome | EvaluationOutcome | None
    missing: str


def replay_all(plan: Plan, store: Store) -> Replay:
    """Go as far as a store's completions go; nothing is written.

    Raises:
        UsageError: a stored request is not the one that the plan makes.
        StoreError: a completion is damaged.
    """
    trajectory = Trajectory()
    search = heard(plan.search(trajectory), plan.thinkers)
    try:
        batch = next(search)
        while True:
            result = store.reply(batch, request_digest(batch))
            if result is None:
                return Replay(trajectory, None, batch.label)
            batch = search.send(result)
    except StopIteration as end:
        outcome = plan.summarize(trajectory, end.value, plan.config.evaluation.alpha)
        return Replay(trajectory, outcome, "")
    finally:
        search.close()


def replay(plan: Plan, store: Store) -> SearchOutcome | EvaluationOutcome:
    """What the plan comes to over a store's completions; nothing is written.

    Raises:
        UsageError: a stored request is not the one that the plan makes.
        StoreError: a completion is missing or damaged.
    """
    came = replay_all(plan, store)
    if came.outcome is None:
        raise StoreError(
            f"{store.folder}: has no completions of {came.missing}",
            "give the run's command again",
        )
    return came.outcome


def derived_text(plan: Plan, store: Store, record: Mapping[str, Any]) -> str:
    """The text that a search's completions have as the best, if the record that is kept of its
    result says the same.

    Raises:
        StoreError: its winner, its verdict or its digest is another one; or see `replay`.
    """
    derived = replay(plan, store)
    if not isinstance(derived, SearchOutcome):
        raise StoreError(f"{store.folder}: not a search", "name the run of one")
    best = record.get("best")
    kept = {
        "best text": best.get("text") if isinstance(best, dict) else None,
        "verdict": record.get("verdict"),
        "digest": record.get("digest"),
    }
    text = derived.best.text
    wanted = {"best text": text, "verdict": derived.verdict, "digest": derived.digest}
    for name, value in kept.items():
        if value != wanted[name]:
            raise StoreError(
                f"{store.folder}: the {name} kept there is not what its completions derive",
                "the run was changed or damaged: restore a copy, or run it again",
            )
    return text
