"""What an evaluation comes to: every instruction's figures, and every pair compared row by row.

For: the result of `evaluate` as a typed structure, its JSON and its plain words. Not for: what is
asked (plans/evaluation.py), single answers (evaluated_rows.py), or choosing an instruction: whoever
picks the best of this table picks luck as well, and the table says how much.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from opro_local import stats
from opro_local.records import entries
from opro_local.runs.figures import (
    FORMER_ALPHA,
    ClassesOf,
    ConstantFigures,
    ConstantOf,
    Figures,
    constant_figures,
    demonstrations_to_json,
    difference_from_json,
    difference_to_json,
    figures_of,
    no_classes,
    no_constant,
)
from opro_local.runs.winner import Winner
from opro_local.scoring import comparison
from opro_local.search.loop import SearchResult
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.stats import Difference
from opro_local.types import Score, Split


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """One given instruction and what it earned.

    Attributes:
        number: its place in the order given, from 1.
        text: the instruction.
        demonstrations: the ids of its worked examples.
        figures: what it earned.
        tokens: prompt and completion tokens spent on it.
    """

    number: int
    text: str
    demonstrations: tuple[str, ...]
    figures: Figures
    tokens: int

    def to_json(self) -> dict[str, Any]:
        """As docs/evaluate.md shows it."""
        return {
            "prompt": self.number,
            "text": self.text,
            **demonstrations_to_json(self.demonstrations),
            **self.figures.to_json(),
            "tokens": self.tokens,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PromptFigures:
        """What `to_json` wrote."""
        named = ("prompt", "text", "demonstrations", "tokens")
        figures = {name: value for name, value in record.items() if name not in named}
        return cls(
            number=record["prompt"],
            text=record["text"],
            demonstrations=entries(record.get("demonstrations", ())),
            figures=Figures.from_json(figures),
            tokens=record["tokens"],
        )


@dataclass(frozen=True, slots=True)
class PairDifference:
    """Two prompts compared on the same rows.

    Attributes:
        a, b: their numbers; a is the smaller one.
        difference: b minus a.
        p_holm: the p-value, corrected for the number of pairs.
    """

    a: int
    b: int
    difference: Difference
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """As docs/evaluate.md shows it."""
        pair = {"a": self.a, "b": self.b}
        return {**pair, **difference_to_json(self.difference), "p_holm": self.p_holm}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PairDifference:
        """What `to_json` wrote."""
        return cls(record["a"], record["b"], difference_from_json(record), record["p_holm"])


@dataclass(frozen=True, slots=True)
class EvaluationOutcome:
    """What an evaluation came to.

    Attributes:
        reason: why it ended.
        digest: 64 hex digits over all solutions, scores and their order.
        baseline: the text of the first prompt.
        best: the prompt with the highest score; of equals the one that takes fewer tokens.
        prompts: every prompt with its figures, in the order given.
        pairs: every pair of them.
        optimism: how much the best score is likely to overstate itself for being the best.
        equal_p_value: of "all do equally well"; None where there is one prompt, or scores are not
            0 or 1.
        smallest_difference: what is usually told from noise with so many rows, in [0, 1].
        alpha: 1 - the level of all intervals.
        split: the rows that were asked.
        constant: what one answer to every row would have earned; None where that says nothing.
        summary: what the table says, one sentence a line.
    """

    KIND: ClassVar[str] = "evaluation"

    reason: str
    digest: str
    baseline: str
    best: Winner
    prompts: tuple[PromptFigures, ...]
    pairs: tuple[PairDifference, ...]
    optimism: float
    equal_p_value: float | None
    smallest_difference: float
    alpha: float
    split: str
    summary: tuple[str, ...] = ()
    constant: ConstantFigures | None = None

    @property
    def steps(self) -> int:
        """An evaluation has no steps."""
        return 0

    @property
    def best_prompt(self) -> PromptFigures:
        """The figures of `best`."""
        named = [prompt for prompt in self.prompts if prompt.text == self.best.text]
        return max(named or self.prompts, key=lambda prompt: prompt.figures.value)

    def to_json(self) -> dict[str, Any]:
        """As docs/evaluate.md shows it."""
        return {
            "kind": self.KIND,
            "reason": self.reason,
            "digest": self.digest,
            "steps": self.steps,
            "solutions": len(self.prompts),
            "rejections": {},
            "baseline": {"text": self.baseline},
            "best": {"text": self.best.text, "key": self.best.key},
            "prompts": [prompt.to_json() for prompt in self.prompts],
            "pairs": [pair.to_json() for pair in self.pairs],
            "optimism": self.optimism,
            "equal_p_value": self.equal_p_value,
            "smallest_difference": self.smallest_difference,
            "alpha": self.alpha,
            "split": self.split,
            **({} if self.constant is None else {"constant": self.constant.to_json()}),
            "summary": list(self.summary),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> EvaluationOutcome:
        """What `to_json` wrote, among the other keys of a result."""
        prompts = tuple(map(PromptFigures.from_json, entries(record["prompts"])))
        if not prompts:
            raise ValueError("an evaluation of no prompts")
        constant = record.get("constant")
        return cls(
            reason=record["reason"],
            digest=record["digest"],
            baseline=record["baseline"]["text"],
            best=Winner.from_json(record["best"]),
            prompts=prompts,
            pairs=tuple(map(PairDifference.from_json, entries(record["pairs"]))),
            optimism=record["optimism"],
            equal_p_value=record["equal_p_value"],
            smallest_difference=record["smallest_difference"],
            alpha=record.get("alpha", FORMER_ALPHA),
            split=record["split"],
            summary=entries(record["summary"]),
            constant=None if constant is None else ConstantFigures.from_json(constant),
        )


def all_entries(trajectory: Trajectory) -> list[Entry]:
    """Every scored solution of an evaluation, whichever split it was scored on."""
    return [*trajectory.entries, *trajectory.held_out]


def best_of(entries: Sequence[Entry], is_thrifty: bool) -> Entry:
    """The entry with the highest score; of equals the one that takes fewer tokens, then the first.

    Args:
        entries: all prompts', scored on the same rows.
        is_thrifty: false takes the first of equals at once, as before `search.revision` 4.
    """

    def rank(entry: Entry) -> tuple[float, float]:
        if not is_thrifty:
            return entry.score.value, 0.0
        return comparison.tied(entry.score.value), -entry.score.cost

    return max(entries, key=rank)


def summarize(
    trajectory: Trajectory,
    ended: SearchResult,
    alpha: float,
    split: Split,
    classes_of: ClassesOf = no_classes,
    constant_of: ConstantOf = no_constant,
) -> EvaluationOutcome:
    """What an evaluation of prompts on a split came to.

    Args:
        trajectory: of the evaluation.
        ended: how it ended.
        alpha: 1 - the level of all intervals.
        split: the rows that were asked.
        classes_of: counts answers by class.
        constant_of: says what one answer to every row would earn.
    """
    entries = all_entries(trajectory)
    values = np.stack([entry.score.values for entry in entries])
    prompts = [
        PromptFigures(
            number=number,
            text=entry.solution.text,
            demonstrations=entry.solution.demonstrations,
            figures=figures_of(entry.score, alpha, classes_of(split, entry.score)),
            tokens=entry.score.tokens,
        )
        for number, entry in enumerate(entries, 1)
    ]
    constant = constant_of(split)
    outcome = EvaluationOutcome(
        reason=ended.reason,
        digest=trajectory.digest(),
        baseline=ended.baseline.text,
        best=Winner(ended.best.text, ended.best.key),
        prompts=tuple(prompts),
        pairs=pairs([entry.score for entry in entries], alpha),
        optimism=comparison.optimism_of_best([entry.score for entry in entries]),
        equal_p_value=_equal(values),
        smallest_difference=stats.smallest_difference(values.shape[1], alpha=alpha),
        alpha=alpha,
        split=split,
        constant=None if constant is None else constant_figures(constant),
    )
    return replace(outcome, summary=words(outcome))


def pairs(scores: Sequence[Score], alpha: float) -> tuple[PairDifference, ...]:
    """Every pair of prompts compared on the same rows; `p_holm` is corrected for their number.

    Args:
        scores: of the prompts.
        alpha: 1 - the level of intervals.
    """
    numbers = list(itertools.combinations(range(len(scores)), 2))
    if not numbers:
        return ()
    differences = [comparison.difference(scores[b], scores[a], alpha) for a, b in numbers]
    corrected = stats.holm(np.array([difference.p_value for difference in differences]))
    return tuple(
        PairDifference(a + 1, b + 1, difference, float(p))
        for (a, b), difference, p in zip(numbers, differences, corrected, strict=True)
    )


def _equal(values: np.ndarray) -> float | None:
    return stats.cochran_q(values) if len(values) > 1 and stats.is_binary(values) else None


def words(outcome: EvaluationOutcome) -> tuple[str, ...]:
    """What the table says and what it does not, one line each."""
    prompts, compared = outcome.prompts, outcome.pairs
    least = round(100 * outcome.smallest_difference)
    lines = [
        f"With {prompts[0].figures.n} rows, differences under about {least} points are usually "
        "not told from noise."
    ]
    if len(prompts) > 1:
        reliable = sum(pair.p_holm < outcome.alpha for pair in compared)
        lines.append(
            f"{reliable} of {len(compared)} pairs differ reliably "
            f"(paired tests, Holm's correction, p < {outcome.alpha:g})."
        )
        lines.append(
            f"Whoever picks the best of these {len(prompts)} should expect it to do "
            f"{100 * outcome.optimism:.1f} points worse on other rows."
        )
    return (*lines, *_class_words(outcome), *_judge_words(prompts))


def _class_words(outcome: EvaluationOutcome) -> list[str]:
    """The largest class, and the prompts that do no more than to answer it, or give one answer."""
    first = outcome.prompts[0].figures.classes
    if first is None:
        return []
    lines = [f"The largest class, {first.majority!r}, is {100 * first.majority_share:.1f} %."]
    lines += _constant_words(outcome)
    for prompt in outcome.prompts:
        classes = prompt.figures.classes
        if classes and classes.always is not None:
            lines.append(f"Prompt {prompt.number} always gives one answer, {classes.always!r}.")
    return lines


def _constant_words(outcome: EvaluationOutcome) -> list[str]:
    """The prompts that one answer to every row is as good as."""
    constant = outcome.constant
    if constant is None:
        return []
    worse = [
        str(prompt.number)
        for prompt in outcome.prompts
        if comparison.tied(prompt.figures.value) <= comparison.tied(constant.value)
    ]
    if not worse:
        return []
    return [
        f"Always answering {constant.answer!r} would score {100 * constant.value:.1f}; prompts "
        f"that do no better: {', '.join(worse)}."
    ]


def _judge_words(prompts: Sequence[PromptFigures]) -> list[str]:
    metrics = [prompt.figures.metrics for prompt in prompts]
    agreement = [named["agreement"] for named in metrics if "agreement" in named]
    if not agreement:
        return []
    mean = sum(agreement) / len(agreement)
    doubt = "" if mean >= 0.9 else ": too little to trust the judge where the rule can be used"
    return [
        "The judge agrees with the rule that the targets suggest "
        f"on {100 * mean:.0f} % of the answers{doubt}."
    ]
