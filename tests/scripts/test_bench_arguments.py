"""What the search benches are given: a wrong argument ends in one line, before a model is loaded."""

from __future__ import annotations

import json

import pytest

ROW = {"task": "topics", "seed": 0, "mode": "joint", "test": 0.5, "baseline": 0.5, "labels": 7}
SEARCHES = ("search", "token_search", "nearest")
READERS = ("exchange", "vote")


@pytest.fixture
def folder(tmp_path):
    """With a model that nobody can load, runs, and files of several kinds."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    run = tmp_path / "runs" / "topics" / "joint" / "0" / "run"
    run.mkdir(parents=True)
    (run / "result.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "nothing.json").write_text("")
    (tmp_path / "object.json").write_text('{"a": 1}')
    (tmp_path / "numbers.json").write_text("[1, 2]")
    (tmp_path / "rows.json").write_text(json.dumps([ROW]))
    return tmp_path


def refused(script, capsys, name, *arguments):
    with pytest.raises(SystemExit, match="2"):
        script(name, *map(str, arguments))
    *usage, line = capsys.readouterr().err.strip().splitlines()
    assert usage[0].startswith("usage: ")
    return line


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tasks", "nosuch"), "there is no 'nosuch'; accepted: reviews,"),
        (("--tasks", "topics,"), "there is no ''"),
        (("--modes", "nosuch"), "there is no 'nosuch'; accepted: "),
        (("--seeds", "0"), "'0' is no whole number from 1 on"),
        (("--seeds", "-1"), "from 1 on"),
        (("--seeds", "1.5"), "from 1 on"),
        (("--rows", "0"), "from 2 on"),
        (("--rows", "100000"), "--rows 100000: topics has "),
        (("--model", "nosuch"), "'nosuch' is no folder with a model"),
        (("--out", "nosuch/rows.json"), "there is no folder "),
        (("--out", "text.json"), "is no JSON"),
        (("--out", "nothing.json"), "is no JSON"),
        (("--out", "object.json"), "has no rows of bench_search.py"),
        (("--out", "numbers.json"), "has no rows of bench_search.py"),
        (("--out", "empty"), "can't be read: Is a directory"),
    ],
)
def test_a_wrong_argument_of_a_search(script, capsys, folder, monkeypatch, name, arguments, words):
    pytest.importorskip({"token_search": "torch", "nearest": "sklearn"}.get(name, "numpy"))
    monkeypatch.chdir(folder)
    right = ("--model", "model", "--out", "rows.json", "--tasks", "topics")
    assert words in refused(script, capsys, name, *right, *arguments)


@pytest.mark.parametrize("name", ["search", "token_search"])
@pytest.mark.parametrize("pairs", ["0", "1", "47"])
def test_pairs_that_score_nothing(script, capsys, folder, name, pairs):
    pytest.importorskip("torch" if name == "token_search" else "numpy")
    given = ("--model", folder / "model", "--out", folder / "new.json", "--tasks", "topics")
    assert "--pairs" in refused(script, capsys, name, *given, "--pairs", pairs)


def test_rows_of_another_budget_are_not_gone_on_with(script, capsys, folder):
    pytest.importorskip("torch")
    asked = {"rows": 24, "pairs": 600, "model": "model"}
    (folder / "rows.json").write_text(json.dumps([{**ROW, "asked": asked}]))
    given = ("--model", folder / "model", "--out", folder / "rows.json", "--tasks", "topics")
    line = refused(script, capsys, "token_search", *given, "--pairs", "150")
    assert "--out has rows of a search with rows 24, pairs 600, model model" in line


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--runs", "nosuch"), "'nosuch' has no finished runs"),
        (("--runs", "empty"), "'empty' has no finished runs"),
        (("--runs", "rows.json"), "has no finished runs"),
        (("--tasks", "nosuch"), "there is no 'nosuch'"),
        (("--modes", "nosuch"), "there is no 'nosuch'"),
        (("--seeds", "0"), "from 1 on"),
        (("--out", "nosuch/rows.json"), "there is no folder"),
    ],
)
def test_a_wrong_argument_of_what_reads_runs(
    script, capsys, folder, monkeypatch, name, arguments, words
):
    monkeypatch.chdir(folder)
    assert words in refused(script, capsys, name, "--runs", "runs", *arguments)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("nosuch", "can't be read: No such file"),
        ("empty", "can't be read: Is a directory"),
        ("text.json", "is no JSON"),
        ("nothing.json", "is no JSON"),
        ("object.json", "has no rows"),
        ("numbers.json", "has no rows"),
    ],
)
def test_a_file_that_is_no_table(script, capsys, folder, monkeypatch, file, words):
    monkeypatch.chdir(folder)
    assert words in refused(script, capsys, "search_table", file)
    if file != "nosuch":
        assert "is not what `ask` writes" in refused(
            script, capsys, "label_probability", "table", "--reads", file
        )


def test_reads_that_are_not_there(script, capsys, folder):
    for verb, file, words in (
        ("table", folder / "nosuch", "is not what `ask` writes"),
        ("ask", folder / "nosuch" / "reads", "there is no folder"),
        ("ask", folder / "text.json", "is not what `ask` writes"),
    ):
        assert words in refused(script, capsys, "label_probability", verb, "--reads", file)
