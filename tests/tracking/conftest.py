"""A finished run that the tests of trackers share, and trackio's stand-in."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trackio_stand_in
from running import SCRIPT, write_reviews

from opro_local.config import reading
from opro_local.runs.run import run


@pytest.fixture(scope="session")
def shared_tables(tmp_path_factory) -> dict:
    """Config tables of a small scripted run; its data stay where they are."""
    reviews = write_reviews(tmp_path_factory.mktemp("data") / "reviews.csv")
    return {
        "task": {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"},
        "scorer": {"engine": "scripted", "script": SCRIPT, "max_tokens": 8},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": ["What is it?"], "steps": 2, "candidates": 4},
        "run": {"seed": 3, "name": "mails"},
    } | {"evaluation": {"mode": "full"}}


@pytest.fixture(scope="session")
def finished_once(shared_tables, tmp_path_factory) -> Path:
    """A finished run; nobody changes it."""
    folder = tmp_path_factory.mktemp("once") / "mails"
    run(reading.build(shared_tables, ["search.metaprompt=continuation"]), folder)
    return folder


@pytest.fixture
def build(shared_tables) -> Callable:
    """Makes the shared run's config, with further settings."""
    return lambda *more: reading.build(shared_tables, ["search.metaprompt=continuation", *more])


@pytest.fixture
def mails(finished_once, tmp_path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished_once, tmp_path / "runs" / "mails"))


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Callable[[str], None]:
    """trackio's stand-in, here and in processes; gives what sets how it behaves."""
    trackio_stand_in.install(tmp_path / "packages", monkeypatch)
    monkeypatch.setenv("TRACKIO_DIR", "")  # to have it back afterwards
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    yield lambda how: monkeypatch.setenv("TRACKIO_STAND_IN", how)
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        del sys.modules[name]
