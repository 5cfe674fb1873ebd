"""Metrics of classes: their figures, by hand and by plain formulas, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from opro_local.errors import UsageError
from opro_local.scoring.metrics import (
    METRICS,
    OTHER,
    UNREAD,
    ClassifiedRows,
    Objective,
    answer_codes,
    make_objective,
    parse_metric,
)

CLASSES = {"a": 0, "b": 1, "c": 2}


def classified(name, golds, answers, label=0):
    metric, _ = parse_metric(name)
    return ClassifiedRows(
        Objective(name, metric, CLASSES, label), np.array(golds), np.array(answers)
    )


# Ten rows: six a (five right, one read as b), three b (one right, one read as a, one unread), one
# c (read as something else).
GOLDS = [0] * 6 + [1] * 3 + [2]
ANSWERS = [0, 0, 0, 0, 0, 1, 1, 0, UNREAD, OTHER]


@pytest.mark.parametrize(
    ("name", "label", "value"),
    [
        ("balanced_accuracy", 0, (5 / 6 + 1 / 3 + 0) / 3),
        ("macro_f1", 0, (10 / 12 + 2 / 5 + 0) / 3),
        ("f1:a", 0, 10 / 12),
        ("f1:b", 1, 2 / 5),
        ("f1:c", 2, 0.0),
    ],
)
def test_figures_by_hand(name, label, value):
    assert classified(name, GOLDS, ANSWERS, label).value() == pytest.approx(value)


def correlation(golds, answers):
    """MCC as the correlation of indicator matrices (Gorodkin 2004), the other answers one class."""
    answers = np.where(answers < 0, 3, answers)
    x, y = np.eye(4)[golds], np.eye(4)[answers]

    def covariance(u, v):
        return ((u - u.mean(axis=0)) * (v - v.mean(axis=0))).sum()

    whole = covariance(x, x) * covariance(y, y)
    return covariance(x, y) / np.sqrt(whole) if whole > 0 else 0.0


def test_mcc_is_a_correlation():
    rng = np.random.default_rng(0)
    for _ in range(50):
        golds = rng.integers(0, 3, 30)
        answers = np.where(rng.random(30) < 0.6, golds, rng.integers(-2, 3, 30))
        found = classified("mcc", golds, answers).value()
        assert found == pytest.approx(correlation(golds, answers), abs=1e-12)
    assert classified("mcc", [0, 1], [1, 0]).value() == pytest.approx(-1)
    assert classified("mcc", [0, 1, 2], [0, 0, 0]).value() == 0  # one answer to all
    assert classified("mcc", [0, 1, 2], [0, 1, 2]).value() == pytest.approx(1)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_one_answer_to_all_is_worth_what_it_tells(name):
    golds = [0] * 95 + [1] * 5
    value = classified(name, golds, [0] * 100).value()
    assert value == pytest.approx({"balanced_accuracy": 0.5, "macro_f1": 190 / 195 / 2}[name])


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "f1:b", "mcc"])
def test_weights_are_copies_of_rows_and_parts_join(name):
    rows = classified(name, GOLDS, ANSWERS, 1)
    weights = np.array([[2, 0, 1, 1, 3, 0, 1, 2, 0, 1]])
    copied = rows.on(np.repeat(np.arange(10), weights[0]))
    assert rows.values(weights)[0] == pytest.approx(copied.value())
    joined = rows.on(np.arange(4)).joined([rows.on(np.arange(4, 7)), rows.on(np.arange(7, 10))])
    assert joined.value() == rows.value()


def test_answers_are_classes_nothing_or_something_else():
    objective = Objective("macro_f1", METRICS["macro_f1"], CLASSES)
    read = ["never asked", "b", None, "d", "c"]
    codes = answer_codes(
        objective, np.array([0, 0, 0, 1, 2]), np.array([1, 0, 0, 0.5, 0]), read.__getitem__
    )
    # The last says its class and earned nothing, by a rule of its own.
    assert codes.tolist() == [0, 1, UNREAD, OTHER, OTHER]


def test_accuracy_and_mean_need_no_classes():
    said = ["a", "b"] * 3
    assert make_objective("accuracy", "sql", [], str) is None
    assert make_objective("mean", "judge", [], str) is None
    objective = make_objective("f1: B", "labels", said, str.casefold)
    assert (objective.name, objective.label, dict(objective.classes)) == (
        "f1: B",
        1,
        {"a": 0, "b": 1},
    )


@pytest.mark.parametrize(
    ("name", "rule", "said", "message"),
    [
        ("f2", "labels", "abab", r"unknown metric 'f2' .* accepted: accuracy, balanced_accuracy"),
        ("f1", "labels", "abab", r"unknown metric 'f1' .* f1:<label>, mcc, mean"),
        ("f1:", "labels", "abab", "unknown metric 'f1:'"),
        ("mcc:a", "labels", "abab", "unknown metric 'mcc:a'"),
        ("f1:z", "labels", "abab", "no row has the label 'z'; there are: a, b"),
        ("mcc", "judge", "abab", "which the rule judge has not"),
        ("macro_f1", "exact", "abcde", "5 rows with 5 different targets have none"),
        ("macro_f1", "labels", "aaaa", "4 rows with 1 different targets"),
    ],
)
def test_what_is_refused(name, rule, said, message):
    with pytest.raises(UsageError, match=message):
        make_objective(name, rule, list(said), str)
