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


@pytest.mark.parametrize(
    ("ones", "n"), [(0, 1), (1, 1), (3, 7), (0, 110), (117, 117), (1319, 1319), (700, 5000)]
)
def test_the_wilson_interval_is_scipys_and_its_ends_are_exact(ones, n):
    from scipy.stats import binomtest

    found = stats.share_interval(ones, n, 0.1)
    assert found == pytest.approx(
        tuple(binomtest(ones, n).proportion_ci(0.9, method="wilson")), abs=1e-14
    )
    assert (found[0] == 0) == (ones == 0) and (found[1] == 1) == (ones == n)


RATINGS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
GRADED = {
    "two levels": (lambda rng, shape: rng.choice([0.2, 0.9], shape, p=[0.3, 0.7]), 0.69),
    "happy users": (
        lambda rng, shape: rng.choice(RATINGS, shape, p=[0.02, 0.03, 0.1, 0.25, 0.6]),
        0.845,
    ),
    "mixed users": (
        lambda rng, shape: rng.choice(RATINGS, shape, p=[0.05, 0.15, 0.4, 0.3, 0.1]),
        0.5625,
    ),
    "uniform": (lambda rng, shape: rng.random(shape), 0.5),
    "skewed": (lambda rng, shape: rng.beta(5, 1, shape), 5 / 6),
}


@pytest.mark.parametrize("kind", GRADED)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 50])
def test_the_interval_of_graded_scores_covers_their_mean_also_where_they_are_few(kind, n):
    draw, mean = GRADED[kind]
    ends = [stats.mean_interval(values) for values in draw(np.random.default_rng(n), (400, n))]
    assert np.mean([low <= mean <= high for low, high in ends]) >= 0.95


def test_scores_on_a_scale_of_their_own_keep_the_bootstrap():
    low, high = stats.mean_interval(np.random.default_rng(0).normal(12, 1, 100))
    assert 11.7 < low < high < 12.4
    gaps = stats.paired_difference(np.full(40, 0.5) + np.tile([0.0, 0.01], 20), np.full(40, 0.5))
    assert (
        0 < gaps.interval[0] < 0.005 < gaps.interval[1] < 0.01
    )  # of differences, which may be below 0


def test_many_scores_on_a_scale_of_their_own_take_the_normal_interval_close_to_the_bootstrap():
    values = np.random.default_rng(0).choice([0.0, 0.5, 2.0], 2001)
    few, many = stats.mean_interval(values[:2000]), stats.mean_interval(values)
    assert many == pytest.approx(few, abs=0.002)
    assert stats.mean_interval(np.tile(values, 100))[0] > many[0]


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
    assert (
        found.p_value < 0.01 and 0.04 < found.interval[0] < found.value < found.interval[1] < 0.06
    )


def test_smallest_differences_are_those_of_the_reference_table():
    # discordant share 0.17: 16 points at n = 50, 12 at 100, 7.2 at 261, 3.2 at 1,319
    found = [round(100 * stats.smallest_difference(n, 0.17), 1) for n in (50, 100, 261, 1319)]
    assert found == [16.3, 11.6, 7.2, 3.2]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_paired_difference_is_antisymmetric_and_inside_its_bounds(pairs):
    a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    there, back = stats.paired_difference(a, b), stats.paired_difference(b, a)
    assert there.value == pytest.approx(-back.value) and there.p_value == pytest.approx(
        back.p_value
    )
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


def test_holm_of_a_worked_example():
    # Wright 1992, Biometrics 48: the smallest p times m, the next times m - 1, and never below the
    # one before.
    found = stats.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p_values):
    p = np.array(p_values)
    found = stats.holm(p)
    assert (found >= p).all() and (found <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_controls_the_chance_of_any_false_finding():
    rng = np.random.default_rng(0)
    false = np.mean([(stats.holm(rng.random(10)) < 0.05).any() for _ in range(4000)])
    naive = np.mean([(rng.random(10) < 0.05).any() for _ in range(4000)])
    assert 0.035 < false < 0.06 and naive > 0.3


def test_cochrans_q_of_a_worked_example():
    # Cochran 1950 as in Siegel: three interviewers, 18 households; Q = 16.7, df = 2.
    rows = [
        (0, 0, 0),
        (1, 1, 0),
        (0, 1, 0),
        (0, 0, 0),
        (1, 0, 0),
        (1, 1, 0),
        (1, 1, 0),
        (0, 1, 0),
        (1, 0, 0),
    ]
    rows += [
        (0, 0, 0),
        (1, 1, 1),
        (1, 1, 1),
        (1, 1, 0),
        (1, 1, 0),
        (1, 1, 0),
        (1, 1, 1),
        (1, 1, 0),
        (1, 1, 0),
    ]
    assert stats.cochran_q(np.array(rows, float).T) == pytest.approx(0.000238, abs=2e-5)
    assert stats.cochran_q(np.ones((3, 5))) == 1.0


def test_two_prompts_in_cochrans_q_are_mcnemar_without_correction():
    values = np.array([[1.0] * 9 + [0.0] * 11, [0.0] * 9 + [1.0] * 2 + [0.0] * 9])
    from scipy.stats import chi2

    assert stats.cochran_q(values) == pytest.approx(chi2.sf((9 - 2) ** 2 / (9 + 2), 1))


@pytest.mark.parametrize(
    ("k", "mean_of_maximum"), [(1, 0.0), (2, 0.5642), (8, 1.4236), (100, 2.5076)]
)
def test_the_expected_maximum_of_k_normal_deviates(k, mean_of_maximum):
    # Tabled by Harter 1961; the deviation of one prompt is sqrt(0.2 / (2 * 10)) = 0.1.
    assert stats.optimism_to_expect(k, 10) == pytest.approx(0.1 * mean_of_maximum, abs=2e-5)


def test_the_optimism_of_the_best_is_what_simulation_finds():
    rng = np.random.default_rng(1)
    estimated, true = [], []
    for _ in range(60):
        values = (rng.random((30, 60)) < 0.6).astype(np.float32)
        estimated.append(stats.optimism_of_best(values))
        true.append(values.mean(axis=1).max() - 0.6)
    assert np.mean(true) == pytest.approx(stats.optimism_to_expect(30, 60, 2 * 0.6 * 0.4), abs=0.01)
    assert np.mean(estimated) == pytest.approx(np.mean(true), rel=0.25)


def test_a_clear_winner_has_no_optimism():
    values = np.zeros((20, 50), np.float32)
    values[3] = 1
    assert stats.optimism_of_best(values) == 0.0 and stats.optimism_of_best(values[:1]) == 0.0


def test_the_luck_of_what_races_left_is_that_of_a_simulation():
    """Of 5 races of 8 equals, halved after 12 and 24 of 48 rows, ten last."""
    races = [[12, 12, 12, 12, 24, 24, 48, 48]] * 5
    rng = np.random.default_rng(1)
    best = []
    for _ in range(400):
        means = []
        for _ in races:
            scores, alive = rng.normal(0, 1, (8, 48)), np.arange(8)
            for look, kept in ((12, 4), (24, 2)):
                order = np.argsort(-scores[alive, :look].mean(axis=1))
                alive = alive[order[:kept]]
            means.append(scores[alive].mean(axis=1).max())
        best.append(max(means))
    expected = np.mean(best) * 48**0.5 / stats.expected_highest(10)
    assert 1.2 < expected < 1.5
    assert stats.luck_of_races(races, 48) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("races", [[], [[24]], [[24] * 8] * 3, [[6, 6, 12, 24]], [[6, 6]]])
def test_without_a_race_or_two_that_lasted_there_is_no_more_luck(races):
    assert stats.luck_of_races(races, 24) == 1.0


@pytest.mark.parametrize(("spread", "low", "high"), [(0.0, 0.8, 1.0), (0.5, 0.0, 0.1)])
def test_the_share_of_noise_is_that_of_the_rows(spread, low, high):
    rng = np.random.default_rng(2)
    quality = 0.5 + spread * (np.arange(20) / 19 - 0.5)
    values = (rng.random((20, 100)) < quality[:, None]).astype(float)
    share = stats.share_of_noise(values, values.mean(axis=1), np.full(20, 100))
    assert low <= share <= high
