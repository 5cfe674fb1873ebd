"""What a scoring rule is: how an answer is read, what a row expects, and what the one earns against the other.

For: the two types every rule shares. Not for: any rule of its own (scoring/__init__.py and its neighbours).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opro_local.types import Example

FAILED = math.nan


@dataclass(frozen=True, slots=True)
class Scorer:
    """A rule with the targets of one set of examples, read once."""

    verdict: Callable[[str, Any], float]
    golds: list[Any]

    def score(self, answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Score k answers to each of the n examples.

        Args:
            answers: k * n answers, the examples in order and repeating k times.

        Returns:
            Values in [0, 1], float32, shape (k * n,), and which of them are failed extractions, bool, same shape.
        """
        rounds, rest = divmod(len(answers), len(self.golds) or 1)
        if rest:
            raise ValueError(f"{len(answers)} answers are no multiple of {len(self.golds)} examples")
        values = np.fromiter(map(self.verdict, answers, self.golds * rounds), np.float32, len(answers))
        failed = np.isnan(values)
        values[failed] = 0
        return values, failed


@dataclass(frozen=True, slots=True)
class Rule:
    """How answers are scored.

    Attributes:
        name: one of `scoring.RULES`.
        extract: what an answer says in the rule's own normal form, or None when it says nothing clear.
        gold: what an example expects, in the form `verdict` compares with.
        verdict: what an answer earns against a gold, in [0, 1]; NaN for a failed extraction.
    """

    name: str
    extract: Callable[[str], str | None]
    gold: Callable[[Example], Any]
    verdict: Callable[[str, Any], float]

    def prepare(self, examples: Sequence[Example]) -> Scorer:
        """Read the targets of the examples, once for all answers to come."""
        return Scorer(self.verdict, [self.gold(example) for example in examples])

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
        """Values in [0, 1], float32, and failures, bool; one each per answer (see Scorer.score)."""
        return self.prepare(examples).score(answers)
