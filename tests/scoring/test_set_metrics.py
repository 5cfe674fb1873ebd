"""Figures of sets of labels: pooled, by class, of one class; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.scoring.comparison import difference, interval
from opro_local.scoring.metrics import ClassifiedRows, answer_codes, make_objective
from opro_local.types import BatchResult, Completion, Score

# Targets and answers as the rule reads them; None is unread.
TARGETS = ["a; b", "a", "b; c", "c", "[]", "a; b"] * 2
ANSWERS = ["a; b", "a; c", "b", None, "[]", "x"] * 2


def classified(name, answers=ANSWERS):
    objective = make_objective(name, "labels_set", TARGETS, str)
    golds = np.array([objective.code(target) for target in TARGETS])
    values = np.array([float(a == t) for a, t in zip(answers, TARGETS, strict=True)])
    return ClassifiedRows(
        objective, golds, answer_codes(objective, golds, values, answers.__getitem__)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Of each six rows: 4 of the 5 labels that are answered are right, of 8 in the targets.
        ("micro_f1", 2 * 4 / (8 + 5)),
        ("f1:a", 2 * 2 / (3 + 2)),
        ("f1:b", 2 * 2 / (3 + 2)),
        ("f1:c", 0),
        ("macro_f1", (4 / 5 + 4 / 5 + 0) / 3),
    ],
)
def test_figures_of_sets_by_hand(name, value):
    assert classified(name).value() == pytest.approx(value)


def test_sets_have_intervals_and_a_paired_test():
    scores = []
    for answers in (TARGETS, ANSWERS):
        rows = classified("micro_f1", answers)
        values = np.array([float(a == t) for a, t in zip(answers, TARGETS, strict=True)])
        scores.append(Score(rows.value(), values.astype(np.float32), 0, 0, 0, {}, measure=rows))
    low, high = interval(scores[1], 0.05)
    assert 0 <= low < scores[1].value < high <= 1
    between = difference(*scores)
    assert between.value == pytest.approx(1 - 8 / 13) and between.p_value < 0.05


@pytest.mark.parametrize("name", ["balanced_accuracy", "mcc"])
def test_a_metric_of_one_class_a_row_is_refused(name):
    with pytest.raises(UsageError, match="counts answers by class, which the rule labels_set"):
        make_objective(name, "labels_set", TARGETS, str)


def test_too_many_labels_are_refused():
    with pytest.raises(UsageError, match="at most 62 labels, and there are 63"):
        make_objective("micro_f1", "labels_set", [f"label {i}" for i in range(63)] * 2, str)


def test_a_problem_of_sets_is_scored_by_micro_f1(tmp_path):
    data = tmp_path / "rows.csv"
    sets = ("anger, joy", "joy", "joy, fear", "fear", "anger, fear", "anger")
    lines = [f'text {i},"{sets[i % 6]}"\n' for i in range(60)]
    data.write_text("input,target\n" + "".join(lines))
    tables = {
        "task": {"data": str(data), "metric": "micro_f1"},
        "scorer": {"engine": "scripted", "model": "scripted", "script": SCRIPT},
    }
    problem = prompt_plan(reading.build(tables)).problem
    assert problem.rule.name == "labels_set"
    asks = problem.evaluate(problem.seeds()[:1], "train", "x")
    next(asks)
    rows = problem.rows["train"]
    given = [Completion(row.target.split(",")[0], "stop", 1, 1, 1) for row in rows]
    with pytest.raises(StopIteration) as end:
        asks.send(BatchResult(given, 0.0))
    (score,) = end.value.value
    labels = sum(len(row.target.split(",")) for row in rows)
    assert score.value == pytest.approx(2 * len(rows) / (labels + len(rows)))
