"""Scored solutions in the order they came, and the questions a search asks of them.

For: an append-only record; nothing in it is ever changed or removed, so whoever watches it reads
only its tail. What is asked in every step (the best, the gains, who was wrong) is kept as entries
come and not worked out anew, so that step 5,000 costs about what step 50 did. Not for: rendering,
storing, or deciding what to do next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from opro_local.search.ranking import Ranking
from opro_local.search.tallies import Gains, WrongCounts
from opro_local.types import Batches, Rejection, Score, Solution, Split

Among = Literal["standing", "whole", "all"]
NOT_SCORED = -1


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


@dataclass(slots=True)
class Shortening:
    """Proposals that were over the limit of characters or words.

    Attributes:
        asked: how many were to be said in fewer words.
        usable: how many of them became solutions.
    """

    asked: int = 0
    usable: int = 0


class Trajectory:
    """All entries, rejections and costs of one search.

    Attributes:
        entries: solutions scored on train, in order; one scored again on more rows is there twice.
        reference: the best entry scored on all of train, of equals the first; None before there is
        any.
        held_out: solutions scored on validation or test, in order.
        rejections: replies that did not become solutions, in order.
        written: how often a reply became a solution of a step after 0, by its text: the first two
            different texts, for all that is asked is whether there is more than one.
        proposals: where solutions came from, in order; empty in the mode opro, which has one
            operator only.
        shortening: counts proposals that were asked for again in fewer words.
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
        self.written: dict[str, int] = {}
        self.shortening = Shortening()
        self.description = ""
        self.pairs = 0
        self.tokens = 0
        self.seconds = 0.0
        # Where each key stands in `_distinct`; NOT_SCORED for what was only tried.
        self._places: dict[str, int] = {}
        self._distinct: list[Entry] = []
        self._has_partial = False
        self._revision = 0
        self._rankings: dict[tuple[Among, float], Ranking] = {}
        self._best: list[float] = []
        self._best_taken = 0
        self._gains = Gains()
        self._wrong: WrongCounts | None = None
        self._wrong_taken = 0
        self._reference_on = (np.empty(0, int), 0.0)  # rows, and what the reference earned there

    @property
    def revision(self) -> int:
        """Changes whenever what was derived from earlier entries has to be derived anew: one was
        scored again, or estimates moved with the reference.
        """
        return self._revision

    @property
    def distinct(self) -> Sequence[Entry]:
        """Each solution's last entry, in the order in which solutions were first scored."""
        return self._distinct

    def add(self, entry: Entry) -> None:
        """Append a scored solution; train entries make its key count as seen."""
        if entry.split != "train":
            self.held_out.append(entry)
            return
        self.entries.append(entry)
        self.pairs += entry.score.n
        self._has_partial |= entry.partial
        self._place(entry)
        best = self.reference
        if not entry.partial and (best is None or entry.score.value > best.score.value):
            self.reference = entry
            self._reference_on = (np.empty(0, int), 0.0)
            if self._has_partial:
                self._forget()
        waiting = self._gains.waiting(entry.solution.key)
        late = [self._gain(self.proposals[number], entry) for number in waiting]
        self._gains.settle_late(entry.solution.key, late)

    def _place(self, entry: Entry) -> None:
        """Have the entry stand for its solution."""
        key = entry.solution.key
        place = self._places.get(key, NOT_SCORED)
        if place == NOT_SCORED:
            self._places[key] = len(self._distinct)
            self._distinct.append(entry)
        else:
            self._distinct[place] = entry
            self._forget()

    def _forget(self) -> None:
        """Have everything that was derived from earlier entries be derived anew when it is asked
        for.
        """
        self._revision += 1
        self._rankings.clear()
        self._best.clear()
        self._best_taken = 0
        self._gains.clear()

    def reject(self, rejection: Rejection) -> None:
        """Append a rejection."""
        self.rejections.append(rejection)

    def count_written(self, reply: str) -> None:
        """Count a reply that became a solution."""
        text = reply.strip()
        if text in self.written or len(self.written) < 2:
            self.written[text] = self.written.get(text, 0) + 1

    def expect(self, solutions: Iterable[Solution]) -> None:
        """Have solutions count as seen before they are scored.

        Those that can't be scored stay seen, so that they are not tried again.
        """
        for solution in solutions:
            self._places.setdefault(solution.key, NOT_SCORED)

    def seen(self, solution: Solution) -> bool:
        """Whether this solution was scored on train, or tried and found impossible to score."""
        return solution.key in self._places

    def scored_in(self, step: int, split: Split = "train") -> int:
        """How many entries of a split a step has, the last or a later one."""
        if split != "train":
            return sum(entry.split == split and entry.step == step for entry in self.held_out)
        count = 0
        while count < len(self.entries) and self.entries[-1 - count].step == step:
            count += 1
        return count

    def estimate(self, entry: Entry) -> float:
        """A train score on all rows: what it is, or for a part of them what it is likely to be.

        The part is compared with the reference on the same rows, so that easy or hard ones among
        them mislead nobody: the reference's whole score plus the difference there (the difference
        estimator of survey sampling), within what it can be. Entries scored on different parts can
        be ranked by it.
        """
        score, best = entry.score, self.reference
        if score.rows is None or best is None:
            return score.value
        # The solutions of a race share their rows, so the same ones are mostly asked for again.
        rows, there = self._reference_on
        if rows is not score.rows:
            there = best.score.value_on(score.rows)
            self._reference_on = (score.rows, there)
        low = 0.0 if score.measure is None else score.measure.low
        return min(1.0, max(low, best.score.value + score.value - there))

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
        return [self._distinct[place] for place in self._ranking(among, exploration).first(k)]

    def order(self, among: Among) -> np.ndarray:
        """The order of `top` as places in `distinct`; shape (n,)."""
        return self._ranking(among, 0.0).whole()

    def _ranking(self, among: Among, exploration: float) -> Ranking:
        """The ranking that `top` describes, with all entries in it."""
        ranking = self._rankings.setdefault((among, exploration), Ranking())
        places, costs = [], []
        for place in range(ranking.taken, len(self._distinct)):
            entry = self._distinct[place]
            if _is_among(entry, among):
                places.append(place)
                costs.append(exploration * entry.similarity - self.estimate(entry))
        ranking.extend(places, costs)
        ranking.taken = len(self._distinct)
        return ranking

    def recent(self, k: int) -> list[Entry]:
        """The last k train entries, oldest first."""
        return self.entries[-k:] if k else []

    def best_by_step(self) -> Sequence[float]:
        """The best train score known after each step, from step 0 on; what races dropped doesn't
        count.
        """
        best = self._best
        for place in range(self._best_taken, len(self.entries)):
            entry = self.entries[place]
            # Steps that scored nothing leave the best as it was.
            missing = entry.step + 1 - len(best)
            best += (best[-1:] or [-np.inf]) * missing
            if not entry.dropped:
                best[-1] = max(best[-1], self.estimate(entry))
        self._best_taken = len(self.entries)
        return best

    def share_wrong(self, examples: int, entries: Sequence[Entry] | None = None) -> np.ndarray:
        """For each train example the share of the entries scored on it that earned less than 1;
        shape (examples,).

        0 where none of them was scored.

        Args:
            examples: how many there are; the same for all calls.
            entries: which entries; None for all of the trajectory.
        """
        if entries is not None:
            counts = WrongCounts(examples)
            for entry in entries:
                counts.add(entry.score)
            return counts.share()
        if self._wrong is None:
            self._wrong = WrongCounts(examples)
        for place in range(self._wrong_taken, len(self.entries)):
            self._wrong.add(self.entries[place].score)
        self._wrong_taken = len(self.entries)
        return self._wrong.share()

    def gains(self) -> Mapping[str, Sequence[float]]:
        """What the proposals of each operator gained on their parents, in order, by its name.

        At least 0, and 0 for those that came to nothing or still wait when others of their step are
        scored. Proposals of steps that were not scored yet are left out.
        """
        step = self.entries[-1].step if self.entries else 0
        gains = self._gains
        while gains.taken < len(self.proposals) and self.proposals[gains.taken].step <= step:
            proposal = self.proposals[gains.taken]
            scored = self._scored(proposal)
            if proposal.parent is None:
                gains.leave_out()
            else:
                waits_for = proposal.key if scored is None else None
                gains.settle(proposal.operator, self._gain(proposal, scored), waits_for)
        later = []
        for proposal in self.proposals[gains.taken :]:
            scored = self._scored(proposal)
            if proposal.parent and (scored or not proposal.key):
                later.append((proposal.operator, self._gain(proposal, scored)))
        return gains.together_with(later)

    def _scored(self, proposal: Proposal) -> Entry | None:
        """The entry of the solution that came of a proposal, where there is one."""
        place = self._places.get(proposal.key or "", NOT_SCORED)
        return None if place == NOT_SCORED else self._distinct[place]

    def _gain(self, proposal: Proposal, scored: Entry | None) -> float:
        if scored is None or proposal.parent is None:
            return 0.0
        return max(0.0, self.estimate(scored) - self.estimate(proposal.parent))

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


def _is_among(entry: Entry, among: Among) -> bool:
    """Whether `Trajectory.top` ranks the entry where it is asked for these."""
    if among == "all":
        return True
    return not entry.dropped and not (among == "whole" and entry.partial)


def fingerprint(entry: Entry) -> str:
    """Canonical JSON of what an entry says, the per-example values included as a digest."""
    values = hashlib.sha256(
        np.ascontiguousarray(entry.score.values, dtype="<f4").tobytes()
    ).hexdigest()
    score = entry.score
    # An entry scored on all rows says nothing of rows, so that digests of stored runs stay.
    part: list[Any] = [] if score.rows is None else [score.rows.tolist(), entry.dropped]
    # Nor does one whose value is the mean of its rows say what that is.
    if score.measure is not None:
        part.append({"metric": score.measure.name, "accuracy": score.accuracy})
    place = [entry.split, entry.step, entry.position, entry.solution.key]
    counts = [score.n, score.failures, score.truncated]
    return json.dumps([*place, repr(score.value), *counts, values, *part])


def chained(fingerprints: Iterable[str]) -> str:
    """64 hex digits over fingerprints in their order."""
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()
