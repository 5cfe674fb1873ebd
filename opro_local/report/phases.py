"""What a run's phases cost: proposing, scoring on each split, and what else it asked for.

For: tokens, seconds and the engines' busy share by phase. Not for: the sums of a result
(runs/costs.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SHORTEST = 5.0  # seconds between first and last call, whose ends are known to the second


@dataclass(frozen=True, slots=True)
class Phase:
    """The calls of one kind.

    Attributes:
        name: "propose", "train", "validation", "test", or what the labels of the calls say.
        role: who answered.
        calls, requests: how many; requests that the cache answered are among them.
        known: completions that the cache gave.
        prompt, completion: tokens.
        seconds: the engine's.
        share: of all seconds of the engines.
    """

    name: str
    role: str
    calls: int
    requests: int
    known: int
    prompt: int
    completion: int
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Costs:
    """All phases of a run.

    Attributes:
        phases: in the order of their first calls.
        seconds: the engines', in all phases.
        elapsed: seconds from the beginning of the first call to the end of the last, pauses of an
            interrupted run included; None where they are too few to be told.
    """

    phases: tuple[Phase, ...]
    seconds: float
    elapsed: float | None

    @property
    def busy(self) -> float | None:
        """The part of the elapsed time in which an engine was at work."""
        return None if self.elapsed is None else min(1.0, self.seconds / self.elapsed)


def costs_by_phase(calls: Sequence[Mapping[str, Any]]) -> Costs:
    """The phases of a run's calls, as a store gives them."""
    together: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for call in calls:
        _, _, rest = call["label"].partition("/")
        name = rest.partition("/")[0] or call["label"]
        together.setdefault((name, call["role"]), []).append(call)
    seconds = sum(call["seconds"] for call in calls)
    phases = [_phase(name, role, own, seconds) for (name, role), own in together.items()]
    return Costs(tuple(phases), seconds, _elapsed(calls))


def _phase(name: str, role: str, calls: Sequence[Mapping[str, Any]], whole: float) -> Phase:
    seconds = sum(call["seconds"] for call in calls)
    return Phase(
        name=name,
        role=role,
        calls=len(calls),
        requests=sum(call["requests"] for call in calls),
        known=sum(call["known"] for call in calls),
        prompt=sum(call["prompt_tokens"] for call in calls),
        completion=sum(call["completion_tokens"] for call in calls),
        seconds=seconds,
        share=seconds / whole if whole else 0.0,
    )


def _elapsed(calls: Sequence[Mapping[str, Any]]) -> float | None:
    if not calls:
        return None
    try:
        ends = [datetime.fromisoformat(call["finished_at"]) for call in calls]
        between = (max(ends) - ends[0]).total_seconds()
    except (TypeError, ValueError):  # of a store that says no times
        return None
    elapsed = between + calls[0]["seconds"]
    return elapsed if elapsed >= SHORTEST else None
