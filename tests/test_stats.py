"""Intervals and tests against published or independently computed values, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local import stats


def binary(ones, n):
    return np.array([1.0] * ones + [0.0] * (n - ones))


def test_wilson_interval_of_8_in_10():
    low, high = stats.mean_interval(binary(8, 10))
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_mcnemar_is_the_exact_binomial_on_discordant_pairs():
    better = np.array([1.0] * 9 + [0.0] * 1 + [1.0] * 10)
    base = np.array([0.0] * 9 + [1.0] * 1 + [1.0] * 10)
    found = stats.paired_difference(better, base)
    assert found.value == pytest.approx(0.4)
    assert found.p_value == pytest.approx(2 * 11 / 1024)
    # Bonett and Price: (10 - 2) / 22 +- 1.96 sqrt((10/22 + 2/22 - (8/22)^2) / 22)
    assert found.interval == (pytest.approx(0.0950, abs=1e-4), pytest.approx(0.6323, abs=1e-4))


def test_no_discordant_pair_is_no_evidence_but_not_certainty():
    found = stats.paired_difference(binary(5, 10), binary(5, 10))
    assert found.value == 0 and found.p_value == 1 and found.interval[0] < 0 < found.interval[1]


def test_scores_that_are_not_binary_use_bootstrap_and_permutation():
    rng = np.random.default_rng(0)
    base = rng.normal(0.5, 0.1, 60)
    found = stats.paired_difference(base + rng.normal(0.05, 0.02, 60), base)
    assert found.p_value < 0.01 and 0.04 < found.interval[0] < found.value < found.interval[1] < 0.06


def test_smallest_differences_are_those_of_the_reference_table():
    # discordant share 0.17: 16 points at n = 50, 12 at 100, 7.2 at 261, 3.2 at 1,319
    found = [round(100 * stats.smallest_difference(n, 0.17), 1) for n in (50, 100, 261, 1319)]
    assert found == [16.3, 11.6, 7.2, 3.2]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_paired_difference_is_antisymmetric_and_inside_its_bounds(pairs):
    a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    there, back = stats.paired_difference(a, b), stats.paired_difference(b, a)
    assert there.value == pytest.approx(-back.value) and there.p_value == pytest.approx(back.p_value)
    assert there.interval[0] == pytest.approx(-back.interval[1])
    assert 0 <= there.p_value <= 1 and -1 <= there.interval[0] <= there.interval[1] <= 1


@pytest.mark.long
def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        a, b = rng.random((2, 100))
        found = stats.paired_difference((a < 0.8).astype(float), (b < 0.7).astype(float))
        hits += found.interval[0] <= 0.1 <= found.interval[1]
    assert 0.93 <= hits / 2000 <= 0.98
