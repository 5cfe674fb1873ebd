"""The typed result: it says what the record says, and old code that indexes it goes on working."""

import dataclasses
import json

import pytest

from opro_local.config import reading
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult, WorkedExample
from opro_local.stats import Difference


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    from running import SCRIPT, write_reviews

    folder = tmp_path_factory.mktemp("typed")
    write_reviews(folder / "reviews.csv")
    model = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(folder / "reviews.csv"), "input": "text", "target": "label"},
        "scorer": model,
        "optimizer": model,
        "search": {"steps": 1, "candidates": 2, "seeds": ["What is it?"]},
        "run": {"cache": False},
    }
    return run(reading.build(tables), folder / "run"), folder / "run"


def test_attributes_say_what_the_record_says(result):
    found, _ = result
    assert (found.best.text, found.best.step) == (found["best"]["text"], found["best"]["step"])
    shown = [dataclasses.asdict(example) for example in found.best.demonstrations]
    assert shown == found["best"].get("demonstrations", [])
    for split in ("train", "validation", "test"):
        sides = getattr(found, split)
        assert sides.best.accuracy == found[split]["best"]["accuracy"]
        assert list(sides.baseline.interval) == found[split]["baseline"]["interval"]
    difference = found["test"]["difference"]
    low, high = difference["interval"]
    assert found.test.difference == Difference(
        difference["value"], (low, high), difference["p_value"]
    )
    assert found.train.difference is None
    assert found.verdict == found["verdict"] and list(found.summary) == found["summary"]
    assert (found.baseline, found.digest) == ("What is it?", found["digest"])


def test_the_file_holds_the_record_and_a_result_is_a_mapping_that_can_not_change(result):
    found, folder = result
    assert json.loads((folder / "result.json").read_text()) == found == found.to_json()
    assert list(found) == list(found.to_json()) and len(found) == len(found.record)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.record = {}
    with pytest.raises(TypeError):
        found["verdict"] = "reliable gain"


def test_what_was_not_opened_is_none():
    assert RunResult({"train": None}).test is None


def test_worked_examples_come_with_their_input_and_answer(tables, tmp_path):
    rows = make_plan(reading.build(tables)).problem.rows["train"][:2]
    start = {"text": "What is it?", "demonstrations": [row.id for row in rows]}
    tables["search"] = {"mode": "opro", "metaprompt": "continuation", "steps": 1, "candidates": 1}
    tables["search"]["seeds"] = [start]
    found = run(reading.build(tables), tmp_path / "run")
    assert found["best"]["step"] == 0
    assert found.best.demonstrations == tuple(
        WorkedExample(row.id, row.input, row.target) for row in rows
    )


def test_an_evaluation_has_a_best_prompt_and_no_verdict(tables, tmp_path):
    found = run(evaluation_plan(reading.build(tables)), tmp_path / "run")
    assert found["kind"] == "evaluation" and found.verdict is None
    assert (found.best.text, found.best.key) == (found["best"]["text"], found["best"]["key"])
    assert found.best.step == 0 and found.best.demonstrations == ()
    assert found.train is found.validation is found.test is None
