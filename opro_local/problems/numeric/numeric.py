"""What the numeric problems of the paper's section 4 share: what was proposed, and a result that is
compared with baselines.

For: the part of a result that a minimized objective has and an accuracy doesn't. Not for:
objectives or baselines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
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


@dataclass(frozen=True, slots=True)
class NumericFigures:
    """What a minimized objective adds to the result of a search.

    Attributes:
        value: the best objective; the scores are minus the objective.
        reference: the optimum; None where none is known.
        baselines: name to objective, each at as many evaluated points as the search had.
        proposals: see `proposals`.
        evaluations: how many solutions were scored.
        further: what one problem only has, such as linear regression's true pair; JSON-able.
    """

    value: float
    reference: Reference | None
    baselines: Mapping[str, float]
    proposals: Mapping[str, int]
    evaluations: int
    further: Mapping[str, Any] = field(default_factory=dict)

    @property
    def optimum(self) -> float | None:
        """The least objective there is; None where it is not known."""
        return None if self.reference is None else self.reference.value

    @property
    def gap(self) -> float | None:
        """best / optimum - 1; None without an optimum, or with one of 0 that was not reached."""
        return gap(self.value, self.optimum)

    @property
    def reached(self) -> bool:
        """Whether the best is the optimum."""
        return self.optimum is not None and self.value <= self.optimum * (1 + 1e-9)

    def summary(self) -> tuple[str, ...]:
        """The replies and the best against the optimum, one line each."""
        asked = sum(self.proposals.values())
        new, known, refused = (self.proposals[kind] for kind in ("valid", "duplicate", "invalid"))
        readable = f" ({100 * (asked - refused) / asked:.0f} % valid)" if asked else ""
        first = f"{asked} replies{readable}: {new} new, {known} known already, {refused} refused."
        if self.reached:
            return first, "The optimum was reached."
        if self.gap is not None:
            return first, f"The best lies {100 * self.gap:.1f} % above the optimum."
        return (first,)

    def to_json(self) -> dict[str, Any]:
        """As docs/numeric.md shows it; `value` stands with the best solution."""
        known = None
        if self.reference is not None:
            known = {"text": self.reference.text, "method": self.reference.method}
        return {
            "optimum": self.optimum,
            "gap": self.gap,
            "reference": known,
            "baselines": dict(self.baselines),
            "proposals": dict(self.proposals),
            "evaluations": self.evaluations,
            "reached": self.reached,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], further: Mapping[str, Any]) -> NumericFigures:
        """What `to_json` wrote, among the other keys of a result."""
        known = record["reference"]
        reference = None
        if known is not None:
            reference = Reference(known["text"], record["optimum"], known["method"])
        return cls(
            value=record["best"]["value"],
            reference=reference,
            baselines=record["baselines"],
            proposals=record["proposals"],
            evaluations=record["evaluations"],
            further=further,
        )


def numeric_figures(
    trajectory: Trajectory,
    reference: Reference | None,
    baselines: Mapping[str, float],
    further: Mapping[str, Any] = MappingProxyType({}),
) -> NumericFigures:
    """What a finished search of a minimized objective came to; see NumericFigures."""
    return NumericFigures(
        value=-trajectory.top(1)[0].score.value,
        reference=reference,
        baselines=dict(baselines),
        proposals=proposals(trajectory),
        evaluations=len(trajectory.entries),
        further=dict(further),
    )


def gap(value: float, optimum: float | None) -> float | None:
    """How far a minimized value lies above the optimum, as a share of it."""
    if optimum is None:
        return None
    if value <= optimum:
        return 0.0
    return value / optimum - 1 if optimum > 0 else None
