"""`models show`: a model by its name, and by a path; what its chat template does to a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_folders import whole
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.errors import ModelError
from opro_local.models.inventory import model_at


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A models folder with one model, "own", and the working directory beside it."""
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return whole(tmp_path / "models" / "own")


def shown(reference: str, *more: str) -> str:
    came = CliRunner().invoke(app, ["models", "show", reference, *more])
    assert came.exit_code == 0, came.output
    return came.output


def test_a_path_shows_what_the_name_shows(folder, tmp_path):
    assert shown("./models/own") == shown(str(folder)) == shown("own")
    elsewhere = whole(tmp_path / "elsewhere")
    assert json.loads(shown("./elsewhere", "--json"))["path"] == str(elsewhere)
    assert shown("./elsewhere").splitlines()[0] == "elsewhere"


def test_a_path_to_nothing_is_one_line(folder):
    with pytest.raises(ModelError, match="none: there is no such folder; give a model's folder"):
        model_at("./none")


def test_what_its_template_does_to_a_text_is_shown(folder):
    (folder / "chat_template.jinja").write_text("{{ messages[-1].content | upper }}")
    assert "of its chat template: it changes letters of the user's text" in shown("own")
    assert json.loads(shown("own", "--json"))["template"]["changes"].startswith("it changes")
    (folder / "chat_template.jinja").write_text("{{ messages[-1].content }}")
    assert "of its chat template" not in shown("own")
