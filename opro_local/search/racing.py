"""Racing: which solutions need no more rows, and how many rows come next.

For: the evidence that a solution is not the best, and the decision to stop scoring it. Not for:
asking a model (schedules/), or saying how large a difference is (stats.py).

The train split is a fixed list of numbers for every solution; what is random is the order in which
a race draws its rows, anew in every step. So nothing is assumed about rows or scores but that they
lie in [0, 1], and the guarantee is about the very choice that full scoring would make: a solution
with the best mean on all rows of the split, among those of its race and the incumbent, is dropped
with a chance of at most `alpha`, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from opro_local.types import Score

# Shares of the largest stake that can't go broke. The bettor splits its money between them: the
# small ones win on narrow leads with many exceptions, the large ones on wide leads with few.
SHARES = np.array([0.2, 0.5, 0.8])

# Half of the weight of evidence lies on the incumbent, the best of all steps so far: it is the
# likeliest to beat.
INCUMBENT = 0.5

# Shares of the rows after which a race of halves drops the worse half; so a quarter of the
# solutions see all rows, and the race costs half of them.
LOOKS = (1 / 4, 1 / 2)


def evidence(gaps: np.ndarray, total: int) -> np.ndarray:
    """The evidence that the sum of `gaps` over all rows of the split is above zero.

    A bet on each row in turn, drawn without replacement (Waudby-Smith and Ramdas 2020, "Confidence
    sequences for sampling without replacement"). If the whole sum is at most zero, then what is
    left averages at most -lead / left, so a stake on "the next gap is above that" wins nothing on
    average: the money that starts at 1 is a non-negative supermartingale, and by Ville's inequality
    ever reaches 1 / alpha with a chance of at most alpha.

    Args:
        gaps: shape (..., n), each in [-1, 1], in the order drawn; NaN from where one of the two was
        no longer scored.
        total: rows in the split, at least n.

    Returns:
        Shape (...,), 0 or above; infinite where the rest of the rows can't turn the lead any more.
    """
    unknown = np.isnan(gaps)
    known = np.where(unknown, 0.0, gaps)
    lead = np.cumsum(known, axis=-1)
    fair = -(lead - known) / (total - np.arange(gaps.shape[-1]))
    # A stake of 1 / (1 + fair) loses everything on a gap of -1; any smaller one is as fair.
    win = np.where(unknown, 0.0, (known - fair) / np.maximum(1 + fair, 1e-3))
    with np.errstate(over="ignore", under="ignore"):
        money = np.multiply.reduce(1 + SHARES[:, *[None] * gaps.ndim] * win, axis=-1).mean(axis=0)
    certain = lead[..., -1] > total - (~unknown).sum(axis=-1) + 1e-6
    return np.where(certain, np.inf, money)


def beaten(values: np.ndarray, incumbent: np.ndarray, total: int, alpha: float) -> np.ndarray:
    """Which solutions of a race are not the best, by what was scored so far.

    For each solution the evidence of all its rivals is averaged with weights that are fixed
    beforehand. While the solution is the best, each of them is a supermartingale, and so is their
    average, whatever they have to do with each other: one threshold, 1 / alpha, holds for all
    rivals and all looks together. It is met at the latest where a Bonferroni correction for the
    rivals would meet it.

    Args:
        values: shape (solutions, n), each in [0, 1], columns in the order drawn; NaN from where a
        solution was dropped.
        incumbent: shape (n,), the scores of the best solution of earlier steps on the same rows.
        total: rows in the split.
        alpha: the chance to drop a solution although it is the best.

    Returns:
        Shape (solutions,), bool; true for those dropped before.
    """
    out = np.isnan(values[:, -1])
    alive = ~out
    rivals = np.vstack([values, incumbent])
    # Shape (alive, rivals, n): by how much each rival is ahead of each solution, row by row.
    gaps = rivals[None] - values[alive, None]
    against = (evidence(gaps, total) * _weights(len(values))[alive]).sum(axis=1)
    out[alive] = against >= 1 / alpha
    return out


def halved(figures: np.ndarray) -> np.ndarray:
    """Which solutions of a race are not in the better half of those that are left (sequential
    halving).

    No test stands behind it: half are dropped, whatever the scores. It pays where rows are few and
    candidates many.

    Args:
        figures: shape (solutions,), what each earned so far; NaN for those dropped.

    Returns:
        Shape (solutions,), bool; true for those dropped before. Of equals the earlier ones stay.
    """
    out = np.isnan(figures)
    left = np.flatnonzero(~out)
    order = left[np.argsort(-figures[left], kind="stable")]
    out[order[(len(left) + 1) // 2 :]] = True
    return out


def _weights(solutions: int) -> np.ndarray:
    """Shape (solutions, solutions + 1), rows sum to 1: each rival's share, the incumbent last,
    oneself 0.
    """
    if solutions == 1:
        return np.array([[0.0, 1.0]])
    others = (1 - np.eye(solutions)) * (1 - INCUMBENT) / (solutions - 1)
    return np.hstack([others, np.full((solutions, 1), INCUMBENT)])


def block(solutions: int, left: int, prompts: int) -> int:
    """How many rows come next: enough for `prompts` prompts together, and all that are left rather
    than a short rest.

    Args:
        solutions: how many are still in the race.
        left: rows not drawn yet, at least 1.
        prompts: what keeps the engine full.
    """
    rows = -(-prompts // solutions)
    return rows if left - rows >= rows / 2 else left


def part(done: int, total: int) -> int:
    """How many rows come next in a race of halves: up to the next look, or all that are left."""
    looks = (math.ceil(share * total) for share in LOOKS)
    return next((look for look in looks if look > done), total) - done


def cost(solutions: int, total: int) -> int:
    """How many pairs of a solution and a row a race of halves scores, of solutions that can all be
    scored.
    """
    pairs = done = 0
    while done < total:
        rows = part(done, total)
        pairs, done, solutions = pairs + solutions * rows, done + rows, (solutions + 1) // 2
    return pairs


def joined(parts: Sequence[Score], order: np.ndarray) -> Score:
    """The scores of one solution on consecutive blocks as one score.

    Args:
        parts: at least one; their values follow `order`.
        order: shape (total,), the positions of all rows of the split in the order drawn.

    Returns:
        The score on all rows of the split, or on those scored, with its values in the split's
        order.
    """
    values = np.concatenate([part.values for part in parts])
    drawn = order[: len(values)]
    metrics = parts[0].metrics
    if metrics:
        metrics = {
            name: sum(part.metrics[name] * part.n for part in parts) / len(values)
            for name in metrics
        }
    measures = [part.measure for part in parts if part.measure is not None]
    ascending = np.argsort(drawn)
    measure = measures[0].joined(measures[1:]).on(ascending) if measures else None
    return Score(
        float(values.mean(dtype=np.float64)) if measure is None else measure.value(),
        values[ascending],
        sum(part.failures for part in parts),
        sum(part.truncated for part in parts),
        sum(part.tokens for part in parts),
        metrics,
        None if len(values) == len(order) else np.sort(drawn),
        measure=measure,
    )
