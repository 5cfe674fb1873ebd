"""What a result says of its classes: the largest, and prompts that do what one answer would do.

For: sentences at the end of a run, in `show` and in the report. Not for: the figures themselves
(figures.py), or the verdict on two prompts (result.py).
"""

from __future__ import annotations

from opro_local.runs.difference_words import points
from opro_local.runs.figures import ConstantFigures, SplitResult
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.scoring.classes import ClassFigures
from opro_local.scoring.verdicts import NO_MORE_THAN_CONSTANT

# From this share of the rows on that get one answer, it is asked what becomes of the others.
NEARLY_ALL = 0.95
BY_CLASS = 'task.metric = "balanced_accuracy" or "macro_f1" counts every label alike.'


def constant_verdict_words(constant: ConstantFigures, alpha: float) -> str:
    """That a gain over the first prompt is none over one answer to every row."""
    gap = "" if constant.difference is None else f": {points(constant.difference, alpha)}"
    return (
        f" It gains on the first prompt, and not reliably on always answering {constant.answer!r}"
        f"{gap}."
    )


def class_words(outcome: SearchOutcome) -> list[str]:
    """The largest class, what one answer to every row would earn, and what of the two prompts does
    little else than to give one.
    """
    if outcome.classified is None:
        return []
    split, sides = outcome.classified
    best = sides.best.classes
    if best is None:
        return []
    lines = [_largest(split, sides, best)]
    if sides.baseline.classes and sides.baseline.classes.always is not None:
        lines.append(one_answer_words("The baseline prompt", sides.baseline.classes))
    alike = _alike(split, best)
    lines += alike
    is_no_more = bool(alike) or outcome.verdict == NO_MORE_THAN_CONSTANT
    if is_no_more and sides.best.metric is None and best.is_uneven:
        lines.append(BY_CLASS)
    return lines


def _alike(split: str, best: ClassFigures) -> list[str]:
    """That the best prompt gives nearly all rows one answer, and is wrong on most of the others."""
    usual, count = best.usual
    own = best.classes.get(usual)
    others = best.rows - (own.rows if own else 0)
    right = sum(one.right for one in best.classes.values()) - (own.right if own else 0)
    is_alike = best.always is not None
    if not is_alike and (count < NEARLY_ALL * best.rows or 2 * right >= others):
        return []
    return [
        f"The best prompt answers {usual!r} to {count} of {best.rows} {split} rows, as a constant "
        f"answer would, and is right on {right} of the {others} rows with another label."
    ]


def _largest(split: str, sides: SplitResult, best: ClassFigures) -> str:
    """The largest class, and what always answering it would score."""
    largest = (
        f"The largest class, {best.majority!r}, is {100 * best.majority_share:.1f} % of the "
        f"{split} rows"
    )
    constant = sides.constant
    if sides.best.metric is None or constant is None:
        worth = "always answering it would score so much."
        if sides.best.accuracy <= best.majority_share:
            worth = "always answering it would do no worse than the best prompt."
        return f"{largest}: {worth}"
    worth = f"would score {100 * constant.value:.1f} in {sides.best.metric.name}"
    if sides.best.value <= constant.value:
        worth += ", no worse than the best prompt"
    return f"{largest}: always answering {constant.answer!r} {worth}."


def one_answer_words(prompt: str, classes: ClassFigures) -> str:
    """That a prompt gives one answer only; `prompt` begins the sentence."""
    return f"{prompt} always gives one answer, {classes.always!r}: it tells no classes apart."
