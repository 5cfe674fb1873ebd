"""A sweep from its file to its last cell: what it comes to, what is run again, and what fails alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from running import program, write_config, write_reviews

from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.sweeps.plan import read_plan
from opro_local.sweeps.records import read_sweep

# Answers as scripted_model does, and notes each request in the file beside it; what it is asked
# with "Break" in the instruction ends its process.
SCRIPT = """
import hashlib, os, sys
sys.path.insert(0, {tests!r})
from scripted_model import answer as plain

def answer(request):
    with open({log!r}, "a") as stream:
        stream.write(hashlib.sha256(repr(request).encode()).hexdigest() + "\\n")
    if "Break" in request.prompt.text:
        os._exit(9)
    return plain(request)
"""


def write_sweep(folder: Path, text: str, steps: int = 2) -> Path:
    """Write a base over the reviews and a sweep's file with the rest of it."""
    log = folder / "requests.log"
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), log=str(log))
    (folder / "model.py").write_text(script, "utf-8")
    role = {"engine": "scripted", "script": "model.py:answer"}
    tables: dict[str, Mapping[str, Any]] = {
        "task": {
            "data": str(write_reviews(folder / "reviews.csv")),
            "input": "text",
            "target": "label",
        },
        "scorer": role,
        "optimizer": role,
        "search": {
            "seeds": ["What is it?"],
            "steps": steps,
            "candidates": 2,
            "metaprompt": "continuation",
        },
    }
    write_config(folder / "base.toml", tables)
    file = folder / "s.toml"
    file.write_text('base = "base.toml"\n' + text, "utf-8")
    return file


def swept(file: Path, *more: str):
    return program("sweep", str(file), "--run", str(file.parent / "d"), "--json", *more)


def asked(folder: Path) -> int:
    """How many requests the engine was asked."""
    log = folder / "requests.log"
    return len(log.read_text("utf-8").splitlines()) if log.exists() else 0


TEXT = "[axes]\nrun.seed = [0, 1]\n[[cell]]\nname = 'more'\nsearch.candidates = 3\n"


def test_every_cell_is_the_run_alone_and_a_changed_axis_runs_what_is_new_only(tmp_path):
    file = write_sweep(tmp_path, TEXT)
    told = swept(file)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found == json.loads((tmp_path / "d" / "sweep.json").read_text("utf-8"))
    assert [cell["name"] for cell in found["cells"]] == ["seed=0", "seed=1", "more"]
    assert found["states"] == {"finished": 3} and found["keys"] == [
        "run.seed",
        "search.candidates",
    ]
    for cell, planned in zip(found["cells"], read_plan(file).cells, strict=True):
        alone = run(planned.config, tmp_path / "alone" / planned.name)
        assert cell["digest"] == alone.digest == describe(Path(cell["path"])).digest
        assert cell["test"] == alone.test.to_json() | {
            side: {k: v for k, v in alone.test.to_json()[side].items() if k != "classes"}
            for side in ("baseline", "best")
        }
        assert cell["pairs"] == alone.search.pairs and cell["best_text"] == alone.best.text
        assert cell["state"] == "finished" and cell["seed"] == planned.config.run.seed
        assert cell["tokens"] == dict(alone.costs.tokens) and cell["task"] == "reviews"
    before = asked(tmp_path)
    assert swept(file).returncode == 0 and asked(tmp_path) == before
    file.write_text(file.read_text("utf-8").replace("[0, 1]", "[1, 5, 0]"), "utf-8")
    more = json.loads(swept(file).stdout)
    assert [cell["name"] for cell in more["cells"]] == ["seed=1", "seed=5", "seed=0", "more"]
    old = {cell["name"]: cell["digest"] for cell in found["cells"]}
    new = {cell["name"]: cell["digest"] for cell in more["cells"]}
    assert new | old == new and len(new) == 4
    record = read_sweep(tmp_path / "d")
    assert [dict(cell) for cell in record.cells] == more["cells"]
    # Of a folder that was moved.
    (tmp_path / "d").rename(tmp_path / "moved")
    moved = read_sweep(tmp_path / "moved")
    assert all(moved.path_of(cell).is_relative_to(tmp_path / "moved") for cell in moved.cells)


def test_a_failed_cell_ends_alone_and_its_reason_is_kept(tmp_path):
    text = (
        '[axes]\n"run.seed" = [0, 1]\n'
        "[[cell]]\nname = 'no-column'\ntask.input = 'nope'\n"
        "[[cell]]\nname = 'breaks'\nsearch.seeds = ['Break it?']\n"
        "[[cell]]\nname = 'no-script'\nscorer.script = 'none.py:answer'\n"
    )
    told = swept(write_sweep(tmp_path, text, steps=1))
    assert "Traceback" not in told.stderr and told.returncode == 2
    assert told.stderr.splitlines()[-1].startswith("opro-local: 3 of 5 cells failed; no-column: ")
    cells = {cell["name"]: cell for cell in json.loads(told.stdout)["cells"]}
    states = {name: cell["state"] for name, cell in cells.items()}
    assert states == {
        **{"seed=0": "finished", "seed=1": "finished"},
        **dict.fromkeys(("no-column", "breaks", "no-script"), "failed"),
    }
    assert "no column 'nope'" in cells["no-column"]["error"]
    assert "none.py" in cells["no-script"]["error"]
    assert all("\n" not in cell.get("error", "") for cell in cells.values())
    alone = run(read_plan(tmp_path / "s.toml").cells[1].config, tmp_path / "alone")
    assert cells["seed=1"]["digest"] == alone.digest


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(tmp_path):
    told = swept(write_sweep(tmp_path, TEXT), "--dry-run")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    # 24 train rows x (1 + 2 steps x candidates), 12 validation x 9, 24 test x 2
    pairs = [24 * (1 + 2 * candidates) + 12 * 9 + 24 * 2 for candidates in (2, 2, 3)]
    assert (found["cells"], found["groups"], found["pairs"]) == (3, 1, sum(pairs))
    assert [cell["pairs"] for cell in found["planned"]] == pairs
    assert found["missing"] == {"cells": 3, "pairs": sum(pairs)} and not found["problems"]
    assert found["tokens"] > sum(pairs) and found["seconds"] > 0 and found["disk_bytes"] > 3e4
    assert not (tmp_path / "d").exists() and asked(tmp_path) > 0
    before = asked(tmp_path)
    quick = json.loads(swept(tmp_path / "s.toml", "--dry-run", "--no-calibration").stdout)
    assert quick["tokens"] is None is quick["seconds"] and asked(tmp_path) == before
    assert quick["pairs"] == found["pairs"]


@pytest.mark.parametrize(
    "text, code, said",
    [
        ("[axes]\nrun.sede = [1]", 2, "unknown setting run.sede"),
        ("[axes]\ntask.data = ['none.csv']", 2, "none.csv"),
    ],
)
def test_what_no_cell_can_be_is_said_before_anything_is_made(tmp_path, text, code, said):
    told = swept(write_sweep(tmp_path, text), "--dry-run", "--no-calibration")
    (line,) = told.stderr.splitlines()
    assert told.returncode == code and said in line and not (tmp_path / "d").exists()
