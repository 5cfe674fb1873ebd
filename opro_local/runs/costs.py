"""What a run cost: engine calls, tokens, seconds.

For: counting what the store holds. Not for: money, or what a run will cost.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from opro_local.runs.store import Store


def count_costs(store: Store) -> dict[str, Any]:
    """Engine calls by role, tokens and seconds, what of it the cache gave, and how often test was
    opened.

    A batch that the cache answered whole is no engine call.
    """
    calls = store.calls()
    # Of a batch's label: completions, prompt tokens and completion tokens that the cache gave.
    cached = store.get("from_cache") or {}
    none = (0, 0, 0)
    roles = [
        call["role"] for call in calls if cached.get(call["label"], none)[0] < call["requests"]
    ]
    from_cache = [cached[call["label"]] for call in calls if call["label"] in cached]
    return {
        "calls": {"optimizer": 0, "scorer": 0, **Counter(roles)},
        "tokens": {
            kind: sum(call[f"{kind}_tokens"] for call in calls)
            for kind in ("prompt", "cached", "completion")
        },
        "from_cache": {
            name: sum(counts[i] for counts in from_cache)
            for i, name in enumerate(("completions", "prompt", "completion"))
        },
        "seconds": round(sum(call["seconds"] for call in calls), 3),
        "test_opened": sum(call["label"].endswith("/test") for call in calls),
    }
