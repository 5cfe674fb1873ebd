"""`list` and `compare`, and tables that lose no word on a narrow terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.console import Console
from running import SCRIPT, program, sets, write_config, write_reviews
from typer.testing import CliRunner

import opro_local
from opro_local.cli.main import app
from opro_local.cli.tables import print_table


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs on the same rows, the second from better prompts; a third on other rows."""
    folder = tmp_path_factory.mktemp("desk")
    role = {"engine": "scripted", "script": SCRIPT, "model": "./my-model"}
    tables = {
        "task": {"data": str(write_reviews(folder / "r.csv")), "input": "text", "target": "label"},
        "scorer": role,
        "optimizer": role,
        "search": {"steps": 1, "candidates": 2, "mode": "opro", "metaprompt": "continuation"},
    }
    file = write_config(folder / "c.toml", tables)
    for name, more in {
        "a": ("search.seeds=['What?']", "search.steps=0"),
        "b": ("search.seeds=['What is it?']",),
        "c": ("task.test_rows=5",),
    }.items():
        told = program("run", str(file), "--run", str(folder / "runs" / name), *sets(*more))
        assert told.returncode == 0, told.stderr
    return folder / "runs"


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory) -> Path:
    """Prompts evaluated, each run on a split of its own."""
    folder = tmp_path_factory.mktemp("evaluations")
    rows = [{"text": f"{n} and more", "label": ("good", "bad")[n % 2]} for n in range(60)]
    (folder / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tables = {
        "task": {"data": str(folder / "r.jsonl"), "input": "text", "target": "label"},
        "scorer": {"engine": "scripted", "script": SCRIPT},
    }
    for split, prompts in {
        "test": ["What is it?", "Which?"],
        "train": ["What is it?"],
        "validation": ["What is it?"],
    }.items():
        opro_local.evaluate(tables, prompt=prompts, split=split, run=folder / "runs" / split)
    return folder / "runs"


def listed(folder: Path, *more: str) -> str:
    came = CliRunner().invoke(app, ["list", str(folder), *more])
    assert came.exit_code == 0, came.output
    return came.stdout


WIDE = {name: value for name, value in os.environ.items() if name != "COLUMNS"}


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_list_shows_test_before_train_and_sorts(runs):
    told = program("list", str(runs), env=WIDE)
    assert told.returncode == 0, told.stderr
    head, *lines = told.stdout.splitlines()
    names = ["run", "state", "test", "baseline", "gain", "verdict", "train", "steps", "model"]
    assert head.split() == [*names, "date"]
    assert [line.split()[0] for line in lines] == [str(runs / name) for name in "abc"]
    test = result(runs / "b")["test"]
    for part in (f"{100 * test['best']['accuracy']:.1f}", result(runs / "b")["verdict"]):
        assert part in lines[1]
    assert all("my-model" in line and "20" in line.split()[-2] for line in lines)
    by_test = program("list", str(runs), "--sort", "test", env=WIDE).stdout.splitlines()[1:]
    values = [result(Path(line.split()[0]))["test"]["best"]["accuracy"] for line in by_test]
    assert values == sorted(values, reverse=True)
    rows = json.loads(program("list", str(runs), "--json").stdout)
    assert set(rows[0]) == {"path", "name", "state", "steps", "best", "shares"}


def test_an_evaluation_is_listed_with_its_accuracy_and_interval(evaluations, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = listed(evaluations).splitlines()[1:]
    rows = json.loads(listed(evaluations, "--json"))
    whats = ("best of 2 prompts on test", "prompt on train", "prompt on validation")
    for line, row, what in zip(lines, rows, whats, strict=True):
        prompts = result(Path(row["path"]))["prompts"]
        best = max(prompts, key=lambda prompt: prompt["accuracy"])
        low, high = (100 * bound for bound in best["interval"])
        assert f"{what}: {100 * best['accuracy']:.1f} ({low:.1f} to {high:.1f})" in line
        assert row["evaluation"]["best"]["accuracy"] == best["accuracy"]
        assert row["evaluation"]["split"] == Path(row["path"]).name
    prompts = result(evaluations / "test")["prompts"]
    figures = [f"{100 * prompt['accuracy']:.1f}" for prompt in prompts]
    assert lines[0].split()[2:4] == [max(figures, key=float), figures[0]]
    assert f"{100 * result(evaluations / 'train')['prompts'][0]['accuracy']:.1f} %" in lines[1]


def test_list_loses_no_word_on_60_columns(runs):
    wide, narrow = (
        program("list", str(runs), env=env).stdout for env in (WIDE, {**WIDE, "COLUMNS": "60"})
    )
    words = narrow.replace(",", " ").split()
    assert [word for word in wide.split()[1:] if word not in words] == []
    lines = [line for line in narrow.splitlines() if not line.startswith("/")]
    assert lines and max(map(len, lines)) <= 60


def test_compare_pairs_the_winners_on_the_same_rows(runs):
    record = json.loads(program("compare", str(runs / "a"), str(runs / "b"), "--json").stdout)
    a, b = (result(runs / name)["test"]["best"]["accuracy"] for name in "ab")
    assert record["why_not_paired"] is None
    assert record["difference"]["value"] == pytest.approx(b - a)
    assert record["a"]["best"] == result(runs / "a")["best"]
    told = program("compare", str(runs / "a"), str(runs / "b"))
    assert told.returncode == 0, told.stderr
    assert f"rows B - A is {100 * (b - a):+.1f} points" in told.stdout
    assert result(runs / "b")["best"]["text"] in told.stdout


def test_compare_says_where_the_rows_are_not_the_same(runs):
    told = program("compare", str(runs / "a"), str(runs / "c"))
    assert told.returncode == 0, told.stderr
    assert "No paired difference: the runs were tested on different rows (" in told.stdout


def test_a_table_that_does_not_fit_is_a_row_at_a_time(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    names, rows = ("split", "extraction failures"), [("validation\x1b[2J", "12")]
    print_table(Console(), names, rows, {"split"})
    assert capsys.readouterr().out.splitlines()[1].split() == ["validation\\x1b[2J", "12"]
    monkeypatch.setenv("COLUMNS", "30")
    print_table(Console(), names, rows, {"split"})
    assert capsys.readouterr().out.splitlines() == [
        "validation\\x1b[2J",
        "  extraction failures 12",
    ]


def test_a_result_loses_no_word_on_60_columns(runs):
    wide = program("show", str(runs / "b"), env=WIDE).stdout
    narrow = program("show", str(runs / "b"), env={**WIDE, "COLUMNS": "60"}).stdout
    words = narrow.replace(",", " ").split()
    missing = [word for word in wide.replace(",", " ").split() if word not in words]
    # Of a row at a time the first value needs no name.
    assert set(missing) <= {"split", "class", "proposed", "by"} and "…" not in narrow
    assert "extraction failures 0" in " ".join(narrow.split())
