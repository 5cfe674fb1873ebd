"""A command given again after something changed: what is refused, what stays, and which folder it
takes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from running import SCRIPT, write_config
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.runs.events import Listener
from opro_local.runs.naming import run_folder
from opro_local.runs.plans import Plan, make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.reading import describe, overview
from opro_local.runs.run import run
from opro_local.runs.store import open_store

RULE = "def score(answer, target, columns):\n    return answer.strip() == target\n"


@pytest.fixture
def ruled(tables, tmp_path) -> Path:
    """The user's own rule, in the config."""
    path = tmp_path / "rule.py"
    path.write_text(RULE)
    tables["task"]["rule"] = f"{path}:score"
    return path


def refused(tables, folder, said: str) -> None:
    """The config is refused for this folder, and what had been finished there stays."""
    before = describe(folder)
    assert before.state == "finished"
    with pytest.raises(UsageError, match=said):
        run(make_plan(reading.build(tables)), folder)
    assert describe(folder) == before


def test_a_changed_rule_file_is_refused_and_the_result_stays(tables, ruled, tmp_path):
    run(make_plan(reading.build(tables)), tmp_path / "run")
    ruled.write_text(RULE.replace("answer.strip() == target", "True"))
    refused(tables, tmp_path / "run", "rule changed")


def test_a_changed_rule_file_is_refused_by_an_evaluation(tables, ruled, tmp_path):
    run(evaluation_plan(reading.build(tables)), tmp_path / "run")
    ruled.write_text(RULE.replace("answer.strip() == target", "True"))
    with pytest.raises(UsageError, match="rule changed"):
        run(evaluation_plan(reading.build(tables)), tmp_path / "run")


def test_a_changed_column_is_refused_where_it_is_shown(tables, reviews, tmp_path):
    lines = [
        f"{line},{place}" for place, line in enumerate(reviews.read_text("utf-8").splitlines())
    ]
    lines[0] = f"{lines[0].rpartition(',')[0]},shop"
    reviews.write_text("\n".join(lines) + "\n", "utf-8")
    shown = {**tables, "task": {**tables["task"], "template": "{instruction} {shop}: {text}"}}
    run(make_plan(reading.build(shown)), tmp_path / "shown")
    run(make_plan(reading.build(tables)), tmp_path / "hidden")
    lines[3] += "0"
    reviews.write_text("\n".join(lines) + "\n", "utf-8")
    refused(shown, tmp_path / "shown", "data changed")
    run(make_plan(reading.build(tables)), tmp_path / "hidden")


def test_a_result_stays_where_the_stored_requests_differ(tables, reviews, tmp_path):
    """As from an engine whose card changed: found only while the run is replayed."""
    ready = make_plan(reading.build(tables))
    run(ready, tmp_path / "run")
    before = describe(tmp_path / "run")
    reviews.write_text(reviews.read_text("utf-8").replace("was good", "is good"), "utf-8")
    other = replace(make_plan(reading.build(tables)), identity=ready.identity)
    with pytest.raises(UsageError, match=r"the requests of 0/\w+ differ"):
        run(other, tmp_path / "run")
    assert describe(tmp_path / "run") == before


def test_a_search_and_an_evaluation_of_one_config_have_folders_of_their_own(
    tmp_path, monkeypatch, tables
):
    monkeypatch.chdir(tmp_path)
    write_config(Path("c.toml"), tables)
    for verb in ("run", "evaluate", "run", "evaluate"):
        said = CliRunner().invoke(app, [verb, "c.toml"])
        assert said.exit_code == 0, said.output
    assert sorted(path.name.rpartition("-")[0] for path in Path("runs").iterdir()) == [
        "run",
        "run-evaluate",
    ]


def test_steps_that_a_schedule_depends_on_have_a_folder_of_their_own(tables):
    def folder(**search):
        return run_folder(reading.build({**tables, "search": {**tables["search"], **search}}), None)

    assert folder(steps=2) == folder(steps=3)
    linear = {"schedule": "linear", "temperature_end": 0.5}
    assert folder(steps=2, **linear) != folder(steps=3, **linear)


@pytest.fixture
def own_scale(tmp_path) -> Plan:
    """A search whose objective is no share of rows."""
    (tmp_path / "f.py").write_text("def score(text):\n    return 250.375\n")
    return make_plan(
        reading.build(
            {
                "problem": {"kind": "function", "function": str(tmp_path / "f.py:score")},
                "search": {"seeds": ["a"], "steps": 0},
                "optimizer": {"engine": "scripted", "script": SCRIPT},
            }
        )
    )


def test_a_run_of_an_earlier_build_does_not_break_the_list(own_scale, tmp_path):
    """It does not say that its scores have a scale of their own."""
    run(own_scale, tmp_path / "runs" / "a")
    store = open_store(tmp_path / "runs" / "a")
    store.put(state="interrupted", shares=None)
    store.close()
    (row,) = overview(tmp_path / "runs")
    assert row.best == 250.375


def test_objectives_of_their_own_scale_are_no_percentages(own_scale, tmp_path, monkeypatch):
    """Neither in the list nor of a run that is not finished."""
    monkeypatch.setenv("COLUMNS", "200")  # wide enough for a table
    monkeypatch.chdir(tmp_path)
    run(own_scale, tmp_path / "runs" / "a")
    said = CliRunner().invoke(app, ["list"])
    assert "250.375" in said.output.split() and "%" not in said.output

    def stop(event):
        if describe(tmp_path / "runs" / "b").solutions:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(own_scale, tmp_path / "runs" / "b", Listener(stop))
    _, row = overview(tmp_path / "runs")
    assert (row.state, row.shares) == ("interrupted", False)
    said = CliRunner().invoke(app, ["show", "runs/b"])
    assert "250.375" in said.output and "%" not in said.output
