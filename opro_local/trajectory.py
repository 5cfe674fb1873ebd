"""Scored solutions in the order they came, and the questions a search asks of them.

For: an append-only record; nothing in it is ever changed or removed, so whoever watches it reads only its tail.
Not for: rendering, storing, or deciding what to do next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from opro_local.types import Rejection, Score, Solution, Split


@dataclass(frozen=True, slots=True)
class Entry:
    """A solution with its score on one split. Step 0 holds the seeds.

    `similarity` is the cosine to the nearest earlier solution where the search explores (similarity.py), else 0.
    """

    split: Split
    step: int
    position: int
    solution: Solution
    score: Score
    similarity: float = 0.0


class Trajectory:
    """All entries, rejections and costs of one search.

    Attributes:
        entries: solutions scored on train, in order.
        held_out: solutions scored on validation or test, in order.
        rejections: replies that did not become solutions, in order.
        tokens: prompt and completion tokens spent so far, by both roles.
        seconds: recorded duration of all batches so far; a replayed batch counts what it took the first time.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.held_out: list[Entry] = []
        self.rejections: list[Rejection] = []
        self.tokens = 0
        self.seconds = 0.0
        self._keys: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Append a scored solution; train entries make its key count as seen."""
        if entry.split == "train":
            self._keys.add(entry.solution.key)
            self.entries.append(entry)
        else:
            self.held_out.append(entry)

    def reject(self, rejection: Rejection, solution: Solution | None = None) -> None:
        """Append a rejection; a solution that could not be scored counts as seen, so that it is not tried again."""
        self.rejections.append(rejection)
        if solution is not None:
            self._keys.add(solution.key)

    def seen(self, solution: Solution) -> bool:
        """Whether this solution was scored on train, or found impossible to score, already."""
        return solution.key in self._keys

    def top(self, k: int, exploration: float = 0.0) -> list[Entry]:
        """The k best train entries, best first; of equals the earlier one is better.

        With `exploration` an entry's similarity to those before it costs that much per unit: of two near-duplicates
        the first stays, and the next best of another kind comes before the second.
        """
        return sorted(self.entries, key=lambda entry: exploration * entry.similarity - entry.score.value)[:k]

    def recent(self, k: int) -> list[Entry]:
        """The last k train entries, oldest first."""
        return self.entries[-k:] if k else []

    def best_by_step(self) -> list[float]:
        """The best train score known after each step, from step 0 on."""
        best: list[float] = []
        for entry in self.entries:
            best.extend(best[-1:] * (entry.step + 1 - len(best)) or [-np.inf] * (entry.step + 1 - len(best)))
            best[-1] = max(best[-1], entry.score.value)
        return best

    def times_wrong(self, entries: list[Entry]) -> np.ndarray:
        """For each train example how many of the entries scored below 1 on it; shape (examples,)."""
        return np.sum([entry.score.values < 1 for entry in entries], axis=0)

    def digest(self) -> str:
        """64 hex digits over solutions, scores and order, on every split."""
        return chained(fingerprint(entry) for entry in (*self.entries, *self.held_out))


def fingerprint(entry: Entry) -> str:
    """Canonical JSON of what an entry says, the per-example values included as a digest."""
    values = hashlib.sha256(np.ascontiguousarray(entry.score.values, dtype="<f4").tobytes()).hexdigest()
    score = entry.score
    return json.dumps(
        [entry.split, entry.step, entry.position, entry.solution.key, repr(score.value)]
        + [score.n, score.failures, score.truncated, values]
    )


def chained(fingerprints: Iterable[str]) -> str:
    """64 hex digits over fingerprints in their order."""
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()
