"""`opro-local tasks`: list, show and validate, their JSON, their exit codes and one line per
mistake.
"""

from __future__ import annotations

import json

import pytest
import typer
from hub import write_parquet
from typer.testing import CliRunner

from opro_local.cli import tasks as verbs
from opro_local.errors import DataError, OproError, UsageError
from opro_local.tasks.loading import names


def run(*arguments):
    """The output of `opro-local tasks ...`; its error, if there is one, is raised as main() sees
    it.
    """
    app = typer.Typer()
    app.add_typer(verbs.app, name="tasks")
    found = CliRunner().invoke(app, ["tasks", *map(str, arguments)])
    if isinstance(found.exception, OproError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def write_bbh(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"examples": rows}))


@pytest.fixture
def data(tmp_path):
    """Two sound tasks, and one with the row that is broken as published."""
    write_bbh(
        tmp_path / "bbh",
        "object_counting",
        [{"input": f"{n} eggs?", "target": str(n)} for n in range(10)],
    )
    rows = [{"input": f"Film {n}?\nOptions:\n(A) x\n(B) y", "target": "(A)"} for n in range(200)]
    rows[163] = {"input": "Film?\nOptions:\n(A) Monsters\n(B) Inc", "target": "Monsters, Inc"}
    write_bbh(tmp_path / "bbh", "movie_recommendation", rows)
    write_parquet(tmp_path / "multiarith", test=[{"question": "1+1?", "final_ans": "2"}])
    return tmp_path


def test_list(data):
    found = json.loads(run("list", "--data-dir", data, "--json"))
    assert [row["name"] for row in found] == names() and len(found) == 1 + 27 + 4 + 57 + 2
    rows = {row["name"]: row["rows"] for row in found if row["rows"] is not None}
    assert rows == {"bbh/object_counting": 10, "bbh/movie_recommendation": 200, "multiarith": 1}
    assert {row["version"] for row in found} == {1} and {row["error"] for row in found} == {None}
    lines = run("list", "--data-dir", data).splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["bbh/movie_recommendation", "version", "1", "200", "rows"],
        ["bbh/object_counting", "version", "1", "10", "rows"],
        ["multiarith", "version", "1", "1", "row"],
    ]
    # What is not there is one line, not one each.
    assert lines[-1].startswith(f"not in {data}: gsm8k, bbh (25 tasks), mmlu (61 tasks)")


def test_list_without_a_folder_and_with_a_broken_file(data):
    assert all(row["rows"] is None for row in json.loads(run("list", "--json")))
    (data / "bbh" / "snarks.json").write_text("{}")
    (row,) = [row for row in json.loads(run("list", "--data-dir", data, "--json")) if row["error"]]
    assert (row["name"], row["rows"]) == ("bbh/snarks", None)
    assert row["error"].startswith(f"{data}/bbh/snarks.json:1: no list called examples")


def test_show(data):
    found = json.loads(run("show", "bbh/object_counting", "--data-dir", data, "--row", 1, "--json"))
    assert found["splits"] == {"train": 2, "test": 8}
    assert (found["rule"], found["kind"], found["version"], found["stop"]) == (
        "number",
        "number",
        1,
        [],
    )
    # np.random.seed(0); np.sort(np.random.choice(10, 2, replace=False)) is [2, 8].
    assert found["row"] == {
        "id": "object_counting:8",
        "where": f"{data}/bbh/object_counting.json:9",
        "system": None,
        "prompt": "Let's solve the problem.\n8 eggs?",
        "target": "8",
    }
    shown = run("show", "bbh/object_counting", "--data-dir", data)
    assert "rule number  kind number  train 2, test 8" in shown
    assert "\nLet's solve the problem.\n2 eggs?\n\ntarget: 2\n" in shown


def test_show_a_task_without_train(data):
    found = json.loads(run("show", "multiarith", "--data-dir", data, "--json"))
    assert found["splits"] == {"test": 1} and found["row"]["target"] == "2"
    assert found["notices"] == ["multiarith: 1 test rows where the paper has 600"]


def test_show_rows_that_are_not_there(data):
    for row in (2, -1):
        with pytest.raises(
            UsageError, match=f"--row {row}: train has 2 rows; give a number from 0 to 1"
        ):
            run("show", "bbh/object_counting", "--data-dir", data, "--row", row)
    with pytest.raises(
        UsageError, match=r"unknown task 'bbh/objekt'; did you mean bbh/object_counting\?"
    ):
        run("show", "bbh/objekt", "--data-dir", data)
    with pytest.raises(UsageError, match=r"unknown task 'gsm8k/main'; did you mean gsm8k\?"):
        run("show", "gsm8k/main", "--data-dir", data)


def test_data_of_ones_own(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "text,label\n" + "".join(f"text {n},{'good' if n % 2 else 'bad'}\n" for n in range(20))
    )
    own = ("--data", path, "--input", "text", "--target", "label")
    found = json.loads(run("show", *own, "--json"))
    assert (found["rule"], found["splits"]) == ("labels", {"train": 8, "validation": 4, "test": 8})
    assert found["row"]["prompt"].startswith("Let's solve the problem.\ntext ")
    found = json.loads(run("validate", *own, "--json"))
    assert found == {
        "name": "table",
        "rule": "labels",
        "rows": 20,
        "unchecked": 0,
        "wrong": [],
        "error": None,
    }
    found = json.loads(run("validate", *own, "--rule", "number", "--json"))
    assert len(found["wrong"]) == 20
    assert found["wrong"][0]["where"] == f"{path}:2"
    assert found["wrong"][0]["why"] == "nothing is extracted from it"


def test_validate_names_the_rows_that_cannot_be_right(data):
    found = json.loads(run("validate", "bbh/movie_recommendation", "--data-dir", data, "--json"))
    assert (found["rows"], found["rule"], found["error"]) == (200, "choice", None)
    (row,) = found["wrong"]
    assert row["id"] == "movie_recommendation:163" and row["target"] == "Monsters, Inc"
    assert (
        row["where"] == f"{data}/bbh/movie_recommendation.json:164"
        and "cut at its commas" in row["why"]
    )


def test_validate_all(data):
    found = json.loads(run("validate", "all", "--data-dir", data, "--json"))
    assert {one["name"]: (one["rows"], len(one["wrong"])) for one in found} == {
        "bbh/movie_recommendation": (200, 1),
        "bbh/object_counting": (10, 0),
        "multiarith": (1, 0),
    }
    lines = run("validate", "all", "--data-dir", data).splitlines()
    assert len(lines) == 4 and lines[1].startswith(
        f"  {data}/bbh/movie_recommendation.json:164: 'Monsters, Inc': "
    )


def test_a_folder_of_one_dataset_is_no_malformed_other(tmp_path):
    write_parquet(
        tmp_path,
        test=[{"question": "1+1?", "final_ans": "2"}],
        train=[{"question": "2?", "final_ans": "2"}],
    )
    assert [
        one["name"] for one in json.loads(run("validate", "all", "--data-dir", tmp_path, "--json"))
    ] == ["multiarith"]
    with pytest.raises(
        DataError, match=r"parquet: no column 'options'; the columns are 'question', 'final_ans'"
    ):
        run("validate", "aqua", "--data-dir", tmp_path)
    write_bbh(tmp_path, "navigate", [{"input": "Walk?", "target": "Yes"}] * 5)
    options = [{"question": "1+1?", "options": ["A)1", "B)2"], "correct": "B"}]
    write_parquet(tmp_path / "raw", test=options)
    found = json.loads(run("validate", "all", "--data-dir", tmp_path, "--json"))
    assert [one["name"] for one in found] == ["bbh/navigate", "aqua", "multiarith"]
    assert all(one["error"] is None for one in found)


def test_validate_fails_where_a_file_is_malformed(data):
    (data / "gsm_train.tsv").write_text("How much?\t5\n")
    for name in ("gsm8k", "all"):
        with pytest.raises(DataError, match=r"gsm_train\.tsv:1: 2 columns, not 3") as caught:
            run("validate", name, "--data-dir", data)
        assert caught.value.exit_code == 2


def test_validate_where_nothing_is(tmp_path):
    with pytest.raises(DataError, match="no benchmark here"):
        run("validate", "all", "--data-dir", tmp_path)
    with pytest.raises(UsageError, match="validate all needs a folder"):
        run("validate", "all")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        run("validate", "all", "--data-dir", tmp_path / "nowhere")
