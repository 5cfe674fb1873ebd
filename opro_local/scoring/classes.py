"""How each class of a labelled task fares: what its rows were answered with, and what follows.

For: the confusion matrix of a prompt's answers, recall, precision and F1 of every class, the
largest class, and a prompt that always gives one answer. Not for: reading answers (reading/), or
comparing two prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FAIR_PART = 0.5  # of a fair share of the rows, below which a class is rare


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The rows of one class: one line of the confusion matrix.

    Attributes:
        rows: how many have this target.
        answers: what was read in their answers, and how often, most frequent first.
        unread: answers from which nothing could be read.
        right: rows that were answered right.
        claimed: rows of any class that were answered with this one.
    """

    rows: int
    answers: Mapping[str, int]
    unread: int
    right: int
    claimed: int

    @property
    def recall(self) -> float:
        """Of its rows, the share that was answered right."""
        return self.right / self.rows

    @property
    def precision(self) -> float:
        """Of the answers with this class, the share that was right; 0 where there is none."""
        return self.right / self.claimed if self.claimed else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision: 2 right / (rows + claimed)."""
        return 2 * self.right / (self.rows + self.claimed)

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "rows": self.rows,
            "right": self.right,
            "recall": self.recall,
            "precision": self.precision,
            "f1": self.f1,
            "answers": dict(self.answers),
            "unread": self.unread,
            "claimed": self.claimed,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ClassCounts:
        """What `to_json` wrote."""
        if not record["rows"]:
            raise ValueError("a class without rows")
        return cls(
            rows=record["rows"],
            answers=record["answers"],
            unread=record["unread"],
            right=record["right"],
            claimed=record["claimed"],
        )


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """What a prompt's answers came to, by class.

    Attributes:
        classes: the counts of every class that rows have, by its name, the largest first.
    """

    classes: Mapping[str, ClassCounts]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(own.rows for own in self.classes.values())

    @property
    def majority(self) -> str:
        """The largest class; of equals the one whose row comes first."""
        return next(iter(self.classes))

    @property
    def majority_share(self) -> float:
        """Its part of the rows: what answering it every time would score."""
        return self.classes[self.majority].rows / self.rows

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the classes' recalls."""
        return sum(own.recall for own in self.classes.values()) / len(self.classes)

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1."""
        return sum(own.f1 for own in self.classes.values()) / len(self.classes)

    @property
    def unread(self) -> int:
        """Answers from which nothing could be read."""
        return sum(own.unread for own in self.classes.values())

    @property
    def is_uneven(self) -> bool:
        """Whether the smallest class has less than half of a fair share of the rows."""
        least = min(own.rows for own in self.classes.values())
        return least * len(self.classes) < FAIR_PART * self.rows

    @property
    def usual(self) -> tuple[str, int]:
        """The answer that most rows were given, and how many; ("", 0) where nothing was read."""
        given: Counter[str] = Counter()
        for own in self.classes.values():
            given.update(own.answers)
        return max(given.items(), key=lambda pair: pair[1], default=("", 0))

    @property
    def always(self) -> str | None:
        """The one answer that the prompt gives whatever it is asked; None where it gives several,
        where most of its answers can't be read, or where all rows have one target.
        """
        given = {answer for own in self.classes.values() for answer in own.answers}
        if len(given) != 1 or len(self.classes) < 2 or 2 * self.unread >= self.rows:
            return None
        return given.pop()

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "counts": {name: own.to_json() for name, own in self.classes.items()},
            "majority": self.majority,
            "majority_share": self.majority_share,
            "always": self.always,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ClassFigures:
        """What `to_json` wrote."""
        counts = {name: ClassCounts.from_json(own) for name, own in record["counts"].items()}
        if not counts:
            raise ValueError("no classes")
        return cls(counts)


def class_figures(targets: Sequence[str], parsed: Sequence[str | None]) -> ClassFigures:
    """What answers came to, by class.

    Args:
        targets: of n rows, at least one, each named as its class is called.
        parsed: what was read in each answer, called as the classes are; None where nothing was.
    """
    claimed = Counter(answer for answer in parsed if answer is not None)
    answers: dict[str, Counter[str | None]] = {}
    for target, answer in zip(targets, parsed, strict=True):
        answers.setdefault(target, Counter())[answer] += 1
    # Sorting keeps the order of equals.
    largest_first = sorted(answers, key=lambda name: -answers[name].total())
    return ClassFigures(
        {name: _counts(name, answers[name], claimed[name]) for name in largest_first}
    )


def _counts(name: str, answers: Counter[str | None], claimed: int) -> ClassCounts:
    read = {answer: count for answer, count in answers.most_common() if answer is not None}
    return ClassCounts(
        rows=answers.total(),
        answers=read,
        unread=answers[None],
        right=answers[name],
        claimed=claimed,
    )
