"""Scored solutions in the order they came, and the questions a search asks of them.

For: an append-only record; nothing in it is ever changed or removed, so whoever watches it reads
only its tail. Not for: rendering, storing, or deciding what to do next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from opro_local.types import Batches, Rejection, Score, Solution, Split

Among = Literal["standing", "whole", "all"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A solution with its score on one split. Step 0 holds the seeds.

    `similarity` is the cosine to the nearest earlier solution where the search explores
    (similarity.py), else 0. `dropped` means that a race stopped scoring it (racing.py): it never
    wins.
    """

    split: Split
    step: int
    position: int
    solution: Solution
    score: Score
    similarity: float = 0.0
    dropped: bool = False

    @property
    def partial(self) -> bool:
        """Whether only some rows of the split were scored."""
        return self.score.rows is not None


@dataclass(frozen=True, slots=True)
class Proposal:
    """One attempt at a new solution.

    Attributes:
        step: when it was made.
        operator: how it was made: the name of a meta-prompt form, or of a move on demonstrations.
        parent: what it was made from; None for starting solutions.
        key: the key of the solution that came of it, if one did.
    """

    step: int
    operator: str
    parent: Entry | None
    key: str | None


class Trajectory:
    """All entries, rejections and costs of one search.

    Attributes:
        entries: solutions scored on train, in order; one scored again on more rows is there twice.
        reference: the best entry scored on all of train, of equals the first; None before there is
        any.
        held_out: solutions scored on validation or test, in order.
        rejections: replies that did not become solutions, in order.
        proposals: where solutions came from, in order; empty in the mode opro, which has one
            operator only.
        description: the task in a few words, where the optimizer was asked for them; else "".
        pairs: (solution, row) pairs scored on train so far.
        tokens: prompt and completion tokens spent so far, by both roles.
        seconds: recorded duration of all batches so far; a replayed batch counts what it took the
        first time.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.reference: Entry | None = None
        self.held_out: list[Entry] = []
        self.rejections: list[Rejection] = []
        self.proposals: list[Proposal] = []
        self.description = ""
        self.pairs = 0
        self.tokens = 0
        self.seconds = 0.0
        self._keys: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Append a scored solution; train entries make its key count as seen."""
        if entry.split == "train":
            self._keys.add(entry.solution.key)
            self.entries.append(entry)
            self.pairs += entry.score.n
            best = self.reference
            if not entry.partial and (best is None or entry.score.value > best.score.value):
                self.reference = entry
        else:
            self.held_out.append(entry)

    def reject(self, rejection: Rejection) -> None:
        """Append a rejection."""
        self.rejections.append(rejection)

    def expect(self, solutions: Iterable[Solution]) -> None:
        """Have solutions count as seen before they are scored.

        Those that can't be scored stay seen, so that they are not tried again.
        """
        self._keys.update(solution.key for solution in solutions)

    def seen(self, solution: Solution) -> bool:
        """Whether this solution was scored on train, or tried and found impossible to score."""
        return solution.key in self._keys

    def estimate(self, entry: Entry) -> float:
        """A train score on all rows: what it is, or for a part of them what it is likely to be.

        The part is compared with the reference on the same rows, so that easy or hard ones among
        them mislead nobody: the reference's whole score plus the difference there (the difference
        estimator of survey sampling), within [0, 1]. Entries scored on different parts can be
        ranked by it.
        """
        score, best = entry.score, self.reference
        if score.rows is None or best is None:
            return score.value
        there = float(best.score.values[score.rows].mean(dtype=np.float64))
        return min(1.0, max(0.0, best.score.value + score.value - there))

    def top(self, k: int, exploration: float = 0.0, among: Among = "standing") -> list[Entry]:
        """The k best train entries by their estimates, best first; of equals the earlier one is
        better.

        A solution scored twice counts once, as it was scored last.

        Args:
            k: how many.
            exploration: what an entry's similarity to those before it costs per unit: of two
                near-duplicates the first stays, and the next best of another kind comes before the
                second.
            among: "standing" leaves out what races dropped, "whole" also what was not scored on all
            rows.
        """
        entries = list({entry.solution.key: entry for entry in self.entries}.values())
        if among != "all":
            entries = [entry for entry in entries if not entry.dropped]
        if among == "whole":
            entries = [entry for entry in entries if not entry.partial]

        def cost(entry: Entry) -> float:
            return exploration * entry.similarity - self.estimate(entry)

        return sorted(entries, key=cost)[:k]

    def recent(self, k: int) -> list[Entry]:
        """The last k train entries, oldest first."""
        return self.entries[-k:] if k else []

    def best_by_step(self) -> list[float]:
        """The best train score known after each step, from step 0 on; what races dropped doesn't
        count.
        """
        best: list[float] = []
        for entry in self.entries:
            # Steps that scored nothing leave the best as it was.
            missing = entry.step + 1 - len(best)
            best += (best[-1:] or [-np.inf]) * missing
            if not entry.dropped:
                best[-1] = max(best[-1], self.estimate(entry))
        return best

    def share_wrong(self, entries: Sequence[Entry], examples: int) -> np.ndarray:
        """For each train example the share of the entries scored on it that earned less than 1;
        shape (examples,).

        0 where none of them was scored.
        """
        wrong, asked = np.zeros(examples), np.zeros(examples)
        for entry in entries:
            rows = slice(None) if entry.score.rows is None else entry.score.rows
            wrong[rows] += entry.score.values < 1
            asked[rows] += 1
        return wrong / np.maximum(asked, 1)

    def gains(self) -> dict[str, list[float]]:
        """What the proposals of each operator gained on their parents, in order, by its name.

        At least 0, and 0 for those that came to nothing or still wait when others of their step are
        scored. Proposals of steps that were not scored yet are left out.
        """
        last = {entry.solution.key: entry for entry in self.entries}
        step = self.entries[-1].step if self.entries else 0
        gains: dict[str, list[float]] = {}
        for proposal in self.proposals:
            scored = last.get(proposal.key or "")
            if proposal.parent is None or (proposal.key and not scored and proposal.step > step):
                continue
            gain = self.estimate(scored) - self.estimate(proposal.parent) if scored else 0.0
            gains.setdefault(proposal.operator, []).append(max(0.0, gain))
        return gains

    def count_costs(self, batches: Batches) -> Batches:
        """Pass batches through to whoever answers them, and count what the answers cost.

        Returns what the generator returns.
        """
        try:
            batch = next(batches)
            while True:
                result = yield batch
                self.seconds += result.seconds
                for completion in result.completions:
                    self.tokens += completion.prompt_tokens + completion.completion_tokens
                batch = batches.send(result)
        except StopIteration as end:
            return end.value

    def digest(self) -> str:
        """64 hex digits over solutions, scores and order, on every split."""
        return chained(fingerprint(entry) for entry in (*self.entries, *self.held_out))


def fingerprint(entry: Entry) -> str:
    """Canonical JSON of what an entry says, the per-example values included as a digest."""
    values = hashlib.sha256(
        np.ascontiguousarray(entry.score.values, dtype="<f4").tobytes()
    ).hexdigest()
    score = entry.score
    # An entry scored on all rows says nothing of rows, so that digests of stored runs stay.
    part = [] if score.rows is None else [score.rows.tolist(), entry.dropped]
    place = [entry.split, entry.step, entry.position, entry.solution.key]
    counts = [score.n, score.failures, score.truncated]
    return json.dumps([*place, repr(score.value), *counts, values, *part])


def chained(fingerprints: Iterable[str]) -> str:
    """64 hex digits over fingerprints in their order."""
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()
