"""The verb `export`: what it writes, and the places it takes nothing from."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from running import program

from opro_local.cli.export import export
from opro_local.config import reading
from opro_local.errors import OproError, StoreError, UsageError
from opro_local.runs.finished_prompt import finished_prompt
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.run import run
from opro_local.runs.store import open_store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a finished run."""
    from running import SCRIPT, write_reviews

    folder = tmp_path_factory.mktemp("made")
    script = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(write_reviews(folder / "r.csv")), "input": "text", "target": "label"},
        "scorer": {**script, "max_tokens": 8},
        "optimizer": script,
        "search": {"seeds": ["What is it?"], "steps": 1, "candidates": 2},
    }
    run(reading.build(tables), folder / "run")
    run(evaluation_plan(reading.build(tables)), folder / "evaluation")
    return folder


def test_it_writes_to_stdout_or_a_file(made, tmp_path, capsys):
    said = program("export", str(made / "run"), "--format", "openai")
    record = json.loads(said.stdout)
    assert said.stderr == "" and record["prompt"].count(record["input"]) == 1
    assert record["sampling"] == {"temperature": 0.0, "max_tokens": 8, "stop": ["\nQ:"]}
    out = tmp_path / "p.json"
    export(made / "run", "openai", out)
    assert out.read_text() == said.stdout and capsys.readouterr().out == f"Written: {out}\n"


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made / "run", tmp_path / "run")


def edit(copy, text):
    with closing(sqlite3.connect(copy / "run.sqlite", isolation_level=None)) as raw:
        raw.execute(text)


def test_what_is_no_run_of_a_search_is_refused_in_one_line(made):
    with pytest.raises(StoreError, match="there is no run"):
        finished_prompt(made / "none")
    with pytest.raises(UsageError, match="an evaluation chooses no prompt"):
        finished_prompt(made / "evaluation")
    said = program("export", str(made / "run"), "--format", "word")
    assert said.returncode == 2 and "accepted: openai, python" in said.stderr
    assert said.stdout == "" and said.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "damage", ["best.json", "UPDATE meta SET value = replace(value, 'What', 'Who')"]
)
def test_nothing_is_taken_from_a_damaged_run(copy, damage):
    if damage == "best.json":
        text = (copy / damage).read_text()
        (copy / damage).write_text(text.replace("What", "Who"))
    else:
        edit(copy, damage)
    with pytest.raises(StoreError, match="opro-local verify"):
        finished_prompt(copy)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"state": "interrupted"}, "not finished"),
        ({"config": {"problem": {"kind": "tsp"}}}, "a run of kind tsp has no prompt"),
        ({"prompt": {"format": "opro-local prompt", "version": 9}}, "not version 1"),
    ],
)
def test_a_run_that_has_no_prompt_to_give_is_refused(copy, change, what):
    (copy / "best.json").unlink()
    store = open_store(copy)
    store.put(**change)
    store.close()
    with pytest.raises(OproError, match=re.escape(what)) as raised:
        finished_prompt(copy)
    assert raised.value.exit_code == 2
