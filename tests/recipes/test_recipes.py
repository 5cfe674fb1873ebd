"""The recipes: each is a config that stands, and those of the paper have its settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opro_local import recipes
from opro_local.errors import UsageError
from opro_local.sweeps.plan import read_plan
from opro_local.tasks import bbh
from opro_local.tasks.loading import load as load_task


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_a_config(name):
    assert recipes.read(name).run.name


@pytest.mark.parametrize("name", ["gsm8k", "bbh", "mmlu"])
def test_the_papers_experiments_have_its_settings(name):
    config = recipes.read(name)
    search = config.search
    assert (search.steps, search.candidates, search.history, search.exemplars) == (200, 8, 20, 3)
    assert (search.order, search.buckets, search.exemplar_choice) == ("ascending", 100, "random")
    assert (config.optimizer.temperature, config.scorer.temperature, config.scorer.max_tokens) == (
        1.0,
        0.0,
        1024,
    )
    assert config.task.rule == "opro"


def test_an_unknown_recipe_names_the_known_ones(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"no recipe 'gsm8'.*gsm8k"):
        recipes.read("gsm8")
    monkeypatch.chdir(tmp_path)
    assert recipes.read("bbh", ["task.data_dir=d"]).task.data_dir == str(tmp_path / "d")


CELLS = {
    "paper_bbh": 23,
    "paper_candidates": 15,
    "paper_exemplars": 9,
    "paper_gsm8k": 9,
    "paper_order": 9,
    "paper_scores": 9,
    "paper_start": 9,
    "paper_temperature": 15,
    "paper_tiny": 6,
}


def test_the_papers_sweeps_have_their_cells_and_settings():
    assert recipes.sweep_names() == sorted(CELLS)
    page = (recipes.FOLDER.parents[1] / "docs" / "paper.md").read_text("utf-8")
    for name, number in CELLS.items():
        plan = read_plan(recipes.sweep_file(Path(name)))
        assert len(plan.cells) == number and len({cell.id for cell in plan.cells}) == number
        assert re.search(rf"\| `{name}` \| [^|]* \| {number} \|", page)
    cells = read_plan(recipes.SWEEPS / "paper_bbh.toml").cells
    # Table 7 has the 23 of the 27 tasks; of the two families with several sizes the largest.
    assert {cell.config.task.name for cell in cells} < {f"bbh/{task}" for task in bbh.TASKS}
    cells = read_plan(recipes.SWEEPS / "paper_candidates.toml").cells
    assert {cell.config.search.candidates * cell.config.search.steps for cell in cells} == {1600}


def test_the_tiny_sweep_brings_its_rows_from_wherever_it_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for cell in read_plan(recipes.sweep_file(Path("paper_tiny"))).cells:
        task = load_task(cell.config.task)
        counts = {split: len(rows) for split, rows in task.splits.items()}
        assert counts == {"train": 40, "validation": 80, "test": 200}
        assert cell.config.search.mode == "opro" and cell.config.search.steps == 3


def test_a_sweep_is_a_file_or_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipes.sweep_file(Path("paper_order")) == recipes.SWEEPS / "paper_order.toml"
    (tmp_path / "paper_order").write_text("")
    assert recipes.sweep_file(Path("paper_order")) == Path("paper_order")
    assert recipes.sweep_file(Path("no.toml")) == Path("no.toml")
    with pytest.raises(UsageError, match="no file and no sweep 'order'; sweeps: paper_bbh, "):
        recipes.sweep_file(Path("order"))
