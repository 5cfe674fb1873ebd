"""Intervals, paired tests and the sizes of differences that rows can show.

For: numbers that travel with their uncertainty, from scipy where it has them. Not for: printing or
deciding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MOST_RESAMPLED = 2000
RACED_AT_MOST = 400_000  # solutions times draws in a simulation of races: a fraction of a second
HALVED_AT_ONCE = 10  # of 400 draws: a long search has tens of thousands of solutions
PERMUTED_AT_ONCE = 200  # of 9,999 permutations: what limits the memory


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference, its confidence interval and the two-sided p-value of "there is none"."""

    value: float
    interval: tuple[float, float]
    p_value: float


def is_binary(values: np.ndarray) -> bool:
    """Whether every value is 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def mean_interval(values: np.ndarray, alpha: float = 0.05) -> tuple[float, float]:
    """The confidence interval of a mean score: Wilson for scores in [0, 1], bootstrap (BCa) for
    others.

    Args:
        values: shape (n,), n >= 1.
        alpha: 1 - the confidence level.
    """
    if ((values >= 0) & (values <= 1)).all():
        return share_interval(float(values.sum(dtype=float)), len(values), alpha)
    return _resampled_interval(values, alpha)


def share_interval(total: float, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Wilson's interval of the mean of n scores in [0, 1], whether they are 0 or 1 or graded.

    Of all scores in [0, 1] with one mean, 0 and 1 vary most: graded ones are covered at least about
    as often, and even one score or equal ones get no width of 0. Where they vary little it is wider
    than it had to be.

    Args:
        total: the sum of the scores, in [0, n].
        n: scores, at least 1.
        alpha: 1 - the confidence level.
    """
    from scipy import stats

    z = float(stats.norm.ppf(1 - alpha / 2))

    def lower(mean: float) -> float:
        return (
            2
            * n
            * mean**2
            / (2 * n * mean + z**2 + z * math.sqrt(z**2 + 4 * n * mean * (1 - mean)))
        )

    return lower(total / n), 1 - lower(1 - total / n)


def _resampled_interval(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """BCa; above 2,000 values the normal one, as BCa takes memory quadratic in n."""
    from scipy import stats

    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.min()), float(values.max())
    if len(values) > MOST_RESAMPLED:
        mean, half = (
            float(values.mean(dtype=float)),
            stats.norm.ppf(1 - alpha / 2) * stats.sem(values.astype(float)),
        )
        return max(float(values.min()), mean - half), min(float(values.max()), mean + half)
    low, high = stats.bootstrap(
        (values.astype(float),), np.mean, confidence_level=1 - alpha, rng=np.random.default_rng(0)
    ).confidence_interval
    return float(low), float(high)


def paired_difference(better: np.ndarray, base: np.ndarray, alpha: float = 0.05) -> Difference:
    """The mean of `better - base` over the same examples.

    0/1 values: exact McNemar test (binomial on the discordant pairs) and the interval of Bonett and
    Price (2012), which stays honest without discordant pairs. Other values: paired bootstrap and a
    sign-flip permutation test.

    Args:
        better, base: shape (n,), the same examples in the same order, n >= 1.
        alpha: 1 - the confidence level.
    """
    if is_binary(better) and is_binary(base):
        return _binary_difference(better > base, base > better, alpha)
    return _real_difference(better.astype(float) - base.astype(float), alpha)


def _binary_difference(gained: np.ndarray, lost: np.ndarray, alpha: float) -> Difference:
    from scipy import stats

    n, won, dropped = len(gained), int(gained.sum()), int(lost.sum())
    p_value = stats.binomtest(won, won + dropped).pvalue if won + dropped else 1.0
    up, down = (won + 1) / (n + 2), (dropped + 1) / (n + 2)
    half = stats.norm.ppf(1 - alpha / 2) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    low, high = max(-1.0, up - down - half), min(1.0, up - down + half)
    return Difference((won - dropped) / n, (float(low), float(high)), float(p_value))


def _real_difference(gaps: np.ndarray, alpha: float) -> Difference:
    from scipy import stats

    if len(gaps) < 2 or not gaps.any():
        return Difference(float(gaps.mean()), (float(gaps.min()), float(gaps.max())), 1.0)
    test = stats.permutation_test(
        (gaps, np.zeros_like(gaps)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        batch=PERMUTED_AT_ONCE,
        rng=np.random.default_rng(0),
    )
    return Difference(float(gaps.mean()), _resampled_interval(gaps, alpha), float(test.pvalue))


def smallest_difference(
    n: int, discordant: float = 0.2, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest paired difference in accuracy that n rows show with this power (arXiv
    2411.00640, section 3).

    Args:
        n: rows, at least 1.
        discordant: the share of rows on which two prompts differ; 0.17 to 0.23 was measured on
        GSM8K.
    """
    from scipy import stats

    factor = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(min(1.0, factor * math.sqrt(discordant / n)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values of m tests, adjusted by Holm's step-down method (1979): the chance of any false
    finding is controlled.

    Args:
        p_values: shape (m,), each in [0, 1].

    Returns:
        Adjusted p-values, shape (m,), in the order given, each in [0, 1].
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p_values, float)[order] * np.arange(m, 0, -1))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def cochran_q(values: np.ndarray) -> float:
    """The p-value of "all K prompts do equally well" from 0/1 scores on the same rows (Cochran
    1950; chi-square).

    Args:
        values: shape (K, n), K >= 2, each 0 or 1. With no row on which prompts differ the p-value
        is 1.
    """
    from scipy import stats

    k = len(values)
    by_prompt, by_row = values.sum(axis=1, dtype=float), values.sum(axis=0, dtype=float)
    spread = float((by_row * (k - by_row)).sum())
    if spread == 0:
        return 1.0
    q = k * (k - 1) * float(((by_prompt - by_prompt.mean()) ** 2).sum()) / spread
    return float(stats.chi2.sf(q, k - 1))


def optimism_to_expect(k: int, n: int, discordant: float = 0.2) -> float:
    """How far the best of K equally good prompts lies above their true accuracy, on average, by
    luck alone.

    The expected maximum of K standard normal deviates times the standard deviation of a prompt's
    own error: two prompts that differ on a share d of n rows have a difference of variance d / n,
    half of it each.

    Args:
        k: prompts the best is taken from, at least 1.
        n: rows they were scored on, at least 1.
        discordant: the share of rows on which two prompts differ; 0.17 to 0.23 was measured on
        GSM8K.
    """
    return expected_highest(k) * math.sqrt(discordant / (2 * n))


def luck_of_races(races: Sequence[Sequence[int]], rows: int) -> float:
    """How many times the luck of the best of those that races left is that of the best of as many
    that were scored on all rows without a race.

    Whoever lasts through a race was lucky on the rows of its looks already, and it is measured on
    those rows, too. Simulated with equally good solutions: at each look as many of the worst are
    dropped as were dropped there.

    Args:
        races: for each race how many rows each of its solutions was scored on; `rows` for those
            that lasted.
        rows: of the split.

    Returns:
        1 where nothing was dropped; else above 1.
    """
    lasted = sum(counts.count(rows) for counts in map(list, races))
    total = sum(map(len, races))
    if lasted < 2 or lasted == total:
        return 1.0
    draws = int(np.clip(RACED_AT_MOST / total, 20, 400))
    rng = np.random.default_rng(0)
    best = np.full(draws, -np.inf)
    for counts in races:
        best = np.maximum(best, _best_of_race(np.array(counts), rows, draws, rng))
    return max(1.0, float(best.mean()) * math.sqrt(rows) / expected_highest(lasted))


def _best_of_race(
    counts: np.ndarray, rows: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """The highest mean of those that last through a race of equals, row scores being standard
    normal; shape (draws,), -inf where none does.
    """
    sums = np.zeros((draws, len(counts)))
    done = 0
    for look in np.unique(counts):
        sums += rng.normal(0, math.sqrt(look - done), sums.shape)
        done = int(look)
        if look < rows:
            dropped = np.argsort(sums, axis=1)[:, : int((counts <= look).sum())]
            np.put_along_axis(sums, dropped, -np.inf, axis=1)
    if done < rows:
        return np.full(draws, -np.inf)
    best: np.ndarray = sums.max(axis=1) / rows
    return best


def share_of_noise(values: np.ndarray, means: np.ndarray, counts: np.ndarray) -> float:
    """How much of the variance between solutions that are scored on all rows is noise of the rows,
    in [0, 1] (analysis of variance: rows by solutions).

    Args:
        values: shape (K, n), the scores of some of them on all rows.
        means, counts: shape (M,), the mean of every solution, and of how many rows.
    """
    k, n = values.shape
    if k < 2 or n < 2:
        return 1.0
    own = values.mean(axis=1, dtype=float)
    rest = values - own[:, None] - values.mean(axis=0, dtype=float) + own.mean()
    of_a_row = float((rest**2).sum()) / ((k - 1) * (n - 1))
    between = max(0.0, float(means.var(ddof=1)) - of_a_row * float((1 / counts).mean()))
    return of_a_row / (of_a_row + n * between) if between else 1.0


def expected_highest(k: int) -> float:
    """The expected maximum of k standard normal deviates."""
    from scipy import integrate, stats

    upper, _ = integrate.quad(lambda x: 1 - stats.norm.cdf(x) ** k, 0, 12)
    lower, _ = integrate.quad(lambda x: stats.norm.cdf(x) ** k, -12, 0)
    return float(upper - lower)


def optimism_of_best(values: np.ndarray, draws: int = 400) -> float:
    """How much the best of K overstates itself on the rows it was chosen on, estimated by halving
    the rows.

    The best prompt on a random half is scored on the other half; what it loses there is the
    optimism of n / 2 rows, which is sqrt(2) times that of n. (A bootstrap of the rows would take
    the luck in the K scores for real
    differences: in simulations it finds two thirds of the optimism.) Near 0 where one prompt is far
    ahead.

    Args:
        values: shape (K, n), the scores of every prompt on the same rows, in [0, 1].
        draws: random halves.

    Returns:
        The optimism, 0 or above.
    """

    scores = values.T.astype(float)

    def means(weights: np.ndarray) -> np.ndarray:
        sums: np.ndarray = weights @ scores
        return sums / weights.sum(axis=1, keepdims=True)

    k, n = values.shape
    return optimism_by_halves(means, k, n, draws)


def optimism_by_halves(
    measure: Callable[[np.ndarray], np.ndarray], k: int, n: int, draws: int = 400
) -> float:
    """`optimism_of_best` for any figure of rows.

    Args:
        measure: from weights, shape (draws, n), each 0 or 1, to the figure of every prompt on the
            rows of weight 1, shape (draws, k).
        k: prompts.
        n: rows.
        draws: random halves.
    """
    if k < 2 or n < 4:
        return 0.0
    rng = np.random.default_rng(0)
    chosen = np.argsort(rng.random((draws, n)), axis=1) < n // 2
    losses = []
    for start in range(0, draws, HALVED_AT_ONCE):
        halves = chosen[start : start + HALVED_AT_ONCE]
        inside, outside = measure(halves), measure(~halves)
        at = np.arange(len(halves)), inside.argmax(axis=1)
        losses.append(inside[at] - outside[at])
    return max(0.0, float(np.concatenate(losses).mean()) / math.sqrt(2))
