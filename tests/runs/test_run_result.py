"""The typed result: its JSON is what result.json holds, and old code that indexes it goes on."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.reading import describe
from opro_local.runs.repetitions import config_of, figures_of
from opro_local.runs.run import run
from opro_local.runs.run_result import RunProgress, RunResult
from opro_local.runs.store import open_store
from opro_local.runs.winner import WorkedExample
from opro_local.stats import Difference


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    from running import write_reviews

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


def test_the_file_is_its_json_and_a_result_is_a_mapping_that_can_not_change(result):
    found, folder = result
    record = json.loads((folder / "result.json").read_text())
    assert record == found == found.to_json()
    assert list(found) == list(record) and len(found) == len(record)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = "another"
    with pytest.raises(TypeError):
        found["verdict"] = "reliable gain"


def is_read_back(folder) -> bool:
    """Whether the file of a run is byte for byte what is made of it once it was read."""
    text = (folder / "result.json").read_text()
    read = RunResult.from_json(json.loads(text))
    return json.dumps(read.to_json(), indent=2) + "\n" == text


def function_tables(tmp_path) -> dict:
    (tmp_path / "f.py").write_text("def score(text):\n    return len(text) / 7\n")
    return {
        "problem": {"kind": "function", "function": str(tmp_path / "f.py:score")},
        "search": {"seeds": ["a"], "steps": 1, "candidates": 2},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
    }


SOLVER = Path(__file__).parents[1] / "scripted_solver.py"


@pytest.mark.parametrize(
    ("problem", "script"), [("linear-regression", "random_pair"), ("tsp", "random_tour")]
)
def test_a_numeric_result_is_read_back_as_it_was(problem, script, tmp_path):
    optimizer = ('optimizer.engine="scripted"', f'optimizer.script="{SOLVER}:{script}"')
    config = config_of(problem, (*optimizer, "search.steps=1", "search.candidates=2"))
    found = run(config, tmp_path / "run")
    assert is_read_back(tmp_path / "run")
    numeric = figures_of(found)
    assert (numeric.optimum, numeric.gap) == (found["optimum"], found["gap"])
    assert found["best"]["value"] == numeric.value and found.reason == found["reason"]


def test_any_result_is_read_back_as_it_was(result, tables, tmp_path):
    assert is_read_back(result[1])
    run(evaluation_plan(reading.build(tables)), tmp_path / "evaluation")
    assert is_read_back(tmp_path / "evaluation")
    run(reading.build(function_tables(tmp_path)), tmp_path / "function")
    assert is_read_back(tmp_path / "function")


def test_keys_that_a_later_build_adds_survive(result):
    record = {**result[0].to_json(), "later": {"a": 1}}
    assert RunResult.from_json(record).to_json() == record


def test_a_run_that_is_under_way_has_the_shape_of_a_result(result, tmp_path):
    found, folder = result
    shutil.copytree(folder, tmp_path / "run")
    store = open_store(tmp_path / "run")
    store.put(state="interrupted")
    store.close()
    progress = describe(tmp_path / "run")
    assert isinstance(progress, RunProgress)
    record = progress.to_json()
    assert record.keys() <= found.keys()
    assert record["train"]["baseline"] == found["train"]["baseline"]
    assert (record["state"], record["reason"]) == ("interrupted", "interrupted")
    assert record["baseline"] == found["baseline"] and record["calls"] == found["calls"]
    assert not {"verdict", "validation", "test"} & record.keys()


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
    assert is_read_back(tmp_path / "run")
    whole = json.loads((tmp_path / "run" / "best.json").read_text())
    assert whole == found.prompt.to_json() and whole["text"] == "What is it?"
    assert whole["demonstrations"] == found["best"]["demonstrations"]
    assert whole["prompt"].replace(whole["input"], "{input}") == found["best"]["prompt"]
    assert list(found.best.stop) == whole["stop"] == found["best"]["stop"]


def test_an_evaluation_has_a_best_prompt_and_no_verdict(tables, tmp_path):
    found = run(evaluation_plan(reading.build(tables)), tmp_path / "run")
    assert found["kind"] == "evaluation" and found.verdict is None
    assert (found.best.text, found.best.key) == (found["best"]["text"], found["best"]["key"])
    assert found.best.step == 0 and found.best.demonstrations == ()
    assert found.train is found.validation is found.test is None


FORGED = "\x1b]0;title\x07"


def test_no_figure_of_a_forged_result_reaches_the_terminal_as_a_command(result, capsys):
    from rich.console import Console

    from opro_local.cli import printing

    own, _ = result
    best = dataclasses.replace(own.test.best, extraction_failures=FORGED, truncated="[red]x")
    search = dataclasses.replace(own.search, test=dataclasses.replace(own.test, best=best))
    printing._print_search(Console(width=200, force_terminal=True, color_system=None), own, search)
    shown = capsys.readouterr().out
    assert "\\x1b]0;title\\x07" in shown and "\x1b]0" not in shown and "\x07" not in shown
    assert "[red]x" in shown
