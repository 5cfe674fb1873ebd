"""Intervals and paired tests of metrics of classes."""

from __future__ import annotations

import numpy as np
import pytest

from opro_local import stats
from opro_local.scoring import comparison
from opro_local.scoring.metrics import ClassifiedRows, Objective, parse_metric
from opro_local.types import Score


def score(name, golds, answers):
    metric, _ = parse_metric(name)
    objective = Objective(name, metric, {str(code): code for code in range(3)})
    measure = ClassifiedRows(objective, np.asarray(golds), np.asarray(answers))
    values = (measure.golds == measure.answers).astype(np.float32)
    return Score(measure.value(), values, measure=measure)


def drawn(rng, golds, right):
    """Answers right with this chance; else another class."""
    wrong = (golds + rng.integers(1, 3, len(golds))) % 3
    return np.where(rng.random(len(golds)) < right, golds, wrong)


GOLDS = np.repeat([0, 1, 2], [120, 20, 10])


def test_without_a_measure_the_figures_are_those_of_means():
    values = np.array([1, 0, 1, 1, 0, 1], np.float32)
    plain, other = Score(4 / 6, values), Score(0.5, np.array([1, 0, 1, 0, 0, 1], np.float32))
    assert comparison.interval(plain, 0.05) == stats.mean_interval(values)
    assert comparison.difference(plain, other) == stats.paired_difference(values, other.values)
    assert comparison.pooled([plain, other]) == pytest.approx(7 / 12)


def test_intervals_cover():
    """The recall of classes of 120, 20 and 10 rows, 80 % in truth: nine in ten hold it at least."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(30):
        low, high = comparison.interval(
            score("balanced_accuracy", GOLDS, drawn(rng, GOLDS, 0.8)), 0.05
        )
        held += low <= 0.8 <= high
        assert 0 <= low < high <= 1
    assert held >= 27


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("macro_f1", 16),
        *(pytest.param(n, 200, marks=pytest.mark.long) for n in ("balanced_accuracy", "mcc")),
    ],
)
def test_p_values_are_uniform_where_there_is_no_difference(name, pairs):
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(pairs):
        pair = [score(name, GOLDS, drawn(rng, GOLDS, 0.75)) for _ in range(2)]
        p_values.append(comparison.difference(*pair).p_value)
    assert (np.array(p_values) < 0.05).mean() <= 0.1 and np.mean(p_values) > 0.4


def test_a_gain_on_the_rare_classes_is_seen_where_accuracy_shows_none():
    always = score("balanced_accuracy", GOLDS, np.zeros(150, int))
    # All rare rows right for as many common ones wrong: accuracy is the same.
    better = GOLDS.copy()
    better[:30] = 1
    found = comparison.difference(score("balanced_accuracy", GOLDS, better), always)
    assert found.value == pytest.approx((0.75 + 1 + 1) / 3 - 1 / 3)
    assert found.p_value < 0.001 and found.interval[0] > 0.3
    plain = stats.paired_difference((better == GOLDS) * 1.0, (GOLDS == 0) * 1.0)
    assert plain.value == 0 and plain.p_value == 1


def test_few_rows_that_differ_are_swapped_in_all_ways():
    base = GOLDS.copy()
    base[[0, 1, 125, 126]] = 2
    found = comparison.difference(score("macro_f1", GOLDS, GOLDS), score("macro_f1", GOLDS, base))
    # Four rows, all gained: of 16 ways these and their reverse are as far apart.
    assert found.p_value == pytest.approx(2 / 16)


def test_turned_around_the_difference_is_the_opposite():
    rng = np.random.default_rng(2)
    a, b = (score("macro_f1", GOLDS, drawn(rng, GOLDS, right)) for right in (0.6, 0.8))
    there, back = comparison.difference(a, b), comparison.difference(b, a)
    assert there.value == -back.value and there.p_value == pytest.approx(back.p_value, abs=0.01)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=0.01)


def test_perfect_answers_and_equal_ones_are_not_certain():
    perfect = score("macro_f1", GOLDS, GOLDS)
    low, high = comparison.interval(perfect, 0.05)
    # The smallest class has ten rows: nobody knows that it is always answered right.
    assert high == 1 and 0.85 < low < 0.97
    found = comparison.difference(perfect, perfect)
    assert found.p_value == 1 and found.interval[0] == -found.interval[1] < -0.03


def test_many_small_classes_answered_right_are_held():
    golds = np.repeat(np.arange(3), 2)
    low, high = comparison.interval(score("balanced_accuracy", golds, golds), 0.05)
    assert high == 1 and low < 0.8


def test_the_best_of_many_overstates_itself():
    rng = np.random.default_rng(3)
    equal = [score("macro_f1", GOLDS, drawn(rng, GOLDS, 0.7)) for _ in range(12)]
    assert comparison.optimism_of_best(equal) > 0.01
    assert comparison.optimism_of_best([score("macro_f1", GOLDS, GOLDS), *equal]) == 0


def test_pooled_rows_are_measured_together():
    a, b = score("mcc", GOLDS[:100], GOLDS[:100]), score("mcc", GOLDS[100:], GOLDS[100:] * 0)
    answers = np.concatenate([GOLDS[:100], GOLDS[100:] * 0])
    assert comparison.pooled([a, b]) == score("mcc", GOLDS, answers).value
