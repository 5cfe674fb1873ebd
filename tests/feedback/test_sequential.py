"""The sequential test: valid at every look, symmetric, monotone, and as strong as docs/feedback.md
says.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opro_local.feedback import sequential

shares = st.sampled_from((0.02, 0.1, 0.3, 0.5, 0.8))
outcomes = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)


def arrays(rows):
    return np.array([arm for arm, _ in rows]), np.array([score for _, score in rows])


def evidence(challenger, scores, share, difference=0.0):
    return sequential.log_evidence(sequential.gaps(challenger, scores, share), share, difference)


def promoted(effect, share, users, experiments, seed=1):
    rng = np.random.default_rng(seed)
    challenger = rng.random((experiments, users)) < share
    scores = (rng.random((experiments, users)) < 0.7 + effect * challenger).astype(float)
    return sequential.crossing(evidence(challenger, scores, share), 0.05)


@pytest.mark.parametrize(
    ("share", "scores"), [(0.5, (0.0, 1.0)), (0.2, (0.0, 1.0)), (0.5, (0.3, 0.8))]
)
def test_the_wealth_is_a_fair_game_exactly(share, scores):
    # Every course of four users with equal arms, weighted by its probability: the mean wealth is 1
    # at every look.
    wealth = np.zeros(4)
    for course in itertools.product(itertools.product((True, False), (0, 1)), repeat=4):
        arms = np.array([arm for arm, _ in course])
        drawn = np.array([which for _, which in course])
        rates = np.array([0.9, 0.2, 0.6, 0.5])  # the same in both arms, another one for each user
        probability = np.prod(
            np.where(arms, share, 1 - share) * np.where(drawn == 1, rates, 1 - rates)
        )
        wealth += probability * np.exp(evidence(arms, np.array(scores)[drawn], share))
    assert wealth == pytest.approx(np.ones(4), abs=1e-12)


def test_false_promotions_with_a_look_after_every_outcome_stay_under_alpha():
    found = promoted(0.0, 0.5, 3000, 2000)
    rate = np.mean(found > 0)
    assert 0.01 < rate < 0.05  # not only valid: it spends a good part of what it may


def test_drift_that_both_arms_share_promotes_nothing():
    rng = np.random.default_rng(5)
    challenger = rng.random((1000, 2000)) < 0.3
    level = np.where(np.arange(2000) % 500 < 250, 0.9, 0.4)
    scores = (rng.random((1000, 2000)) < level).astype(float)
    assert np.mean(sequential.crossing(evidence(challenger, scores, 0.3), 0.05) > 0) < 0.05


def test_a_five_point_gain_is_found_nearly_always_within_5000_users():
    found = promoted(0.05, 0.5, 5000, 300)
    assert np.mean(found > 0) > 0.85 and 1500 < np.median(np.where(found > 0, found, np.inf)) < 3000


def test_a_worse_challenger_is_hardly_ever_promoted():
    assert np.mean(promoted(-0.05, 0.5, 2000, 500) > 0) < 0.01


@settings(max_examples=200, deadline=None)
@given(outcomes, shares)
def test_swapping_the_arms_or_turning_the_scores_round_swaps_better_and_worse(rows, share):
    challenger, scores = arrays(rows)
    better = evidence(challenger, scores, share)
    worse = sequential.log_evidence(-sequential.gaps(challenger, scores, share), share)
    assert evidence(~challenger, scores, 1 - share) == pytest.approx(worse, abs=1e-9)
    assert evidence(~challenger, 1 - scores, 1 - share) == pytest.approx(better, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(outcomes, shares, st.floats(-1, 1), st.floats(-1, 1))
def test_the_evidence_is_finite_and_falls_with_the_difference_it_is_against(
    rows, share, one, other
):
    challenger, scores = arrays(rows)
    low, high = sorted((one, other))
    against_low, against_high = (
        evidence(challenger, scores, share, value) for value in (low, high)
    )
    assert np.isfinite(against_low).all() and np.isfinite(against_high).all()
    assert (against_low >= against_high - 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(outcomes, outcomes, shares)
def test_later_outcomes_change_no_earlier_evidence(rows, more, share):
    challenger, scores = arrays(rows + more)
    n = len(rows)
    assert evidence(challenger, scores, share)[:n] == pytest.approx(
        evidence(challenger[:n], scores[:n], share)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((-0.6, -0.2, 0.0, 0.2, 0.6)), shares)
@example(231, 0.0, 0.3)  # the ends lie at equal distances from 0
def test_the_interval_and_the_test_agree_and_the_interval_only_shrinks(seed, effect, share):
    rng = np.random.default_rng(seed)
    challenger = rng.random(400) < share
    scores = np.clip(0.5 + effect / 2 * np.where(challenger, 1, -1) + rng.normal(0, 0.1, 400), 0, 1)
    found = sequential.gaps(challenger, scores, share)
    ends = [sequential.interval(found[:n], share, 0.05, 0.1) for n in (0, 50, 200, 400)]
    for n, (low, high) in zip((0, 50, 200, 400), ends, strict=True):
        assert -1 <= low <= 1 and -1 <= high <= 1
        assert (low > 0) == (
            sequential.crossing(sequential.log_evidence(found[:n], share), 0.05) > 0
        )
        for end, side, rate in ((low, found[:n], 0.05), (-high, -found[:n], 0.1)):
            if end > -1 and abs(end) > 1e-300:  # the ends themselves are ruled out
                assert sequential.crossing(sequential.log_evidence(side, share, end), rate)
        assert (high < 0) == (
            sequential.crossing(sequential.log_evidence(-found[:n], share), 0.1) > 0
        )
    assert all(a[0] <= b[0] and a[1] >= b[1] for a, b in itertools.pairwise(ends))
    assert ends[0] == (-1.0, 1.0)


def test_the_interval_holds_the_true_difference_at_all_looks_together():
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(100):
        challenger = rng.random(1500) < 0.5
        scores = (rng.random(1500) < np.where(challenger, 0.6, 0.4)).astype(float)
        low, high = sequential.interval(sequential.gaps(challenger, scores, 0.5), 0.5, 0.05, 0.05)
        assert high - low < 0.35
        missed += not low <= 0.2 <= high
    assert missed <= 10


def test_crossing_names_the_first_look():
    log_e = np.log([[1, 19, 21, 2], [1, 1, 1, 1], [20, 1, 1, 1]])
    assert sequential.crossing(log_e, 0.05).tolist() == [3, 0, 1]
    assert sequential.anytime_p(log_e[0]) == pytest.approx(1 / 21)
    assert (
        sequential.anytime_p(np.log([0.5, 0.2])) == 1.0
        and sequential.anytime_p(np.array([])) == 1.0
    )
    assert sequential.crossing(np.array([]), 0.05) == 0


def test_lost_outcomes_of_one_arm_are_noticed_and_fair_arms_are_not():
    rng = np.random.default_rng(2)
    false = 0
    for share in (0.5, 0.1):
        for _ in range(200):
            arms = np.cumsum(rng.random(1000) < share)
            false += any(
                sequential.imbalance(int(arms[n]), n + 1 - int(arms[n]), share) > math.log(1000)
                for n in range(20, 1000, 20)
            )
    assert false <= 2
    assert (
        sequential.imbalance(450, 550, 0.5) < math.log(1000) < sequential.imbalance(1400, 1800, 0.5)
    )
    assert sequential.imbalance(0, 0, 0.3) == pytest.approx(0)
