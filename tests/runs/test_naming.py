"""The folder that a run gets when nobody names one."""

from __future__ import annotations

import pytest

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.runs.naming import run_folder
from opro_local.runs.run import run


def config(**task: str) -> Config:
    from running import SCRIPT

    role = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"name": "sql", "test_rows": 4, "train_rows": 4, "validation_rows": 4, **task},
        "scorer": role,
        "optimizer": role,
        "search": {"seeds": ["Write SQL."], "steps": 0},
        "run": {"name": "sql"},
    }
    return reading.build(tables)


@pytest.mark.parametrize("name", ["sql", "gsm8k", "table"])
def test_another_folder_of_data_is_another_run(name):
    plain, one, two = (
        run_folder(config(name=name, **more), None)
        for more in ({}, {"data_dir": "/one"}, {"data_dir": "/two"})
    )
    assert len({plain, one, two}) == 3
    assert run_folder(config(name=name, data_dir="/one"), None) == one


def test_a_run_named_before_goes_on_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = run_folder(config(), None)
    run(config(), plain)
    assert run_folder(config(data_dir="/one"), None) != plain
    assert run_folder(config(), None) == plain
    # As a version stored it that did not look at task.data_dir.
    monkeypatch.setattr("opro_local.runs.naming.read_store", lambda _: Stored("/one"))
    assert run_folder(config(data_dir="/one"), None) == plain
    assert run_folder(config(data_dir="/two"), None) != plain


class Stored:
    """A store whose run has its rows from a folder."""

    def __init__(self, data_dir: str) -> None:
        self.config = {"task": {"data_dir": data_dir}}

    def get(self, key: str) -> dict:
        return self.config

    def close(self) -> None:
        pass
