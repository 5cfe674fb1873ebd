"""The recipes: each is a config that stands, and those of the paper have its settings."""

from __future__ import annotations

import pytest

from opro_local import recipes
from opro_local.errors import UsageError


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
