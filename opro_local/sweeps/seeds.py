"""What seeds tell: means and tests over them, and how far they alone move a figure.

For: the interval of a mean over seeds, and seed noise. Not for: which cells are averaged
(summary.py).

Seeds are what is repeated, so every interval and p-value is over seeds: what is averaged is one
mean a seed, over the same cells for each seed. Cells with one seed share their division of rows, so
that cells of one seed are not independent of each other. None of these intervals says how far
another task or other rows would move a figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local.sweeps.outcomes import Outcome

ALPHA = 0.05
ONE_SEED, ALL_ALIKE, NOT_ALIKE = (
    "one seed: no interval",
    "every seed has the same mean: no interval",
    "no two seeds have the same cells: no interval",
)
Level = tuple[str, ...]
Value = Callable[[Outcome], float]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds.

    Attributes:
        value: the mean.
        interval: Student's, at 95 %, over seeds; None without one.
        why: why there is no interval; "" where there is.
        seeds: how many were averaged.
        cells: how many.
        p_value: two-sided, of "the mean is 0"; None where one seed tells nothing of it.
    """

    value: float
    interval: tuple[float, float] | None
    why: str
    seeds: int
    cells: int
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """How far cells that differ in their seed alone lie apart.

    Attributes:
        deviation: the standard deviation over seeds, pooled over settings.
        interval: of it, at 95 %, by chi-square.
        degrees: of freedom: cells less settings.
        settings: how many were repeated with another seed.
    """

    deviation: float
    interval: tuple[float, float]
    degrees: int
    settings: int

    @property
    def usual_gap(self) -> float:
        """What two cells that differ in their seed alone stay below in 95 of 100 cases."""
        from scipy import stats as distributions

        quantile = float(distributions.t.ppf(1 - ALPHA / 2, self.degrees))
        return quantile * math.sqrt(2) * self.deviation


def settings_of(cell: Outcome) -> Level:
    """What a cell shares with those that differ in their seed alone."""
    return (cell.task, *cell.settings.values())


def mean_over_seeds(values: Sequence[tuple[Level, int, float]]) -> Mean | None:
    """The mean of cells, with an interval over seeds.

    Seeds that lack one of the settings are left out, as their mean would be of other cells; where
    every seed lacks one, all cells are averaged and there is no interval.

    Args:
        values: (settings, seed, value) of each cell.

    Returns:
        The mean; None where there are no values.
    """
    if not values:
        return None
    settings = {own for own, _, _ in values}
    by_seed: dict[int, dict[Level, float]] = {}
    for own, seed, value in values:
        by_seed.setdefault(seed, {})[own] = value
    whole = [list(row.values()) for row in by_seed.values() if row.keys() == settings]
    if not whole:
        mean = float(np.mean([value for _, _, value in values]))
        why = ONE_SEED if len(by_seed) == 1 else NOT_ALIKE
        return Mean(mean, None, why, len(by_seed), len(values))
    means = np.array([np.mean(row) for row in whole])
    mean, cells = float(means.mean()), len(whole) * len(settings)
    if len(whole) == 1:
        why = ONE_SEED if len(by_seed) == 1 else NOT_ALIKE
        return Mean(mean, None, why, 1, cells)
    return replace(_student(means), value=mean, cells=cells)


def _student(means: np.ndarray) -> Mean:
    """Student's interval and test of two or more means."""
    from scipy import stats as distributions

    n, mean = len(means), float(means.mean())
    if np.ptp(means) <= 1e-12 * max(1.0, float(np.abs(means).max())):
        # Without a spread only the signs say something: all of n are alike by chance 1 in 2^(n-1).
        p_value = 1.0 if abs(mean) <= 1e-12 else 2.0 ** (1 - n)
        return Mean(mean, None, ALL_ALIKE, n, n, p_value)
    tested = distributions.ttest_1samp(means, 0.0)
    low, high = tested.confidence_interval(1 - ALPHA)
    return Mean(mean, (float(low), float(high)), "", n, n, float(tested.pvalue))


def seed_noise(cells: Sequence[Outcome], value: Value) -> SeedNoise | None:
    """The standard deviation over seeds within otherwise equal cells, pooled; None where no
    settings have two seeds.
    """
    from scipy import stats as distributions

    by_settings: dict[Level, list[float]] = {}
    for cell in cells:
        by_settings.setdefault(settings_of(cell), []).append(value(cell))
    repeated = [np.array(own) for own in by_settings.values() if len(own) > 1]
    if not repeated:
        return None
    degrees = sum(len(own) - 1 for own in repeated)
    total = sum(float(((own - own.mean()) ** 2).sum()) for own in repeated)
    low, high = distributions.chi2.ppf([1 - ALPHA / 2, ALPHA / 2], degrees)
    interval = (math.sqrt(total / low), math.sqrt(total / high))
    return SeedNoise(math.sqrt(total / degrees), interval, degrees, len(repeated))
