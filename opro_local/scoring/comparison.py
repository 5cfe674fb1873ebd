"""How sure a score is, and the difference between two, by whatever the search optimizes.

For: intervals and paired tests of scores on the same rows: those of stats.py where a score is the
mean of its rows, and a stratified bootstrap with a permutation test where it is a figure of them
all. Not for: the figures (metrics.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from opro_local import stats
from opro_local.scoring.label_bias import LEAST_SHARE, LabelFit
from opro_local.scoring.metrics import OTHER, ClassifiedRows
from opro_local.stats import Difference
from opro_local.types import Score

RESAMPLES, PERMUTATIONS = 2000, 9999
EXACT_ROWS = 13  # rows that differ, up to which all permutations are tried
AT_ONCE = 500  # resamples of all rows: what limits the memory


def rows_of(score: Score) -> ClassifiedRows | None:
    """The rows that a figure is made of; None where the score is their mean."""
    return score.measure if isinstance(score.measure, ClassifiedRows) else None


def interval(score: Score, alpha: float) -> tuple[float, float]:
    """The confidence interval of a score's value; for a figure of all rows by a stratified
    bootstrap (see `_spread`).

    Args:
        score: of at least one row.
        alpha: 1 - the confidence level.
    """
    rows = rows_of(score)
    if isinstance(score.measure, LabelFit):
        return score.measure.interval(alpha)
    if rows is None:
        return stats.mean_interval(score.values, alpha)
    low, high = _around(score.value, _spread(rows, None), alpha)
    return max(rows.low, low), min(1.0, high)


def difference(better: Score, base: Score, alpha: float = 0.05) -> Difference:
    """The difference between two scores on the same rows.

    A figure of all rows: its interval is that of a paired bootstrap, stratified by class; its
    p-value that of swapping the two answers to every row on which they differ, at random, or in all
    ways where there are few such rows.

    Args:
        better, base: of the same rows in the same order.
        alpha: 1 - the confidence level.
    """
    first, second = rows_of(better), rows_of(base)
    if first is None or second is None:
        return stats.paired_difference(better.values, base.values, alpha)
    value = better.value - base.value
    bounds = _around(value, _spread(first, second), alpha)
    return Difference(value, bounds, _swapped_p_value(first, second, value))


def pooled(scores: Sequence[Score]) -> float:
    """The value on the rows of several scores together; of labels that were read, how probable the
    right ones are.
    """
    shares = [_right_share(score) for score in scores]
    if all(share is not None for share in shares):
        counts = [score.n for score in scores]
        logs = np.log([max(share or 0.0, LEAST_SHARE) for share in shares])
        return float(np.exp(np.average(logs, weights=counts)))
    first, *others = map(rows_of, scores)
    if first is None:
        return float(np.concatenate([score.values for score in scores]).mean(dtype=np.float64))
    return first.joined([other for other in others if other is not None]).value()


def tied(value: float) -> float:
    """A value without its last digits, in which sums of the same fractions in another order differ;
    equal for values that say the same.
    """
    return float(f"{value:.12g}")


def _right_share(score: Score) -> float | None:
    """The geometric mean of the right labels' probabilities; None where answers were read."""
    if isinstance(score.measure, LabelFit):
        return score.measure.value()
    return score.metrics.get("probability")


def optimism_of_best(scores: Sequence[Score]) -> float:
    """How much the best of several scores on the same rows overstates itself, see stats."""
    values = np.stack([score.values for score in scores])
    rows = [own for own in map(rows_of, scores) if own is not None]
    if len(rows) < len(scores):
        return stats.optimism_of_best(values)
    k, n = values.shape
    return stats.optimism_by_halves(
        lambda weights: np.stack([own.values(weights) for own in rows], axis=1), k, n
    )


def _around(value: float, spread: float, alpha: float) -> tuple[float, float]:
    from scipy import stats as scipy_stats

    half = float(scipy_stats.norm.ppf(1 - alpha / 2)) * spread
    return value - half, value + half


def _spread(first: ClassifiedRows, second: ClassifiedRows | None) -> float:
    """The standard error of a figure, or of the difference between two, by a bootstrap that draws
    as many rows of each class as there are.

    Two rows are added to each class that are drawn with the others: one that the first answered
    right and the second wrong, and one the other way around. So answers that are all right, or
    never differ, are not taken for certain, and a class of few rows is known as little as it is
    (as Bonett and Price add them to a difference of shares, and Agresti and Coull to a share).
    """
    golds = first.golds
    present = np.unique(golds)
    right, wrong = np.stack([present, np.full_like(present, OTHER)])
    added = np.concatenate([present, present])
    first_rows = first.joined([replace(first, golds=added, answers=np.concatenate([right, wrong]))])
    rng = np.random.default_rng(0)
    figures = []
    for _ in range(RESAMPLES // AT_ONCE):
        weights = _drawn(first_rows.golds, golds, rng)
        values = first_rows.values(weights)
        if second is not None:
            others = replace(second, golds=added, answers=np.concatenate([wrong, right]))
            values = values - second.joined([others]).values(weights)
        figures.append(values)
    return float(np.concatenate(figures).std())


def _drawn(items: np.ndarray, golds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How often each item is drawn; shape (AT_ONCE, items), for each class as many as it has rows.

    Args:
        items: the classes of what is drawn from.
        golds: the classes of the rows.
        rng: the source of chance.
    """
    weights = np.zeros((AT_ONCE, len(items)), np.float32)
    for code in np.unique(items):
        own = np.flatnonzero(items == code)
        chances = np.full(len(own), 1 / len(own))
        weights[:, own] = rng.multinomial(int((golds == code).sum()), chances, AT_ONCE)
    return weights


def _swapped_p_value(first: ClassifiedRows, second: ClassifiedRows, value: float) -> float:
    """The two-sided p-value of "the two answers to a row might as well be each other's"."""
    differing = np.flatnonzero(first.answers != second.answers)
    rows, given = first.indicators()
    _, other = second.indicators()
    totals = rows.sum(axis=0)
    moved = (other - given)[differing]
    moved_right = moved * rows[differing]
    right, other_right = (rows * given).sum(axis=0), (rows * other).sum(axis=0)
    swaps = _swaps(len(differing))
    up, up_right = swaps @ moved, swaps @ moved_right
    everywhere = np.broadcast_to(totals, up.shape)
    gaps = first.figures(everywhere, right + up_right, given.sum(axis=0) + up)
    gaps -= first.figures(everywhere, other_right - up_right, other.sum(axis=0) - up)
    extreme = int((np.abs(gaps) >= abs(value) - 1e-9).sum())
    if len(differing) <= EXACT_ROWS:
        return extreme / len(swaps)
    return (extreme + 1) / (len(swaps) + 1)


def _swaps(rows: int) -> np.ndarray:
    """Which rows are swapped; shape (permutations, rows), 0 or 1."""
    if rows <= EXACT_ROWS:
        return (np.arange(2**rows)[:, None] >> np.arange(rows) & 1).astype(float)
    return np.random.default_rng(0).integers(0, 2, (PERMUTATIONS, rows)).astype(np.float32)
