"""The examples under docs/examples/: their rows, their configs as the pages show them, their runs
by a script and by the real model, and the notebook's cells in order.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import desk
import pytest
from documented import NAMED
from running import FEW_ROWS, program, real, sets

from opro_local.config import reading
from opro_local.runs import inspection
from opro_local.runs.run import run

CONFIGS = {"helpdesk": 144, "orders": 74, "sums": 70}
NOTEBOOK = desk.EXAMPLES / "notebook" / "from-rows-to-use.ipynb"


def config_file(name: str) -> Path:
    return desk.EXAMPLES / name / f"{name}.toml"


@pytest.mark.parametrize("name", CONFIGS)
def test_the_page_shows_the_config_as_it_is(name):
    page = (desk.EXAMPLES / name / "README.md").read_text("utf-8")
    assert dict(NAMED.findall(page)) == {f"{name}.toml": config_file(name).read_text("utf-8")}
    assert f"{CONFIGS[name]} " in page


@pytest.mark.parametrize("name", CONFIGS)
def test_every_gold_answer_scores_one(name):
    checked = inspection.validate(reading.read(config_file(name)).task)
    assert (checked["rows"], checked["wrong"]) == (CONFIGS[name], [])


def test_there_are_twelve_rows_of_twelve_teams():
    with (desk.EXAMPLES / "helpdesk" / "helpdesk.csv").open() as stream:
        teams = Counter(row["team"] for row in csv.DictReader(stream))
    assert len(teams) == 12 and set(teams.values()) == {12}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_search_finds_that_worked_examples_help(name, tmp_path):
    """The script answers rightly where another row is shown with its answer."""
    with desk.scripted_models():
        result = run(reading.read(config_file(name)), tmp_path / "run")
    test = result.test
    assert test.best.accuracy == 1.0 and result.best.demonstrations
    assert test.baseline.accuracy < 0.6 and result.verdict == "reliable gain"


@pytest.mark.real
@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGS)
def test_the_real_model_runs_it(name, tmp_path):
    real("transformers")
    # Each engine call costs seconds: one start, two proposals, no worked examples.
    small = sets(*FEW_ROWS, "search.steps=1", "search.candidates=2", "search.drafts=1")
    small += sets("search.generic_seeds=0", "search.written_seeds=0", "search.demonstrations=0")
    small += sets("scorer.max_tokens=16")
    told = program(
        "run", str(config_file(name)), "--engine", "transformers", "--json", *small, cwd=tmp_path
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["test"]["best"]["n"] == 6


def cells() -> list[str]:
    """The source of the notebook's code cells."""
    read = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in read if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.fixture
def in_a_copy(tmp_path, monkeypatch) -> Path:
    """The notebook's folder, with the rows beside it that it reads."""
    (tmp_path / "helpdesk").symlink_to(desk.EXAMPLES / "helpdesk")
    (tmp_path / "notebook").mkdir()
    monkeypatch.chdir(tmp_path / "notebook")
    return tmp_path / "notebook"


def run_cells(displayed: list) -> dict:
    """Run the cells in order, as a kernel does: the value of a last expression is displayed."""
    names: dict = {}
    for number, source in enumerate(cells(), start=1):
        *before, last = source.strip().splitlines()
        is_expression = last.isidentifier() or last.startswith("rows[")
        exec(
            compile(
                "\n".join(before if is_expression else [*before, last]), f"cell {number}", "exec"
            ),
            names,
        )
        if is_expression:
            displayed.append(eval(last, names))
    return names


def test_the_notebooks_cells_run_in_order(in_a_copy, capsys):
    displayed: list = []
    with desk.scripted_models():
        names = run_cells(displayed)
    rows, result = displayed
    assert len(rows) == 3 and "<table" in result._repr_html_()
    assert (in_a_copy / "runs" / "notebook" / "report.html").is_file()
    assert names["result"].verdict == "reliable gain"
    said = capsys.readouterr().out
    assert "100.0% now, on 58 rows" in said and "I cannot print in colour." in said


@pytest.mark.real
@pytest.mark.long
def test_a_kernel_runs_the_notebook_with_the_real_model(in_a_copy):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    real("transformers")
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        book, timeout=280, resources={"metadata": {"path": in_a_copy}}
    ).execute()
    assert (in_a_copy / "runs" / "notebook" / "report.html").is_file()
