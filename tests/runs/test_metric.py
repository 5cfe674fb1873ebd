"""`task.metric`: what is searched for, chosen by and reported is the metric, beside accuracy."""

from __future__ import annotations

import csv
import itertools
import json
import re

import numpy as np
import pytest
from running import SCRIPT, write_config
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.runs.driver import drive
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult
from opro_local.search.trajectory import Trajectory
from opro_local.types import Request

RARE, COMMON = "Find the rare ones?", "Answer ham?"


@pytest.fixture
def mails(tmp_path):
    """Four hundred mails, one in ten of them spam."""
    path = tmp_path / "mails.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"mail {n}", "spam" if n % 10 == 0 else "ham") for n in range(400)]
        csv.writer(stream).writerows([("text", "label"), *rows])
    return path


def answer(request: Request) -> str:
    """With RARE all spam is found and a part of the ham is called spam; else all is ham."""
    if request.sampling.seed is not None:
        return "Find the rare ones?" if request.sampling.seed % 2 else "Say ham always?"
    text = request.prompt.text
    number = int(re.findall(r"mail (\d+)", text)[-1])
    if "rare" not in text:
        return "ham"
    return "spam" if number % 10 == 0 or number % 6 == 1 else "ham"


def tables(mails, metric, **evaluation):
    return {
        "task": {"data": str(mails), "input": "text", "target": "label", "metric": metric},
        "scorer": {"engine": "scripted", "script": SCRIPT, "max_tokens": 8},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": [COMMON], "steps": 2, "candidates": 4, "metaprompt": "continuation"},
        "evaluation": evaluation,
        "run": {"seed": 3},
    }


def searched(tables):
    """A search driven alone: its plan, trajectory and end."""
    plan, trajectory = make_plan(reading.build(tables)), Trajectory()
    engine = ScriptedEngine.of(answer)
    ended = drive(plan.search(trajectory), {"optimizer": engine, "scorer": engine}, trajectory)
    return plan, trajectory, ended


@pytest.mark.parametrize(
    ("metric", "mode"),
    [
        *(("macro_f1", "full"), ("balanced_accuracy", "halve"), ("f1:spam", "subset")),
        ("mcc", "halve"),
    ],
)
def test_the_metric_steers_the_search_where_accuracy_would_not(mails, metric, mode):
    plan, trajectory, ended = searched(tables(mails, metric, mode=mode))
    assert ended.best.text == RARE
    _, _, plain = searched(tables(mails, "accuracy", mode=mode))
    assert plain.best.text == COMMON
    outcome = plan.summarize(trajectory, ended, 0.05)
    assert outcome.test.best.metric.name == metric
    assert outcome.test.best.metric.value > outcome.test.baseline.metric.value
    assert outcome.test.best.accuracy < outcome.test.baseline.accuracy
    assert outcome.verdict == "reliable gain" and outcome.test.difference.value > 0.1
    assert outcome.test.accuracy_difference.value < 0


def test_a_solutions_score_is_the_metrics_value(mails):
    plan, trajectory, _ = searched(tables(mails, "balanced_accuracy"))
    entry = next(e for e in trajectory.entries if e.solution.text == RARE)
    targets = np.array(plan.problem.targets())
    right = entry.score.values == 1
    recalls = [right[targets == label].mean() for label in ("ham", "spam")]
    assert entry.score.value == pytest.approx(np.mean(recalls))
    assert entry.score.accuracy == pytest.approx(right.mean())
    shown = plan.problem.format_score(entry.score.value)
    assert shown == str(round(100 * entry.score.value))


def test_mcc_below_zero_is_shown_with_its_sign(mails):
    plan = make_plan(reading.build(tables(mails, "mcc")))
    assert plan.problem.format_score(-0.25) == "-25"


@pytest.mark.parametrize(
    ("metric", "evaluation", "message"),
    [
        ("mcc", {"mode": "race"}, 'evaluation.mode = "race" compares means of rows'),
        ("f1:eggs", {}, "no row has the label 'eggs'; there are: ham, spam"),
        ("auc", {}, "unknown metric 'auc'"),
    ],
)
def test_what_can_not_be_had_is_said_before_the_run(mails, metric, evaluation, message):
    with pytest.raises(UsageError, match=message):
        make_plan(reading.build(tables(mails, metric, **evaluation)))


def test_a_race_goes_on_with_means(mails):
    make_plan(reading.build(tables(mails, "mean", mode="race")))


def test_a_stored_run_resumes_and_its_result_is_read_back(on_reviews, tmp_path):
    whole = run(reading.build(on_reviews), tmp_path / "whole")
    answered = itertools.count(1)
    with pytest.raises(Interrupted):
        listener = Listener(should_stop=lambda: next(answered) >= 4)
        run(reading.build(on_reviews), tmp_path / "cut", listener)
    halfway = describe(tmp_path / "cut")
    assert halfway.train.best.metric.name == "macro_f1"
    assert halfway.train.baseline.value != halfway.train.baseline.accuracy
    again = run(reading.build(on_reviews), tmp_path / "cut")
    assert again.digest == whole.digest
    record = whole.to_json()
    assert RunResult.from_json(json.loads(json.dumps(record))).to_json() == record
    best = record["test"]["best"]
    assert best["metric"]["name"] == "macro_f1" and best["accuracy"] != best["metric"]["value"]
    assert record["summary"][0].startswith("On 24 test rows macro_f1, which was optimized: ")
    assert record["summary"][1].startswith("Accuracy: baseline ")


@pytest.fixture
def on_reviews(reviews):
    made = tables(reviews, "macro_f1")
    made["search"]["seeds"] = ["What is it?"]
    return made


def test_the_command_line_names_the_metric_and_accuracy(on_reviews, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # wide enough for tables
    config = write_config(tmp_path / "c.toml", on_reviews)
    said = CliRunner().invoke(app, ["run", str(config), "--run", str(tmp_path / "r"), "-v"])
    assert said.exit_code == 0, said.output
    assert re.search(r"step 0: 1 scored, 0 rejected, best \d+\.\d % macro_f1", said.output)
    assert re.search(r"\d+\.\d % \(accuracy \d+\.\d %\)  What is it\?", said.output)
    assert re.search(r"macro_f1 +rows", said.output)
    said = CliRunner().invoke(
        app,
        ["evaluate", str(config), "--run", str(tmp_path / "e"), "--prompt", "A", "--prompt", "B"],
    )
    assert said.exit_code == 0 and "macro_f1" in said.output, said.output
