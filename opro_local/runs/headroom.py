"""Whether the wording of an instruction makes a difference on a task, before a long search.

For: a verdict on the evaluation of varied instructions. Not for: running that evaluation
(plans/evaluation.py), or saying how much a search will gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.run_result import RunResult

# The p-value under which instructions are taken to differ.
SIGNIFICANT = 0.05
# From this share of answers on that can't be read, or were cut, the words say so.
DOUBTFUL_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Headroom:
    """Whether instructions make a difference here.

    Attributes:
        verdict: "yes", "no sign of it" or "nothing left to gain".
        spread: best minus worst.
        gain: best minus the first seed, less the optimism of picking the best.
        p_value: of "all do equally well".
        unread: the share of answers from which nothing could be extracted.
        truncated: the share cut short.
        majority_share: what always answering the largest class would score; None where answers are
            no classes.
        constant: the prompts, by number from 1, that always give one answer.
        words: the verdict in plain sentences.
    """

    verdict: str
    spread: float
    gain: float
    p_value: float | None
    unread: float
    truncated: float
    majority_share: float | None = None
    constant: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As docs/evaluate.md shows it."""
        return {
            "verdict": self.verdict,
            "spread": self.spread,
            "gain": self.gain,
            "p_value": self.p_value,
            "unread": self.unread,
            "truncated": self.truncated,
            "majority_share": self.majority_share,
            "constant": list(self.constant),
            "words": list(self.words),
        }


def headroom(result: RunResult) -> Headroom:
    """Whether instructions make a difference, from an evaluation of varied ones on train.

    Raises:
        TypeError: it is the result of a search.
    """
    if result.evaluation is None:
        raise TypeError(f"{result.name} is not the result of an evaluation")
    return _headroom(result.evaluation)


def _headroom(outcome: EvaluationOutcome) -> Headroom:
    prompts, p_value = [prompt.figures for prompt in outcome.prompts], outcome.equal_p_value
    scores, n = [prompt.value for prompt in prompts], prompts[0].n
    if scores[0] >= 1 - 1 / n:
        verdict = "nothing left to gain"
    elif p_value is not None and p_value < SIGNIFICANT:
        verdict = "yes"
    else:
        verdict = "no sign of it"
    figures = Headroom(
        verdict=verdict,
        spread=max(scores) - min(scores),
        gain=max(0.0, max(scores) - scores[0] - outcome.optimism),
        p_value=p_value,
        unread=sum(prompt.extraction_failures for prompt in prompts) / (n * len(prompts)),
        truncated=sum(prompt.truncated for prompt in prompts) / (n * len(prompts)),
        majority_share=prompts[0].classes.majority_share if prompts[0].classes else None,
        constant=tuple(
            prompt.number
            for prompt in outcome.prompts
            if prompt.figures.classes and prompt.figures.classes.always is not None
        ),
    )
    words = (
        *_headroom_words(figures, scores, n),
        *_class_words(figures, max(prompt.accuracy for prompt in prompts)),
        *_unread_words(figures),
    )
    return replace(figures, words=words)


def _headroom_words(figures: Headroom, scores: Sequence[float], n: int) -> list[str]:
    p_value = figures.p_value
    test = "" if p_value is None else f" (Cochran's Q, p = {p_value:.2g})"
    first = (
        f"{len(scores)} varied instructions score from {100 * min(scores):.1f} to "
        f"{100 * max(scores):.1f} % on {n} train rows; the first seed {100 * scores[0]:.1f} %."
    )
    if figures.verdict == "nothing left to gain":
        second = (
            "The first seed answers all but at most one row: "
            "a search can't show a gain on these rows."
        )
    elif figures.verdict == "yes":
        second = (
            f"Headroom: yes. The wording matters beyond noise{test}; the best is "
            f"{100 * figures.gain:.1f} points above the first seed after correction for luck."
        )
    else:
        second = (
            f"Headroom: no sign of it. The differences are what {n} rows show by chance{test}: "
            "use more rows, another layout (task.position) or another model before a long search."
        )
    return [first, second]


def _class_words(figures: Headroom, best: float) -> list[str]:
    """What one answer to everything scores, and which prompts give it."""
    if figures.majority_share is None:
        return []
    share = 100 * figures.majority_share
    worth = "" if best > figures.majority_share else ": no prompt does better"
    lines = [f"Always answering the largest class would score {share:.1f} %{worth}."]
    if figures.constant:
        numbers = ", ".join(map(str, figures.constant))
        lines.append(
            f"Prompts that always give one answer: {numbers}. They tell no classes apart; "
            'task.metric = "balanced_accuracy" or "macro_f1" counts every class.'
        )
    return lines


def _unread_words(figures: Headroom) -> list[str]:
    if figures.unread < DOUBTFUL_SHARE:
        return []
    cut = ""
    if figures.truncated > DOUBTFUL_SHARE:
        cut = f"; {100 * figures.truncated:.0f} % were cut at the token limit"
    return [
        f"{100 * figures.unread:.0f} % of the answers could not be read{cut}: name the expected "
        "answers in the seed, check task.rule, or raise scorer.max_tokens."
    ]
