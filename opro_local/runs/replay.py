"""What the stored completions of a run derive: its search gone through again without an engine.

For: making sure that a result is what its completions say. Not for: resuming (run.py), or answering
what the store has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opro_local.errors import StoreError
from opro_local.runs.driver import request_digest
from opro_local.runs.plans.plan import Plan
from opro_local.runs.store import Store
from opro_local.search.trajectory import Trajectory


def replay(plan: Plan, store: Store) -> dict[str, Any]:
    """The figures that the plan's search comes to over a store's completions; nothing is written.

    Returns:
        what `Plan.summarize` makes of the search.

    Raises:
        UsageError: a stored request is not the one that the plan makes.
        StoreError: a completion is missing or damaged.
    """
    trajectory = Trajectory()
    search = plan.search(trajectory)
    try:
        batch = next(search)
        while True:
            result = store.reply(batch, request_digest(batch))
            if result is None:
                raise StoreError(
                    f"{store.folder}: has no completions of {batch.label}",
                    "give the run's command again",
                )
            batch = search.send(result)
    except StopIteration as end:
        return plan.summarize(trajectory, end.value, plan.config.evaluation.alpha)


def check_derived(plan: Plan, store: Store, result: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that the completions derive, if a result that is kept says the same.

    Raises:
        StoreError: its winner, its verdict or its digest is another one; or see `replay`.
    """
    derived = replay(plan, store)
    for name in ("best", "verdict", "digest"):
        kept, wanted = result.get(name), derived[name]
        if name == "best":
            kept, wanted = (kept.get("text") if isinstance(kept, dict) else None), wanted["text"]
        if kept != wanted:
            raise StoreError(
                f"{store.folder}: the {name} kept there is not what its completions derive",
                "the run was changed or damaged: restore a copy, or run it again",
            )
    return derived
