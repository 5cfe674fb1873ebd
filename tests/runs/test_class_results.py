"""Runs of labelled tasks: classes in result and `show`, one answer only, format against content."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult

FIRST, BETTER = "What is it?", "Name the kind."
# Two thirds of the rows are "good".
ROWS = [(f"Number {i} is {'bad' if i % 3 == 2 else 'good'}", i) for i in range(150)]


@pytest.fixture
def labelled(tables, tmp_path):
    lines = [f"{text},{'bad' if 'bad' in text else 'good'}" for text, _ in ROWS]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    tables["task"] = {
        "data": str(tmp_path / "rows.csv"),
        "input": "text",
        "target": "label",
        "split": [0.4, 0.2, 0.4],
    }
    tables["search"] = {
        "mode": "opro",
        "steps": 1,
        "candidates": 1,
        "seeds": [FIRST, BETTER],
        "metaprompt": "continuation",
    }
    return reading.build(tables)


def truth(prompt: str) -> str:
    return "bad" if "bad" in prompt.rpartition("Number")[2] else "good"


def finished(plan, folder, first, better) -> RunResult:
    """A run whose model answers the first prompt with one function and the other with another."""

    def answer(request) -> str:
        text = f"{request.prompt.system or ''}{request.prompt.text}"
        if BETTER in text:
            return better(text)
        return first(text) if "Number" in text else "x"

    engine = ScriptedEngine.of(answer)
    others = {role: engine for role in plan.models}
    return run(replace(plan, models={}, others=others), folder)


def shown(folder) -> str:
    said = CliRunner().invoke(app, ["show", str(folder)], env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    return said.output


def test_classes_and_a_prompt_that_always_gives_one_answer(labelled, tmp_path):
    folder = tmp_path / "run"
    found = finished(make_plan(labelled), folder, lambda text: "good", truth)
    assert found.best.text == BETTER and found.verdict == "reliable gain"
    for sides in (found.validation, found.test):
        before, now = sides.baseline.classes, sides.best.classes
        assert before.always == "good" and now.always is None
        assert before.majority == "good" and before.balanced_accuracy == 0.5
        assert before.classes["bad"].answers == {"good": before.classes["bad"].rows}
        assert now.classes["bad"].answers == {"bad": now.classes["bad"].rows}
        assert before.majority_share == sides.baseline.accuracy and now.macro_f1 == 1.0
    assert found.train.best.classes is None
    record = json.loads((folder / "result.json").read_text())
    assert record["test"]["baseline"]["classes"]["always"] == "good"
    assert RunResult.from_json(record).to_json() == record
    text = shown(folder)
    assert "The baseline prompt always gives one answer, 'good'" in text
    share = 100 * found.test.baseline.accuracy
    assert f"The largest class, 'good', is {share:.1f} % of the test rows" in text
    bad = found.test.best.classes.classes["bad"].rows
    (line,) = (line.split() for line in text.splitlines() if line.startswith("bad "))
    assert line == ["bad", str(bad), "0.0", "%", "100.0", "%", "100.0", "%", "100.0", "%"]
    assert "+0.0 points are format" in text and "points content" in text


@pytest.mark.parametrize(
    ("shares", "split"), [([0.6, 0.4, 0.0], "validation"), ([1.0, 0.0, 0.0], "train")]
)
def test_without_test_rows_classes_are_counted_where_there_are_some(
    labelled, shares, split, tmp_path
):
    task = labelled.task.model_copy(update={"split": tuple(shares)})
    config = labelled.model_copy(update={"task": task})
    found = finished(make_plan(config), tmp_path / "run", lambda text: "good", truth)
    assert getattr(found, split).baseline.classes.always == "good"
    assert "The baseline prompt always gives one answer, 'good'" in " ".join(found.summary)
    text = shown(tmp_path / "run")
    assert f"% of the {split} rows" in text and "right before" in text


def test_a_gain_of_format_alone_is_called_so(labelled, tmp_path):
    found = finished(make_plan(labelled), tmp_path / "run", lambda text: "well ...", truth)
    assert found.verdict == "reliable gain"
    gain = found.test.gain
    assert (gain.format, gain.content) == (1.0, 0.0) and gain.format_rows == found.test.best.n
    assert "+100.0 points are format" in shown(tmp_path / "run")


def test_without_a_gain_the_first_prompt_is_to_be_kept(labelled, tmp_path):
    found = finished(make_plan(labelled), tmp_path / "run", truth, truth)
    assert found.verdict == "no reliable gain"
    assert "Verdict: no reliable gain. Keep your first prompt." in found.summary


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_evaluation_counts_by_class_on_any_split(labelled, split, tmp_path):
    evaluation = labelled.evaluation.model_copy(update={"split": split})
    config = labelled.model_copy(update={"evaluation": evaluation})
    folder = tmp_path / "run"
    found = finished(evaluation_plan(config), folder, lambda text: "bad", truth)
    first, second = found.evaluation.prompts
    assert first.figures.classes.always == "bad" and second.figures.classes.macro_f1 == 1.0
    text = shown(folder)
    assert "Prompt 1 always gives one answer, 'bad'." in text and "Prompt 2 always" not in text


@pytest.mark.parametrize(
    ("rule", "target"), [("exact", "label"), ("contains", "label"), ("number", "count")]
)
def test_where_answers_are_no_classes_there_are_none(labelled, rule, target, tmp_path):
    lines = [f"{text},{'bad' if 'bad' in text else 'good'},{i}" for text, i in ROWS]
    (tmp_path / "rows.csv").write_text("text,label,count\n" + "\n".join(lines) + "\n")
    task = labelled.task.model_copy(update={"rule": rule, "target": target})
    config = labelled.model_copy(update={"task": task})
    found = finished(make_plan(config), tmp_path / "run", truth, truth)
    assert found.test.best.classes is None and found.test.gain is not None


def test_a_target_in_other_words_is_the_class_it_is_read_as(labelled, tmp_path):
    """Under the rule boolean the classes are called as the targets are."""
    lines = [f"{text},{'No' if 'bad' in text else 'Yes'}" for text, _ in ROWS]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    task = labelled.task.model_copy(update={"rule": "boolean"})
    config = labelled.model_copy(update={"task": task})
    found = finished(
        make_plan(config), tmp_path / "run", lambda text: "yes", lambda text: "It is true."
    )
    classes = found.test.baseline.classes
    assert set(classes.classes) == {"Yes", "No"} and classes.always == "Yes"
