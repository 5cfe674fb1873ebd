"""By whatever way answers come and solutions are scored, a metric of classes is what the choice, the
bias, the test and the verdict go by.
"""

from __future__ import annotations

import csv
import json
import math
import re

import numpy as np
import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.runs.driver import drive
from opro_local.runs.plans import make_plan
from opro_local.scoring.label_bias import fit
from opro_local.search.trajectory import Trajectory
from opro_local.types import Request

START, PAIR, RARE = "Which is it?", "Look at the usual pair?", "Look for the rare one?"
LABELS = ("left", "rare", "right")


def truth(number: int) -> str:
    """One row in ten is rare."""
    return "rare" if number % 10 == 0 else ("left", "right")[number % 2]


def believed(text: str) -> dict[str, float]:
    """What the model thinks of each label: PAIR knows the two usual ones apart and nothing of the
    rare one; RARE knows the rare one and mistakes two in nine of the others.
    """
    number = int(re.findall(r"row (\d+)", text)[-1])
    gold = truth(number)
    if PAIR in text:
        seen = ("left", "right")[number // 10 % 2] if gold == "rare" else gold
    elif RARE in text:
        is_wrong = gold != "rare" and number * 7 % 10 in (1, 2)
        seen = {"left": "right", "right": "left"}[gold] if is_wrong else gold
    else:
        seen = "left"
    return {one: 0.9 if one == seen else 0.05 for one in LABELS}


def answer(request: Request) -> str:
    if request.sampling.seed is not None:
        return PAIR if request.sampling.seed % 2 else RARE
    shares = believed(request.prompt.text)
    if not request.sampling.labels:
        return max(shares, key=shares.get)
    return json.dumps({one: round(math.log(share), 6) for one, share in shares.items()})


@pytest.fixture
def tables_of(tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"row {number}", truth(number)) for number in range(400)]
        csv.writer(stream).writerows([("text", "label"), *rows])

    def made(way, mode, metric):
        model = {"engine": "scripted", "script": SCRIPT}
        return {
            "task": {
                "data": str(path),
                "input": "text",
                "target": "label",
                "rule": "labels",
                "answer": way,
                "metric": metric,
            },
            "scorer": {**model, "max_tokens": 8},
            "optimizer": model,
            "search": {
                "seeds": [START],
                "steps": 2,
                "candidates": 4,
                "demonstrations": 0,
                "metaprompt": "continuation",
            },
            "evaluation": {"mode": mode},
            "run": {"seed": 3},
        }

    return made


def searched(tables):
    plan, trajectory = make_plan(reading.build(tables)), Trajectory()
    engine = ScriptedEngine.of(answer)
    ended = drive(plan.search(trajectory), {"optimizer": engine, "scorer": engine}, trajectory)
    return plan, trajectory, plan.summarize(trajectory, ended, 0.05)


@pytest.mark.parametrize("mode", ["full", "halve", "subset"])
@pytest.mark.parametrize("way", ["text", "label_probability"])
@pytest.mark.parametrize(("metric", "best"), [("accuracy", PAIR), ("balanced_accuracy", RARE)])
def test_every_path_goes_by_the_metric(tables_of, way, mode, metric, best):
    plan, trajectory, outcome = searched(tables_of(way, mode, metric))
    assert {PAIR, RARE} < {entry.solution.text for entry in trajectory.entries}
    assert outcome.best.text == best
    test = outcome.test
    golds = np.array([row.target for row in plan.problem.rows["test"]])
    score = next(
        entry.score
        for entry in trajectory.held_out
        if entry.split == "test" and entry.solution.text == best
    )
    if metric == "balanced_accuracy":
        recalls = [(score.values == 1)[golds == label].mean() for label in LABELS]
        assert test.best.value == pytest.approx(np.mean(recalls))
        assert test.constant.value == pytest.approx(1 / 3)
    named = None if test.best.metric is None else test.best.metric.name
    assert named == (None if metric == "accuracy" else metric)
    # The test is of the metric, and its interval lies around that difference.
    gap = test.best.value - test.baseline.value
    assert test.difference.value == pytest.approx(gap)
    low, high = test.difference.interval
    assert low < gap < high and outcome.verdict == "reliable gain"


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_labels_weigh_alike_in_the_log_loss_of_every_split(tables_of, metric):
    """On validation as on train, whose two figures the finalists are ranked by together."""
    plan, trajectory, _ = searched(tables_of("label_probability", "full", metric))

    def read(text, *splits):
        rows = [row for split in splits for row in plan.problem.rows[split]]
        shares = [believed(f"{text} {row.input}") for row in rows]
        logs = np.log([[one[label] for label in LABELS] for one in shares])
        return logs, np.array([LABELS.index(row.target) for row in rows])

    for split, fitted_on in (("validation", ("train",)), ("test", ("train", "validation"))):
        entry = next(
            e for e in trajectory.held_out if e.split == split and e.solution.text != START
        )
        text = entry.solution.text
        bias = fit(LABELS, *read(text, *fitted_on), metric == "balanced_accuracy")
        logs, golds = read(text, split)
        own = np.log(bias.probabilities(logs)[np.arange(len(golds)), golds])
        means = [own[golds == place].mean() for place in range(3)]
        wanted = own.mean() if metric == "accuracy" else np.mean(means)
        assert entry.score.metrics["probability"] == pytest.approx(np.exp(wanted), abs=1e-4)


@pytest.mark.parametrize("way", ["text", "label_probability"])
def test_a_race_by_means_of_rows_is_refused_for_both_ways(tables_of, way):
    with pytest.raises(UsageError, match="compares means of rows"):
        make_plan(reading.build(tables_of(way, "race", "balanced_accuracy")))
