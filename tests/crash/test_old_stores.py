"""Stores of earlier versions are shown, brought up to this one after a copy, and go on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from running import ROOT, write_reviews

from opro_local.config import reading
from opro_local.errors import StoreError, UsageError
from opro_local.runs import migration, store_file
from opro_local.runs.reading import describe, rejected, scored
from opro_local.runs.run import run
from opro_local.runs.seal import Seal
from opro_local.runs.store import open_store, read_store
from opro_local.runs.verification import differences
from opro_local.scoring.verdicts import GAIN, NO_MORE_THAN_CONSTANT

FIXTURES = sorted((Path(__file__).parent / "stores").glob("schema-*.sql"))
DIGEST = "39f5bc72e36987cc46e3e5402076230ff001269e743bcc820acf762e824985a9"


@pytest.fixture(params=FIXTURES, ids=lambda path: path.stem)
def old(request, tmp_path) -> Path:
    """The folder of a run of an earlier version."""
    write_reviews(tmp_path / "reviews.csv")
    folder = tmp_path / "run"
    folder.mkdir()
    text = request.param.read_text("utf-8")
    text = text.replace("@ROOT@", str(ROOT)).replace("@FOLDER@", str(tmp_path))
    with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
        connection.executescript(text)
    (folder / "lock").write_text("process 1 on host since 2026-01-01 00:00:00")
    return folder


def config_of(folder: Path, *more: str):
    """The config that the fixtures' runs were made with, as their stores hold it."""
    store = read_store(folder)
    kept = store.get("config")
    store.close()
    return reading.build(kept, more)


def test_an_old_run_is_shown_and_nothing_is_written(old):
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    found = describe(old).to_json()
    assert found["digest"] == DIGEST and found["calls"] == {"optimizer": 2, "scorer": 5}
    assert len(scored(old)) == 16 and rejected(old) == []
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before


def test_an_old_run_goes_on_as_it_would_have(old):
    shown = describe(old).to_json()
    again = run(config_of(old), old)  # its replay starts no engine
    shown.pop("summary")  # the same figures may be put in other words
    # That build knew no constant answer, which this gain is none over.
    assert (shown.pop("verdict"), again.outcome.verdict) == (GAIN, NO_MORE_THAN_CONSTANT)
    assert list(differences(again.to_json(), shown)) == []
    longer = run(config_of(old, "search.steps=3"), old).to_json()
    assert longer["steps"] == 3
    assert longer["calls"]["optimizer"] == shown["calls"]["optimizer"] + 1
    copy = old / "run.sqlite.schema-4"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
    store = read_store(old)
    assert store.get("made_by")["schema"] == 4
    store.close()


def test_a_migration_that_fails_leaves_the_old_file(old, monkeypatch):
    whole = (old / "run.sqlite").read_bytes()

    def fail(connection, version, change):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(migration, "_copy_meta", fail)
    with pytest.raises(StoreError, match="full"):
        open_store(old)
    assert (old / "run.sqlite").read_bytes() == whole
    monkeypatch.undo()
    run(config_of(old), old)
    assert describe(old).digest == DIGEST


def test_what_the_cache_gave_is_kept(old):
    with closing(sqlite3.connect(old / "run.sqlite")) as connection:
        connection.execute(
            "INSERT INTO meta VALUES ('from_cache', ?)", (json.dumps({"0/train": [3, 30, 6]}),)
        )
        connection.commit()
    known = ("known", "known_prompt_tokens", "known_completion_tokens")
    for opening in (read_store, open_store):
        store = opening(old)
        assert [[call[name] for name in known] for call in store.calls()][:2] == [
            [3, 30, 6],
            [0, 0, 0],
        ]
        store.close()


def test_a_run_whose_requests_differ_says_which_version_made_it(old):
    open_store(old).close()  # of this version by now
    file = old / "run.sqlite"
    config = config_of(old)
    store = open_store(old)
    store.put(made_by={"program": "0.0.9", "schema": 4, "settings": ""})
    store.close()
    with closing(sqlite3.connect(file)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (store_file.VERSION,)
    changed = reading.build(json.loads(config.canonical()), ["search.candidates=2"])
    with pytest.raises(UsageError, match=r"it was made by 0\.0\.9, this is .*can finish it"):
        run(changed, old)


def test_the_schema_begins_with_the_seal_of_an_empty_store(tmp_path):
    store = open_store(tmp_path / "run")
    row = store._connection.execute("SELECT * FROM seal").fetchone()
    assert row == Seal().row()
    store.close()
    shutil.rmtree(tmp_path / "run")
