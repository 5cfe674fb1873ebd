"""What a sweep comes to: means, paired comparisons, seed noise, the best of each task, its cost.

For: statistics over the finished cells of a sweep. Not for: reading them (outcomes.py), or showing
anything (report/).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local import stats
from opro_local.sweeps.factors import Factor, factors_of
from opro_local.sweeps.outcomes import Measure, Outcome
from opro_local.sweeps.seeds import (
    Level,
    Mean,
    SeedNoise,
    Value,
    mean_over_seeds,
    seed_noise,
    settings_of,
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a gain cost.

    Attributes:
        gain: best less baseline, summed over cells; of shares in percentage points.
        tokens, pairs, seconds: of these cells together.
    """

    gain: float
    tokens: int
    pairs: int
    seconds: float

    def per_gain(self, amount: float) -> float | None:
        """An amount for each unit (or point) gained; None where nothing was gained."""
        return amount / self.gain if self.gain > 0 else None


@dataclass(frozen=True, slots=True)
class LevelMeans:
    """The cells that have one level of a factor.

    Attributes:
        level: its values.
        planned: its cells, whatever they came to.
        baseline, best, gain: means; None where no cell is finished.
        cost: of the finished ones.
    """

    level: Level
    planned: int
    baseline: Mean | None
    best: Mean | None
    gain: Mean | None
    cost: Cost


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two levels of a factor, over pairs of cells with the same other settings and seed.

    Attributes:
        factor: which.
        first, second: the levels.
        pairs: how many.
        difference: first less second, in what the best prompt earned; None without a pair.
        adjusted: the p-value after Holm's correction over all comparisons of the sweep; None
            without a p-value.
    """

    factor: Factor
    first: Level
    second: Level
    pairs: int
    difference: Mean | None
    adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class Best:
    """The settings that did best on a task.

    Attributes:
        task: which.
        cells: the finished cells with these settings, one a seed.
        chosen_on: the split they were chosen on: validation where there is one, so that test
            chooses nothing.
        chosen_by: the mean there.
        baseline, best: means of what is compared, on test where there is one.
        among: how many settings were finished.
        lead: how far the next ones are behind, on the split they were chosen on; None without any.
        noise: the seed noise there; None where no settings were repeated.
    """

    task: str
    cells: tuple[Outcome, ...]
    chosen_on: str
    chosen_by: float
    baseline: Mean
    best: Mean
    among: int
    lead: float | None
    noise: SeedNoise | None


@dataclass(frozen=True, slots=True)
class MeasureSummary:
    """What the cells with figures of one measure come to.

    Attributes:
        measure: which.
        cells: the finished ones.
        factors: what varies among them.
        levels: the means of each factor's levels, in the order of `factors`.
        comparisons: every two levels of each factor.
        noise: None where no settings were repeated with another seed.
        best: of each task.
        cost: of all.
    """

    measure: Measure
    cells: tuple[Outcome, ...]
    factors: tuple[Factor, ...]
    levels: tuple[tuple[LevelMeans, ...], ...]
    comparisons: tuple[Comparison, ...]
    noise: SeedNoise | None
    best: tuple[Best, ...]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sweep comes to.

    Attributes:
        measures: one a measure, as figures of two are not averaged.
        left_out: the cells that are in no figure: not finished, failed, or without figures.
        tests: how many comparisons were corrected for together.
    """

    measures: tuple[MeasureSummary, ...]
    left_out: tuple[Outcome, ...]
    tests: int


def summarize(cells: Sequence[Outcome]) -> Summary:
    """The statistics of a sweep.

    Args:
        cells: all of them, in order.
    """
    counted = [cell for cell in cells if cell.is_counted]
    measures = sorted({cell.measure for cell in counted if cell.measure is not None})
    summaries = [
        _of_measure(one, [cell for cell in counted if cell.measure == one], cells)
        for one in measures
    ]
    corrected, tests = _corrected(summaries)
    return Summary(tuple(corrected), tuple(one for one in cells if not one.is_counted), tests)


def _of_measure(
    measure: Measure, cells: Sequence[Outcome], every: Sequence[Outcome]
) -> MeasureSummary:
    # A cell that has no figures yet may come to be of any measure.
    own = [cell for cell in every if cell.measure in (measure, None) or not cell.is_counted]
    factors = factors_of(own)
    comparisons = [
        _compare(factor, first, second, cells)
        for factor in factors
        for first, second in itertools.combinations(factor.levels, 2)
    ]
    return MeasureSummary(
        measure=measure,
        cells=tuple(cells),
        factors=tuple(factors),
        levels=tuple(_levels(factor, cells, own) for factor in factors),
        comparisons=tuple(comparisons),
        noise=seed_noise(cells, best_value),
        best=tuple(_best(task, cells) for task in dict.fromkeys(cell.task for cell in cells)),
        cost=cost_of(cells),
    )


def best_value(cell: Outcome) -> float:
    """What a cell's best prompt earned."""
    return cell.sides.best.value


def _baseline_value(cell: Outcome) -> float:
    return cell.sides.baseline.value


def _gain(cell: Outcome) -> float:
    return cell.sides.gain


def _levels(
    factor: Factor, cells: Sequence[Outcome], planned: Sequence[Outcome]
) -> tuple[LevelMeans, ...]:
    means = []
    for level in factor.levels:
        own = [cell for cell in cells if factor.level_of(cell) == level]
        baseline, best, gain = (
            mean_over_seeds([(settings_of(cell), cell.seed, value(cell)) for cell in own])
            for value in (_baseline_value, best_value, _gain)
        )
        count = sum(factor.level_of(cell) == level for cell in planned)
        means.append(LevelMeans(level, count, baseline, best, gain, cost_of(own)))
    return tuple(means)


def _compare(factor: Factor, first: Level, second: Level, cells: Sequence[Outcome]) -> Comparison:
    sides: list[dict[tuple[Level, int], float]] = []
    for level in (first, second):
        own = [cell for cell in cells if factor.level_of(cell) == level]
        sides.append({(factor.others_of(cell), cell.seed): best_value(cell) for cell in own})
    gaps = [
        (others, seed, value - sides[1][others, seed])
        for (others, seed), value in sides[0].items()
        if (others, seed) in sides[1]
    ]
    return Comparison(factor, first, second, len(gaps), mean_over_seeds(gaps))


def _corrected(summaries: Sequence[MeasureSummary]) -> tuple[list[MeasureSummary], int]:
    """The summaries with Holm's correction over all their comparisons, and how many there are."""
    p_values = [
        one.difference.p_value
        for summary in summaries
        for one in summary.comparisons
        if one.difference is not None and one.difference.p_value is not None
    ]
    adjusted = iter(stats.holm(np.array(p_values)).tolist())
    corrected = []
    for summary in summaries:
        comparisons = []
        for one in summary.comparisons:
            has_test = one.difference is not None and one.difference.p_value is not None
            comparisons.append(replace(one, adjusted=next(adjusted)) if has_test else one)
        corrected.append(replace(summary, comparisons=tuple(comparisons)))
    return corrected, len(p_values)


def _best(task: str, every: Sequence[Outcome]) -> Best:
    cells = [cell for cell in every if cell.task == task]
    on_validation = all("validation" in cell.splits for cell in cells)
    measure = cells[0].measure
    assert measure is not None  # they are counted
    split = "validation" if on_validation else measure.split

    def chosen_value(cell: Outcome) -> float:
        return cell.splits[split].best.value

    by_settings: dict[Level, list[Outcome]] = {}
    for cell in cells:
        by_settings.setdefault(settings_of(cell), []).append(cell)
    means = {
        settings: float(np.mean([chosen_value(cell) for cell in own]))
        for settings, own in by_settings.items()
    }
    first, *others = sorted(means, key=lambda settings: -means[settings])
    own = by_settings[first]
    return Best(
        task=task,
        cells=tuple(own),
        chosen_on=split,
        chosen_by=means[first],
        baseline=_mean(own, _baseline_value),
        best=_mean(own, best_value),
        among=len(means),
        lead=means[first] - means[others[0]] if others else None,
        noise=seed_noise(cells, chosen_value),
    )


def _mean(cells: Sequence[Outcome], value: Value) -> Mean:
    mean = mean_over_seeds([(settings_of(cell), cell.seed, value(cell)) for cell in cells])
    assert mean is not None
    return mean


def cost_of(cells: Sequence[Outcome]) -> Cost:
    """What cells gained and cost together; all of one measure."""
    shares = any(cell.measure is not None and cell.measure.shares for cell in cells)
    unit = 100.0 if shares else 1.0
    return Cost(
        gain=unit * sum(cell.sides.gain for cell in cells),
        tokens=sum(cell.tokens for cell in cells),
        pairs=sum(cell.pairs for cell in cells),
        seconds=sum(cell.seconds for cell in cells),
    )
