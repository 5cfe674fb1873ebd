"""Files made of a run never replace what the run was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from opro_local.cli.export import export
from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.files import place_of_output
from opro_local.report.page import write_report
from opro_local.runs.output_place import files_named
from opro_local.runs.predicting import predict_file
from opro_local.runs.run import run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with rows, a script, and a finished run of them."""
    from running import SCRIPT, write_reviews

    folder = tmp_path_factory.mktemp("made")
    file, _, function = SCRIPT.rpartition(":")
    (folder / "own.py").write_bytes(Path(file).read_bytes())
    script = {"engine": "scripted", "script": f"{folder / 'own.py'}:{function}"}
    tables = {
        "task": {"data": str(write_reviews(folder / "r.csv")), "input": "text", "target": "label"},
        "scorer": {**script, "max_tokens": 8},
        "optimizer": script,
        "search": {"seeds": ["What is it?"], "steps": 1, "candidates": 2},
    }
    run(reading.build(tables), folder / "run")
    (folder / "new.csv").write_text("text\nfine\n")
    (folder / "linked.csv").hardlink_to(folder / "r.csv")
    return folder


MAKERS = {
    "export": lambda made, output: export(made / "run", "openai", output),
    "report": lambda made, output: write_report(made / "run", output, trust_code=True),
    "predict": lambda made, output: predict_file(
        made / "run", made / "new.csv", output, trust_code=True
    ),
}


@pytest.mark.parametrize("verb", MAKERS)
@pytest.mark.parametrize("name", ["r.csv", "linked.csv", "own.py"])
def test_no_output_replaces_what_the_run_was_made_from(made, verb, name):
    before = (made / name).read_bytes()
    said = "unknown kind" if verb == "predict" and name == "own.py" else "is the input; name a file"
    with pytest.raises(UsageError, match=said):
        MAKERS[verb](made, made / name)
    assert (made / name).read_bytes() == before


def test_no_prediction_replaces_rows_that_moved(made):
    moved = made / "moved.csv"
    moved.write_bytes((made / "r.csv").read_bytes())
    change = [f"task.data={str(moved)!r}"]
    with pytest.raises(UsageError, match="is the input; name a file"):
        predict_file(made / "run", made / "new.csv", moved, change, trust_code=True)
    assert moved.read_bytes() == (made / "r.csv").read_bytes()


@pytest.mark.parametrize("verb", MAKERS)
def test_an_output_replaces_an_earlier_one(made, verb):
    place = made / "out.csv"
    place.write_text("old")
    MAKERS[verb](made, place)
    assert place.read_text() != "old"


SETTINGS = {
    "run": "[task]\ndata = 'r.csv'\n",
    "of another run": "[search]\nsteps = 3\n[models.a]\n",
    "sweep": "base = 'c.toml'\n[axes]\n'run.seed' = [1]\n",
    "with a mark": "\ufeff[task]\ndata = 'r.csv'\n",
}


@pytest.mark.parametrize("verb", MAKERS)
@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("name", ["c.toml", "c.json", "c.csv"])
def test_no_output_replaces_a_config(made, verb, kind, name):
    place = made / name
    place.write_text(SETTINGS[kind])
    said = "is a file of settings, in TOML|unknown kind"
    with pytest.raises(UsageError, match=said):
        MAKERS[verb](made, place)
    assert place.read_text() == SETTINGS[kind]


def test_an_agent_file_in_toml_may_be_replaced(tmp_path):
    place = tmp_path / "agent.toml"
    place.write_text("[rules]\n")
    assert place_of_output(place, replaces_settings=True) == place.resolve()
    for text in ("a = 1\n", "# A heading\n", "{}", ""):  # no table: no settings
        place.write_text(text)
        assert place_of_output(place) == place.resolve()


def test_every_text_of_a_config_may_name_a_file():
    config = {"task": {"data": "a.csv", "rows": 3}, "search": {"seeds": ["b", ""]}, "x": "s.py:f"}
    assert list(map(str, files_named(config))) == ["a.csv", "b", "s.py:f", "s.py"]
