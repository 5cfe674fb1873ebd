"""A bias per label: what it must not depend on, what it finds, and how sure it is of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opro_local.scoring import comparison
from opro_local.scoring.label_bias import (
    LEAST_SHARE,
    LabelBias,
    LabelFit,
    calibration,
    cross_fitted,
    fit,
    no_bias,
)
from opro_local.types import Score

LABELS = ("a", "b", "c")


def made(seed: int, rows: int = 30, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities that say something of the labels, one of them far too probable."""
    rng = np.random.default_rng(seed)
    golds = rng.integers(0, labels, rows)
    logs = rng.normal(-6, 1, (rows, labels)) + 2 * (golds[:, None] == np.arange(labels))
    logs[:, 0] += 4
    return np.minimum(logs, 0), golds


seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None, derandomize=True)


@few
@given(seeds, st.floats(-5, 5), st.floats(-5, 0))
def test_a_constant_on_all_labels_changes_nothing(seed, constant, shift):
    logs, golds = made(seed)
    bias = fit(LABELS, logs, golds)
    moved = LabelBias(LABELS, tuple(value + constant for value in bias.values), bias.scale)
    assert moved.probabilities(logs) == pytest.approx(bias.probabilities(logs))
    assert (moved.chosen(logs) == bias.chosen(logs)).all()
    again = fit(LABELS, logs + shift, golds)
    assert again.values == pytest.approx(bias.values, abs=1e-6)


@few
@given(seeds, st.permutations(range(3)), st.booleans())
def test_the_order_of_the_labels_changes_nothing(seed, order, balanced):
    logs, golds = made(seed)
    places = np.argsort(order)
    one = cross_fitted(logs, golds, balanced)
    other = cross_fitted(logs[:, order], places[golds], balanced)
    assert other == pytest.approx(one[:, order], abs=1e-7)


@few
@given(seeds, st.integers(0, 29), st.integers(0, 2), st.booleans())
def test_no_rows_own_label_has_a_part_in_its_score(seed, row, label, balanced):
    logs, golds = made(seed)
    other = golds.copy()
    other[row] = label
    one, two = (cross_fitted(logs, own, balanced)[row] for own in (golds, other))
    assert one == pytest.approx(two, abs=1e-9)


@few
@given(seeds)
def test_the_mean_probability_of_a_label_comes_near_its_share(seed):
    logs, golds = made(seed, rows=400)
    shares = fit(LABELS, logs, golds).probabilities(logs).mean(axis=0)
    assert shares == pytest.approx(np.bincount(golds, minlength=3) / 400, abs=0.02)


def test_a_bias_finds_what_one_label_too_probable_hides():
    logs, golds = made(1, rows=60)
    new_logs, new_golds = made(2, rows=500)
    plain = (no_bias(LABELS).chosen(new_logs) == new_golds).mean()
    fitted = (fit(LABELS, logs, golds).chosen(new_logs) == new_golds).mean()
    assert plain < 0.5 and fitted > 0.8
    assert LabelFit(logs, golds).value() > 0.6


def test_few_rows_move_the_bias_little_and_none_not_at_all():
    logs, golds = made(1, rows=400)
    spreads = [np.ptp(fit(LABELS, logs[:n], golds[:n]).values) for n in (0, 3, 30, 400)]
    assert spreads[0] == 0 and spreads == sorted(spreads)
    assert fit(LABELS, logs[:0], golds[:0]) == no_bias(LABELS)


def test_balanced_weights_see_the_rare_label():
    rng = np.random.default_rng(0)
    golds = (np.arange(100) % 10 == 0).astype(int)
    logs = np.stack([np.full(100, -0.2), -3 + 1.5 * golds + rng.normal(0, 0.5, 100)], axis=1)
    recalls = []
    for balanced in (False, True):
        chosen = fit(("no", "yes"), logs, golds, balanced).chosen(logs)
        recalls.append((chosen[golds == 1] == 1).mean())
    assert recalls[0] < recalls[1] and recalls[1] > 0.8


def test_rows_that_were_not_read_are_no_label_and_fit_nothing():
    logs, golds = made(3)
    with_gaps = np.vstack([logs, np.full((2, 3), np.nan)])
    more = np.append(golds, [0, 1])
    assert fit(LABELS, with_gaps, more).values == pytest.approx(fit(LABELS, logs, golds).values)
    assert (fit(LABELS, with_gaps, more).chosen(with_gaps)[-2:] == -1).all()
    shares = cross_fitted(with_gaps, more)
    assert np.isnan(shares[-2:]).all() and not np.isnan(shares[:-2]).any()
    assert LabelFit(with_gaps, more).rows[-2:] == pytest.approx(np.log(LEAST_SHARE))
    outside = fit(LABELS, logs, np.full(30, -1))
    assert outside == no_bias(LABELS)


def test_a_model_that_is_wrong_on_purpose_is_not_turned_round():
    logs, golds = made(4)
    assert fit(LABELS, -logs - 12, golds).scale > 0


def test_parts_join_to_the_whole():
    logs, golds = made(5)
    whole = LabelFit(logs, golds)
    parts = [LabelFit(logs[:10], golds[:10]), LabelFit(logs[10:], golds[10:])]
    assert parts[0].joined(parts[1:]).value() == pytest.approx(whole.value())
    assert whole.on(np.arange(10)).value() == pytest.approx(parts[0].value())
    low, high = whole.interval(0.05)
    assert 0 < low < whole.value() < high <= 1


def test_finalists_are_ranked_by_how_probable_the_right_labels_are():
    logs, golds = made(6)
    measure = LabelFit(logs, golds)
    train = Score(measure.value(), np.ones(30), measure=measure)
    validation = Score(0.5, np.ones(10), metrics={"probability": 0.2})
    expected = np.exp((30 * np.log(measure.value()) + 10 * np.log(0.2)) / 40)
    assert comparison.pooled([train, validation]) == pytest.approx(expected)
    plain = [Score(1.0, np.ones(2)), Score(0.0, np.zeros(2))]
    assert comparison.pooled(plain) == 0.5


def test_the_bins_say_how_often_a_probability_is_right():
    sure = np.array([0.95, 0.92, 0.69, 1.0, np.nan])
    bins = calibration(sure, np.array([True, False, True, True, False]))
    assert [(one.n, round(one.probability, 3), round(one.right, 3)) for one in bins] == [
        (1, 0.69, 1.0),
        (3, 0.957, 0.667),
    ]


def test_a_bias_comes_back_from_its_json():
    bias = LabelBias(("no", "yes"), (-1.23456, 1.23456), 0.87654)
    assert bias.to_json() == {"bias": {"no": -1.2346, "yes": 1.2346}, "scale": 0.8765}
    assert LabelBias.from_json(bias.to_json()).values == (-1.2346, 1.2346)
