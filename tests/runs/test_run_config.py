"""`evaluate RUN`: the config of a run, for another question to the same rows and model."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import StoreError, UsageError
from opro_local.runs.run import run
from opro_local.runs.run_config import config_of_run, is_run
from opro_local.runs.store import open_store


@pytest.fixture
def made(tables, tmp_path, monkeypatch):
    """A run whose engine is in this process."""
    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (ScriptedEngine(settings), ""),
    )
    tables["search"] |= {"steps": 1, "candidates": 2}
    folder = tmp_path / "run"
    return run(reading.build(tables), folder), folder


def test_a_runs_folder_stands_for_its_config(made, tmp_path):
    result, folder = made
    given = ["evaluate", str(folder), "--split", "validation", "--trust-code", "--json"]
    said = CliRunner().invoke(app, [*given, "--run", str(tmp_path / "evaluated")])
    assert said.exit_code == 0, said.output
    record = json.loads(said.stdout)
    (figures,) = record["prompts"]
    assert record["split"] == "validation" and figures["text"] == result.baseline
    assert figures["accuracy"] == result.validation.baseline.accuracy


def test_settings_are_changed_and_code_of_others_is_not_run_unasked(made):
    _, folder = made
    changed = config_of_run(folder, ["scorer.max_tokens=3"], trust_code=True)
    assert changed.scorer.max_tokens == 3
    with pytest.raises(UsageError, match=r"its config names .*scripted_model\.py"):
        config_of_run(folder)
    with pytest.raises(UsageError, match="nothing"):
        config_of_run(folder, ["scorer.nothing=3"], trust_code=True)


def test_a_store_without_a_config_is_named(tmp_path):
    open_store(tmp_path / "empty").close()
    assert is_run(tmp_path / "empty") and not is_run(tmp_path)
    with pytest.raises(StoreError, match="keeps no config"):
        config_of_run(tmp_path / "empty")
