"""Alarms: what the answers of the first scored batch say about the set-up, not about the prompt.

For: answers that can't be read, are cut, or are all the same, with three of them and what to do.
Not for: raising an alarm (runs/events.py), or the figures of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opro_local.records import entries
from opro_local.scoring.reading.thoughts import UNFINISHED
from opro_local.types import Completion, Example

# The share of answers above which they are alarming, and the fewest answers that say so.
SHARE, FEWEST = 0.5, 4
FEWEST_EQUAL = 8
EXAMPLES = 3
SHOWN = 120  # characters of an answer

# Rules whose answers `scorer.constrain = "labels"` can hold to the classes.
CONSTRAINED_RULES = ("labels", "boolean", "choice")
CONSTRAIN = 'hold answers to the labels (scorer.constrain = "labels")'


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is wrong with how the answers are asked for or read.

    Attributes:
        kind: "unread", "cut" or "equal".
        text: what is wrong, in a sentence.
        examples: up to three answers as they were given, with their targets and what was read.
        advice: what to do.
    """

    kind: str
    text: str
    examples: tuple[str, ...]
    advice: str

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it for people, one line each."""
        return (f"ALARM: {self.text}", *(f"  {one}" for one in self.examples), f"  {self.advice}")

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "kind": self.kind,
            "text": self.text,
            "examples": list(self.examples),
            "advice": self.advice,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Alarm:
        """What `to_json` wrote."""
        return cls(record["kind"], record["text"], entries(record["examples"]), record["advice"])


@dataclass(frozen=True, slots=True)
class FirstBatch:
    """The first scored answers.

    Attributes:
        rows: that were asked, in order.
        answers: by solution, then by row.
        failed: shape (answers,), bool: nothing could be read.
        read: what the rule reads in the answer at a place.
        rule: its name.
        max_tokens: new tokens that an answer had.
    """

    rows: Sequence[Example]
    answers: Sequence[Completion]
    failed: np.ndarray
    read: Callable[[int], str | None]
    rule: str
    max_tokens: int

    def alarms(self) -> tuple[Alarm, ...]:
        """What is alarming; often nothing."""
        count = len(self.answers)
        if count < FEWEST:
            return ()
        cut = np.array([answer.finish_reason == "length" for answer in self.answers])
        if cut.mean() > SHARE:
            return (self._cut(cut),)
        if self.failed.mean() > SHARE:
            return (self._unread(),)
        return self._equal()

    def _cut(self, cut: np.ndarray) -> Alarm:
        thoughts = sum(answer.text == UNFINISHED for answer in self.answers)
        if 2 * thoughts > cut.sum():
            return self._unfinished(thoughts, cut)
        unread = int((cut & self.failed).sum())
        text = (
            f"{cut.sum()} of the first {len(cut)} answers were cut at {self.max_tokens} tokens, "
            f"{unread} of them could not be read."
        )
        advice = f"Raise scorer.max_tokens (now {self.max_tokens}), or ask for short answers"
        if self.rule in CONSTRAINED_RULES:
            advice += f", or {CONSTRAIN}"
        return Alarm("cut", text, self._examples(np.flatnonzero(cut)), f"{advice}.")

    def _unfinished(self, thoughts: int, cut: np.ndarray) -> Alarm:
        text = (
            f"{thoughts} of the first {len(cut)} answers are thoughts that did not end within "
            "their tokens; nothing is read in them."
        )
        advice = (
            "Raise scorer.thinking_tokens, which are for the thought (scorer.max_tokens, now "
            f"{self.max_tokens}, are for the answer after it), or ask for short thoughts."
        )
        return Alarm("cut", text, self._examples(np.flatnonzero(cut)), advice)

    def _unread(self) -> Alarm:
        text = (
            f"{self.failed.sum()} of the first {len(self.failed)} answers could not be read by the "
            f"rule {self.rule}; they score 0."
        )
        advice = "Name the expected answers in the prompt, or set another task.rule"
        if self.rule in CONSTRAINED_RULES:
            advice += f", or {CONSTRAIN}"
        return Alarm("unread", text, self._examples(np.flatnonzero(self.failed)), f"{advice}.")

    def _equal(self) -> tuple[Alarm, ...]:
        """Of the first solution alone: another may well differ from it."""
        rows = len(self.rows)
        if rows < FEWEST_EQUAL or len({row.target.strip() for row in self.rows}) < 2:
            return ()
        said = {self.read(place) for place in range(rows)}
        if len(said) > 1 or None in said:
            return ()
        text = f"All {rows} answers to the first prompt say the same, {said.pop()!r:.80}."
        advice = (
            "The prompt or the model tells no rows apart: look at one row as it is asked "
            "(opro-local tasks show), try another task.position or another model."
        )
        return (Alarm("equal", text, self._examples(np.arange(rows)), advice),)

    def _examples(self, places: np.ndarray) -> tuple[str, ...]:
        return tuple(self._example(int(place)) for place in places[:EXAMPLES])

    def _example(self, place: int) -> str:
        row, answer = self.rows[place % len(self.rows)], self.answers[place].text
        shown = answer if len(answer) <= SHOWN else f"{answer[:SHOWN]}..."
        said = None if self.failed[place] else self.read(place)
        read = "nothing" if said is None else repr(said[:60])
        return f"{row.where}: {shown!r} (read: {read}; target {row.target[:60]!r})"
