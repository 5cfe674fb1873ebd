"""What a run cost: engine calls, tokens, seconds.

For: counting what the store holds. Not for: money, or what a run will cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.runs.store import Store

TOKENS = ("prompt", "cached", "completion")
# What the cache gave of a call: names in the result, columns in the store.
KNOWN = {
    "completions": "known",
    "prompt": "known_prompt_tokens",
    "completion": "known_completion_tokens",
}


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run cost so far.

    Attributes:
        calls: engine calls by role. A batch that the cache answered whole is none.
        tokens: "prompt", "cached" (of the prompt tokens) and "completion".
        from_cache: what of `tokens` the cache of completions gave: "completions", "prompt" and
            "completion".
        seconds: in `generate`, loading not counted.
        test_opened: how often test was scored.
    """

    calls: Mapping[str, int]
    tokens: Mapping[str, int]
    from_cache: Mapping[str, int]
    seconds: float
    test_opened: int

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "calls": dict(self.calls),
            "tokens": dict(self.tokens),
            "from_cache": dict(self.from_cache),
            "seconds": self.seconds,
            "test_opened": self.test_opened,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Costs:
        """What `to_json` wrote, among the other keys of a result."""
        for name, kinds in (("tokens", TOKENS), ("from_cache", KNOWN)):
            if missing := [kind for kind in kinds if kind not in record[name]]:
                raise ValueError(f"{name} has no {missing[0]}")
        return cls(
            calls=record["calls"],
            tokens=record["tokens"],
            from_cache=record["from_cache"],
            seconds=record["seconds"],
            test_opened=record["test_opened"],
        )


def count_costs(store: Store) -> Costs:
    """Engine calls by role, tokens and seconds, what of it the cache gave, and how often test was
    opened.
    """
    calls = store.calls()
    roles = [call["role"] for call in calls if call["known"] < call["requests"]]
    return Costs(
        calls={"optimizer": 0, "scorer": 0, **Counter(roles)},
        tokens={kind: sum(call[f"{kind}_tokens"] for call in calls) for kind in TOKENS},
        from_cache={name: sum(call[column] for call in calls) for name, column in KNOWN.items()},
        seconds=round(sum(call["seconds"] for call in calls), 3),
        test_opened=sum(call["label"].endswith("/test") for call in calls),
    )
