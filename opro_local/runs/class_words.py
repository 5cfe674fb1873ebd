"""What a result says of its classes: the largest, and prompts that do what one answer would do.

For: sentences at the end of a run, in `show` and in the report. Not for: the figures themselves
(figures.py), or the verdict on two prompts (result.py).
"""

from __future__ import annotations

from opro_local.runs.figures import ConstantFigures, SplitResult
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.scoring.classes import ClassFigures
from opro_local.stats import Difference

# From this share of the rows on that get one answer, it is asked whether the prompt does more than
# to give it.
NEARLY_ALL = 0.95
BY_CLASS = 'task.metric = "balanced_accuracy" or "macro_f1" counts every label alike.'


def level(alpha: float) -> str:
    """What a result's intervals are called: "95 % interval"."""
    return f"{100 * (1 - alpha):.6g} % interval"


def points(difference: Difference, alpha: float) -> str:
    """A difference in points, with its interval and p-value."""
    low, high = (round(100 * bound, 1) for bound in difference.interval)
    return (
        f"difference {100 * difference.value:+.1f} points, {level(alpha)} {low:+} to {high:+}, "
        f"p = {difference.p_value:.2g}"
    )


def constant_verdict_words(constant: ConstantFigures, alpha: float) -> str:
    """That a gain over the first prompt is none over one answer to every row."""
    gap = "" if constant.difference is None else f": {points(constant.difference, alpha)}"
    return (
        f" It gains on the first prompt, and not reliably on always answering {constant.answer!r}"
        f"{gap}."
    )


def class_words(outcome: SearchOutcome, is_more: bool) -> list[str]:
    """The largest class, what one answer to every row would earn, and what of the two prompts does
    about that.

    Args:
        outcome: of a search.
        is_more: whether the best prompt is reliably better than one answer to every row.
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
    usual, count = best.usual
    is_one = best.always is not None
    if is_one or (count >= NEARLY_ALL * best.rows and not is_more):
        others = "tells no classes apart" if is_one else "tells hardly any classes apart"
        lines.append(
            f"The best prompt answers {usual!r} to {count} of {best.rows} {split} rows, as a "
            f"constant answer would: it {others}."
        )
        if sides.best.metric is None:
            lines.append(BY_CLASS)
    return lines


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
