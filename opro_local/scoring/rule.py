"""What a scoring rule is: how an answer is read, what a row expects, and what the one earns against
the other.

For: the types every rule shares. Not for: any rule of its own (rules.py and its neighbours).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opro_local.programs.expression import Expression
from opro_local.scoring.reading.thoughts import spoken
from opro_local.types import Example

FAILED = math.nan

Verdict = Callable[[str, Any], float]
Review = Callable[[str, Any], tuple[float, str]]
Change = Callable[[str], str | None]


def says_nothing(gold: Any) -> bool:
    """Whether a target was read as nothing, or as more than one thing (NaN), so that no answer to
    it can be right.

    A gold that is a tuple begins with what was read; the rest is what it is read with, such as the
    options.
    """
    said = gold[0] if isinstance(gold, tuple) else gold
    return said is None or (isinstance(said, float) and math.isnan(said))


class Verdicts(NamedTuple):
    """What answers earned, shapes (n,).

    Attributes:
        values: in [0, 1], float32.
        failed: failed extractions, bool; they earn 0.
        strict: what the answers earn when only marked ones count, in [0, values], float32; None
            where the rule knows no marks.
        agreement: 1 where a judge and the rule it is compared with agree, else 0, float32; None
        without a judge.
        remarks: what a user's function says of each answer, "" for nothing; empty where the rule
            says nothing of any.
    """

    values: np.ndarray
    failed: np.ndarray
    strict: np.ndarray | None
    agreement: np.ndarray | None = None
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scorer:
    """A rule with the targets of one set of examples, read once."""

    verdict: Verdict
    golds: list[Any]
    strict: Verdict | None = None
    review: Review | None = None

    def score(self, answers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Score k answers to each of the n examples.

        Args:
            answers: k * n answers, the examples in order and repeating k times.

        Returns:
            Values in [0, 1], float32, shape (k * n,), and which of them are failed extractions,
            bool, same shape.
        """
        values = self._earned(self.verdict, answers)
        failed = np.isnan(values)
        values[failed] = 0
        return values, failed

    def both(self, answers: Sequence[str]) -> Verdicts:
        """`score` and the strict values in one pass: an answer is read a second time only where it
        is not marked.
        """
        if self.review is not None:
            return self._reviewed(self.review, answers)
        if self.strict is None:
            return Verdicts(*self.score(answers), None)
        strict = self._earned(self.strict, answers)
        values = strict.copy()
        # Where the strict reader reads, the other one reads the same (see Rule.strict).
        for index in np.flatnonzero(np.isnan(strict)).tolist():
            values[index] = self.verdict(answers[index], self.golds[index % len(self.golds)])
        failed = np.isnan(values)
        return Verdicts(
            np.nan_to_num(values, copy=False), failed, np.nan_to_num(strict, copy=False)
        )

    def _reviewed(self, review: Review, answers: Sequence[str]) -> Verdicts:
        """`both` with what a user's function says of each answer; it is called once for each."""
        reviews = list(map(review, answers, self._golds_of(answers)))
        values = np.array([value for value, _ in reviews], np.float32)
        failed = np.isnan(values)
        values[failed] = 0
        return Verdicts(values, failed, None, remarks=tuple(remark for _, remark in reviews))

    def _golds_of(self, answers: Sequence[str]) -> list[Any]:
        """The gold of each answer."""
        rounds, rest = divmod(len(answers), len(self.golds) or 1)
        if rest:
            raise ValueError(
                f"{len(answers)} answers are no multiple of {len(self.golds)} examples"
            )
        return self.golds * rounds

    def _earned(self, verdict: Verdict, answers: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(verdict, answers, self._golds_of(answers)), np.float32, len(answers))


@dataclass(frozen=True, slots=True)
class Rule:
    """How answers are scored.

    Attributes:
        name: one of `choosing.RULES`.
        extract: what an answer says in the rule's own normal form, or None when it says nothing
        clear.
        gold: what an example expects, in the form `verdict` compares with (see says_nothing for one
        that can't be met).
        verdict: what an answer earns against a gold, in [0, 1]; NaN for a failed extraction.
        strict: the same for a reader that trusts only an answer marked as such (see marks.py) and
            fails on others. What it reads, `verdict` reads too. None for rules without the notion.
        extract_for: `extract` for one example's gold, where what an answer says depends on it (the
        texts of options).
        source: the file with the user's own function; None where the rule is ours.
        review: `verdict` with a remark on the answer, "" for none; None for rules that make none.
        expressions: the user's regular expressions that it reads with.
    """

    name: str
    extract: Callable[[str], str | None]
    gold: Callable[[Example], Any]
    verdict: Verdict
    strict: Verdict | None = None
    extract_for: Callable[[str, Any], str | None] | None = None
    source: Path | None = None
    expressions: tuple[Expression, ...] = ()
    review: Review | None = None

    def notices(self) -> list[str]:
        """What the user should know of the rule after it was used, such as answers that an
        expression took too long on.
        """
        return [line for expression in self.expressions for line in expression.notices()]

    def prepare(self, examples: Sequence[Example]) -> Scorer:
        """Read the targets of the examples, once for all answers to come."""
        golds = [self.gold(example) for example in examples]
        return Scorer(self.verdict, golds, self.strict, self.review)

    def score(
        self, answers: Sequence[str], examples: Sequence[Example]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values in [0, 1], float32, and failures, bool; one each per answer (see Scorer.score)."""
        return self.prepare(examples).score(answers)

    def parsed(self, answer: str, example: Example) -> str | None:
        """What the answer says in the rule's own normal form, read as an answer to this example."""
        if self.extract_for is None:
            # The gold may be costly to read, and most rules don't need it for this.
            return self.extract(answer)
        return self.extract_for(answer, self.gold(example))

    def after_thoughts(self) -> Rule:
        """The same rule for whole replies: it reads what follows a reply's thoughts (see
        reading/thoughts.py), and a thought that did not end is a failed extraction.
        """
        return self.after(spoken)

    def after(self, change: Change) -> Rule:
        """The same rule for what this function makes of an answer; None is a failed extraction."""
        extract_for = self.extract_for and _changed_for(self.extract_for, change)
        strict = self.strict and _changed_verdict(self.strict, change)
        return replace(
            self,
            extract=_changed(self.extract, change),
            verdict=_changed_verdict(self.verdict, change),
            strict=strict,
            extract_for=extract_for,
            review=self.review and _changed_review(self.review, change),
        )

    def read(self, answer: str, gold: Any) -> str | None:
        """`parsed` for an example whose gold is at hand."""
        return self.extract(answer) if self.extract_for is None else self.extract_for(answer, gold)


def _changed(extract: Callable[[str], str | None], change: Change) -> Callable[[str], str | None]:
    def read(reply: str) -> str | None:
        answer = change(reply)
        return None if answer is None else extract(answer)

    return read


def _changed_for(
    extract: Callable[[str, Any], str | None], change: Change
) -> Callable[[str, Any], str | None]:
    def read(reply: str, gold: Any) -> str | None:
        answer = change(reply)
        return None if answer is None else extract(answer, gold)

    return read


def _changed_review(review: Review, change: Change) -> Review:
    def judge(reply: str, gold: Any) -> tuple[float, str]:
        answer = change(reply)
        return (FAILED, "") if answer is None else review(answer, gold)

    return judge


def _changed_verdict(verdict: Verdict, change: Change) -> Verdict:
    def judge(reply: str, gold: Any) -> float:
        answer = change(reply)
        return FAILED if answer is None else verdict(answer, gold)

    return judge
