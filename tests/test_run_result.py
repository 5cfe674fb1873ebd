"""The typed result: it says what the record says, and old code that indexes it goes on working."""

import dataclasses
import json

import pytest

from opro_local.config import reading
from opro_local.runs.run import run
from opro_local.runs.run_result import Difference, RunResult


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
    assert list(found.best.demonstrations) == found["best"].get("demonstrations", [])
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
