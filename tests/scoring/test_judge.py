"""A judge on a scale, and what it is compared with."""

from __future__ import annotations

import csv

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.config.settings import JudgeSettings
from opro_local.errors import UsageError
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.scoring.choosing import make_rule
from opro_local.scoring.judge import grades_of, judged
from opro_local.types import BatchResult, Completion, Example

ROWS = [Example(f"t:{i}", {}, "Is it?", target, "f:2") for i, target in enumerate(("yes", "no"))]


def replies(*texts):
    return BatchResult([Completion(text, "stop", 1, 1, 1) for text in texts], 0.0)


def verdicts(settings, answers, texts, rule=None):
    asks = judged(answers, ROWS, rule, settings, "x")
    batch = next(asks)
    with pytest.raises(StopIteration) as end:
        asks.send(replies(*texts))
    return batch, end.value.value


def test_grades_are_spread_evenly():
    assert grades_of(None) == {"correct": 1.0, "incorrect": 0.0}
    assert grades_of(5) == {"1": 0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1}
    assert grades_of(2) == {"1": 0, "2": 1}


def test_a_scale_asks_for_a_number_and_takes_nothing_else():
    batch, said = verdicts(JudgeSettings(scale=5), ["a", "b"], ["4", "6"])
    request = batch.requests[0]
    assert request.sampling.constraint.value == ("1", "2", "3", "4", "5")
    assert request.prompt.text.endswith("Reply with one number from 1 (worst) to 5 (best).")
    assert said.values.tolist() == [0.75, 0] and said.failed.tolist() == [False, True]
    assert said.agreement is None


def test_agreement_on_a_scale_is_one_minus_the_difference():
    rule = make_rule("boolean").prepare(ROWS)
    _, said = verdicts(JudgeSettings(scale=5), ["yes", "yes"], ["4", "2"], rule)
    assert said.agreement.tolist() == [0.75, 0.75]


@pytest.mark.parametrize(
    ("targets", "is_compared"),
    [(["spam", "ham"], True), (["yes", "no"], True), (["1", "25"], True), (None, False)],
)
def test_a_judge_is_compared_with_a_rule_that_decides(tmp_path, targets, is_compared):
    data = tmp_path / "rows.csv"
    made = [targets[i % 2] if targets else f"It is long ago, {i} years." for i in range(40)]
    with data.open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"text {i}", target) for i, target in enumerate(made)]
        csv.writer(stream).writerows([("input", "target"), *rows])
    tables = {
        "task": {"data": str(data), "rule": "judge"},
        "scorer": {"engine": "scripted", "model": "scripted", "script": SCRIPT},
    }
    problem = prompt_plan(reading.build(tables)).problem
    asks = problem.evaluate(problem.seeds(), "test", "x")
    answered = next(asks)
    batch = asks.send(replies(*["Hm."] * len(answered.requests)))
    with pytest.raises(StopIteration) as end:
        asks.send(replies(*["correct"] * len(batch.requests)))
    assert ("agreement" in end.value.value[0].metrics) == is_compared


@pytest.mark.parametrize("scale", [1, 0, 101])
def test_a_scale_that_is_none(scale):
    with pytest.raises(UsageError, match=r"judge\.scale"):
        reading.build({"task": {"data": "x.csv", "rule": "judge"}, "judge": {"scale": scale}})
