"""Statistics of a sweep: known answers, what is never averaged, and what chance does alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import cell, outcomes, unfinished
from scipy import stats

from opro_local.errors import UsageError
from opro_local.sweeps.factors import factors_of
from opro_local.sweeps.outcomes import text_of
from opro_local.sweeps.seeds import (
    ALL_ALIKE,
    NOT_ALIKE,
    ONE_SEED,
    mean_over_seeds,
    seed_noise,
)
from opro_local.sweeps.summary import best_value, summarize

ORDER = "search.order"


def grid(values, **own):
    """Cells of `values[order][seed]`."""
    return [
        cell({ORDER: order, "run.seed": seed}, best, **own)
        for order, row in values.items()
        for seed, best in enumerate(row)
    ]


def test_means_differences_and_noise_are_those_of_a_hand_calculation():
    rows = {"up": [0.80, 0.84, 0.82, 0.86], "random": [0.70, 0.76, 0.72, 0.78]}
    (own,) = summarize(outcomes(grid(rows))).measures
    (up, random) = own.levels[0]
    assert up.level == ("up",) and up.best.value == pytest.approx(0.83)
    assert up.best.interval == pytest.approx((0.788916, 0.871084), abs=1e-5)  # t(3) = 3.182446
    assert up.gain.value == pytest.approx(0.33) and random.best.value == pytest.approx(0.74)
    (one,) = own.comparisons
    gaps = np.subtract(rows["up"], rows["random"])
    assert one.pairs == 4 and one.difference.value == pytest.approx(0.09)
    assert one.difference.p_value == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    assert one.adjusted == pytest.approx(one.difference.p_value)  # one test
    pooled = math.sqrt((np.var(rows["up"], ddof=1) + np.var(rows["random"], ddof=1)) / 2)
    assert own.noise.deviation == pytest.approx(pooled)
    assert own.noise.degrees == 6 and own.noise.settings == 2
    assert own.noise.usual_gap == pytest.approx(2.446912 * math.sqrt(2) * pooled, rel=1e-5)
    assert own.cost.gain == pytest.approx(100 * (0.83 + 0.74 - 1.0) * 4)
    assert own.cost.per_gain(own.cost.tokens) == pytest.approx(8000 / own.cost.gain)


def test_holms_correction_is_over_all_comparisons_of_the_sweep():
    rng = np.random.default_rng(0)
    rows = {name: 0.7 + rng.normal(0, 0.02, 5) + shift for name, shift in
            (("a", 0.0), ("b", 0.03), ("c", 0.1))}  # fmt: skip
    summary = summarize(outcomes(grid({name: row.tolist() for name, row in rows.items()})))
    comparisons = summary.measures[0].comparisons
    raw = sorted(one.difference.p_value for one in comparisons)
    adjusted = sorted(one.adjusted for one in comparisons)
    assert summary.tests == len(raw) == 3
    assert adjusted[0] == pytest.approx(min(1.0, 3 * raw[0]))
    assert adjusted[1] == pytest.approx(min(1.0, max(3 * raw[0], 2 * raw[1])))


def test_one_seed_has_no_interval_and_says_so():
    (own,) = summarize(outcomes(grid({"up": [0.8], "random": [0.7]}))).measures
    assert own.noise is None
    for level in own.levels[0]:
        assert level.best.interval is None and level.best.why == ONE_SEED
    assert own.comparisons[0].difference.p_value is None
    assert own.comparisons[0].adjusted is None
    assert own.comparisons[0].difference.value == pytest.approx(0.1)


@pytest.mark.parametrize("state", ["failed", "missing", "running", "interrupted"])
def test_a_cell_that_is_not_finished_is_in_no_figure_and_is_listed(state):
    whole = grid({"up": [0.8, 0.9], "random": [0.7, 0.6]})
    lost = unfinished({ORDER: "up", "run.seed": 2}, state, error="died" * (state == "failed"))
    summary = summarize(outcomes([*whole, lost]))
    assert [one.state for one in summary.left_out] == [state]
    (own,) = summary.measures
    assert len(own.cells) == 4
    up = own.levels[0][0]
    assert (up.planned, up.best.cells, up.best.value) == (3, 2, pytest.approx(0.85))


def test_figures_of_an_unfinished_cell_are_not_counted_even_where_it_has_some():
    cells = grid({"up": [0.8, 0.9]})
    cells[1]["state"] = "interrupted"
    (own,) = summarize(outcomes(cells)).measures
    assert [one.seed for one in own.cells] == [0]


def test_a_level_all_of_whose_cells_failed_stays_a_level():
    cells = [*grid({"up": [0.8, 0.9]}), unfinished({ORDER: "random", "run.seed": 0})]
    (own,) = summarize(outcomes(cells)).measures
    assert [(one.level, one.best is None) for one in own.levels[0]] == [
        (("up",), False),
        (("random",), True),
    ]
    assert own.comparisons[0].pairs == 0 and own.comparisons[0].difference is None


def test_a_seed_that_lacks_a_cell_is_no_seed_of_the_interval():
    """Its mean would be one of other cells: easy tasks alone, say."""
    values = [(("easy",), seed, 0.9) for seed in range(3)] + [(("hard",), s, 0.1) for s in (0, 1)]
    mean = mean_over_seeds(values)
    assert (mean.value, mean.seeds, mean.cells) == (pytest.approx(0.5), 2, 4)
    torn = mean_over_seeds([(("easy",), 0, 0.9), (("hard",), 1, 0.1)])
    assert torn.interval is None and torn.why == NOT_ALIKE


@pytest.mark.parametrize(
    ("values", "p_value"), [([0.0, 0.0, 0.0], 1.0), ([0.1, 0.1, 0.1], 0.25), ([0.1] * 6, 2**-5)]
)
def test_equal_differences_are_no_certainty(values, p_value):
    mean = mean_over_seeds([((), seed, value) for seed, value in enumerate(values)])
    assert mean.interval is None and mean.why == ALL_ALIKE
    assert mean.p_value == p_value


MEASURES = {
    "another split": {"test": None},
    "another metric": {
        "test": {
            "baseline": {"accuracy": 0.5, "n": 9, "metric": {"name": "f1", "value": 0.4}},
            "best": {"accuracy": 0.5, "n": 9, "metric": {"name": "f1", "value": 0.4}},
        }
    },
    "a scale of its own": {"shares": False},
}


@pytest.mark.parametrize("name", MEASURES)
def test_figures_of_two_measures_are_never_averaged(name):
    cells = grid({"up": [0.8, 0.9], "random": [0.1, 0.2]})
    for one in cells[2:]:
        one.update(MEASURES[name])
    summary = summarize(outcomes(cells))
    assert sorted(len(one.cells) for one in summary.measures) == [2, 2]
    for one in summary.measures:
        assert one.noise is not None
        assert all(other.difference is None for other in one.comparisons)


def test_a_metric_of_the_users_is_what_is_compared():
    (one,) = [
        outcomes([cell({ORDER: "up"}, 0.9, **MEASURES["another metric"])])[0],
    ]
    assert one.sides.best.value == 0.4 and one.measure.metric == "f1"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_left_out_and_listed(bad):
    cells = grid({"up": [0.8, bad]})
    for one in cells:
        one["validation"] = one["train"] = None
    summary = summarize(outcomes(cells))
    assert [one.seed for one in summary.left_out] == [1]
    assert summary.measures[0].levels == ()


def settings_of(*columns):
    keys = [f"search.k{place}" for place in range(len(columns))]
    rows = zip(*columns, strict=True)
    return [cell(dict(zip(keys, row, strict=True)), 0.5) for row in rows]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        pytest.param(["aabb", "xyxy"], ["k0", "k1"], id="a product"),
        pytest.param(["ab", "xy"], ["k0 + search.k1"], id="a zip"),
        pytest.param(["xxy", "abc"], ["k1 + search.k0"], id="a zip with one value twice"),
        pytest.param(["aaa", "xyz"], ["k1"], id="a setting that does not vary"),
        pytest.param(["abb", "xxy"], ["k0", "k1"], id="one at a time"),
        pytest.param(["abab", "xyxy", "ppqq"], ["k0 + search.k1", "k2"], id="a zip in a product"),
        pytest.param([[1, "1"], "xx"], ["k0"], id="a number and its text"),
    ],
)
def test_settings_that_vary_together_are_one_factor(columns, names):
    factors = factors_of(outcomes(settings_of(*columns)))
    assert [factor.name.removeprefix("search.") for factor in factors] == names


def test_a_zip_with_the_seed_leaves_the_seed_out():
    """Every setting is known of a seed that is used once; it repeats cells all the same."""
    cells = [
        cell({ORDER: order, "run.seed": seed}, best)
        for order, seed, best in (("a", 0, 0.1), ("a", 1, 0.2), ("b", 2, 0.5), ("b", 3, 0.6))
    ]
    (own,) = summarize(outcomes(cells)).measures
    assert own.factors[0].name == ORDER and own.noise.degrees == 2
    assert own.comparisons[0].pairs == 0 and own.comparisons[0].difference is None


def test_pairs_differ_in_the_factor_alone():
    cells = [
        cell({ORDER: order, "scorer.model": model, "run.seed": seed}, value)
        for order, model, seed, value in (
            ("up", "m", 0, 0.9), ("random", "m", 0, 0.8), ("up", "q", 0, 0.5), ("up", "m", 1, 0.7),
            ("random", "m", 1, 0.5),
        )
    ]  # fmt: skip
    (own,) = summarize(outcomes(cells)).measures
    order = next(one for one in own.comparisons if one.factor.name == ORDER)
    assert order.pairs == 2 and order.difference.value == pytest.approx(0.15)


def test_the_best_of_a_task_is_chosen_on_validation_and_told_on_test():
    cells = grid({"up": [0.8, 0.9], "random": [0.7, 0.7]})
    for one in cells[2:]:  # better on validation, worse on test
        sides = one["validation"]
        one["validation"] = {**sides, "best": {**sides["best"], "accuracy": 0.95}}
    (best,) = summarize(outcomes(cells)).measures[0].best
    assert [one.settings[ORDER] for one in best.cells] == ["random", "random"]
    assert (best.chosen_on, best.chosen_by, best.among) == ("validation", pytest.approx(0.95), 2)
    assert best.best.value == pytest.approx(0.7) and best.lead == pytest.approx(0.1)


def test_without_a_gain_there_is_no_cost_of_a_point():
    (own,) = summarize(outcomes(grid({"up": [0.5, 0.4]}))).measures
    assert own.cost.gain == pytest.approx(-10) and own.cost.per_gain(own.cost.tokens) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"seed": None},
        {"settings": {}},
        {"test": {"best": 1}},
        {"test": 3},
        {"tokens": 3},
        {"path": None, "task": None, "seed": "x"},
        {"validation": {"baseline": {"accuracy": "x", "n": 1}, "best": {}}},
    ],
)
def test_a_record_that_is_none_ends_in_one_line(broken):
    with pytest.raises(UsageError, match="no record of a cell"):
        outcomes([cell({ORDER: "up"}, 0.5), cell({ORDER: "up"}, 0.5) | broken])


def test_no_cell_at_all_has_a_summary():
    summary = summarize([])
    assert summary.measures == () and summary.left_out == () and summary.tests == 0


scores = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 3))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=6), st.randoms())
def test_the_order_of_cells_changes_nothing_and_a_comparison_is_antisymmetric(pairs, random):
    cells = grid({"up": [a for a, _ in pairs], "random": [b for _, b in pairs]})
    (own,) = summarize(outcomes(cells)).measures
    shuffled = sorted(cells, key=lambda one: random.random())
    (again,) = summarize(outcomes(shuffled)).measures
    one, other = own.comparisons[0], again.comparisons[0]
    sign = 1 if one.first == other.first else -1
    assert other.difference.value == pytest.approx(sign * one.difference.value, abs=1e-12)
    assert other.adjusted == pytest.approx(one.adjusted, abs=1e-9)
    assert own.noise.deviation == pytest.approx(again.noise.deviation, abs=1e-12)
    means = {level.level: level.best for level in again.levels[0]}
    for level in own.levels[0]:
        assert means[level.level].value == pytest.approx(level.best.value)
        if level.best.interval:
            low, high = level.best.interval
            assert low <= level.best.value <= high
    low, high = own.noise.interval
    assert low <= own.noise.deviation <= high or own.noise.deviation == 0


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.integers())),
       st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.integers())))  # fmt: skip
def test_two_values_have_one_text_only_where_they_are_one_value(one, other):
    is_same = type(one) is type(other) and one == other
    assert (text_of(one) == text_of(other)) == is_same


def test_noise_of_many_cells_is_the_noise_that_was_put_in():
    rng = np.random.default_rng(1)
    rows = {
        f"o{place}": (0.3 + place / 50 + rng.normal(0, 0.03, 5)).tolist() for place in range(20)
    }
    noise = seed_noise(outcomes(grid(rows)), best_value)
    assert noise.deviation == pytest.approx(0.03, rel=0.2)
    assert noise.interval[0] < 0.03 < noise.interval[1] and noise.degrees == 80


@pytest.mark.long
def test_by_chance_alone_few_sweeps_show_a_difference():
    """200 sweeps of 4 equal levels and 3 seeds: 5 in 100 may show one."""
    rng = np.random.default_rng(2)
    shown = 0
    for _ in range(200):
        rows = {name: rng.normal(0.7, 0.03, 3).tolist() for name in "abcd"}
        comparisons = summarize(outcomes(grid(rows))).measures[0].comparisons
        shown += min(one.adjusted for one in comparisons) < 0.05
    assert shown <= 20  # binomial(200, 0.05): 20 or fewer in 99.9 of 100 cases
