"""Damaged stores: no traceback, and never another number than the sound store gives."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import ANY, OF_DATABASES, Damage
from running import SCRIPT, write_reviews

from opro_local.config import reading
from opro_local.errors import OproError, StoreError
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.reading import describe, overview, rejected, scored
from opro_local.runs.run import run
from opro_local.runs.store import open_store, read_store

SIZES = [pytest.param(24, id="ci"), pytest.param(500, id="full", marks=pytest.mark.nightly)]


def config_of(folder: Path):
    """A small scripted run."""
    reviews = folder / "reviews.csv"
    if not reviews.exists():
        write_reviews(reviews)
    scripted = {"engine": "scripted", "script": SCRIPT}
    return reading.build(
        {
            "task": {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"},
            "scorer": {**scripted, "max_tokens": 8},
            "optimizer": scripted,
            "search": {
                "seeds": ["What is it?"],
                "steps": 3,
                "candidates": 3,
                "metaprompt": "continuation",
            },
            "run": {"seed": 3},
        },
        [],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a finished run, a stopped one, and one as a kill leaves it, in its log."""
    folder = tmp_path_factory.mktemp("made")
    run(config_of(folder), folder / "finished")
    answers: list[Any] = []
    listener = Listener(should_stop=lambda: answers.append(0) or len(answers) == 4)
    with pytest.raises(Interrupted):
        run(config_of(folder), folder / "unfinished", listener)
    shutil.copytree(folder / "unfinished", folder / "open")
    store = open_store(folder / "open")
    store.put(state="running")
    store.record([], [], 0)
    shutil.copytree(folder / "open", folder / "log")
    store.close()
    shutil.rmtree(folder / "open")
    assert (folder / "log" / "run.sqlite-wal").stat().st_size > 0
    return folder


def everything(folder: Path) -> dict[str, Any]:
    """All that a reader can be shown of a run."""
    found = describe(folder)
    (row,) = (row for row in overview(folder.parent) if row.path == str(folder))
    named = {key: value for key, value in row.to_json().items() if key != "path"}
    return {
        "show": found.to_json(),
        "list": named,
        "scored": scored(folder),
        "rejected": rejected(folder),
    }


def continued(folder: Path) -> list[Any]:
    """All that a resume reads: each call's completions, unpacked and checked."""
    store = open_store(folder)
    try:
        calls = store.calls()
        payloads = [store.completions(call["label"]) for call in calls]
        return [calls, payloads, store.solutions(), store.rejections(), store.get("config")]
    finally:
        store.close()


def attempt(action: Callable[[Path], Any], folder: Path) -> Any:
    """What it gives, or None where it ends in one line that names the file."""
    try:
        return action(folder)
    except StoreError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
        return None


def damage_once(kind: Path, place: Path, damage: Damage, file: str, rng: random.Random) -> Path:
    copy = place / kind.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(kind, copy)
    damage(copy / file, rng)
    return copy


@pytest.mark.parametrize("many", SIZES)
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("finished", "run.sqlite"),
        ("unfinished", "run.sqlite"),
        ("log", "run.sqlite"),
        ("log", "run.sqlite-wal"),
        ("finished", "lock"),
        ("log", "lock"),
    ],
)
def test_no_damage_to_a_run_ends_in_a_traceback_or_another_number(made, tmp_path, kind, file, many):
    if file == "lock":
        many //= 4
    rng = random.Random(f"{kind} {file} {many}")
    right = shutil.copytree(made / kind, tmp_path / "right" / kind)
    shown = everything(right)
    kept = continued(right)
    noticed = 0
    for number in range(many):
        damage = OF_DATABASES if file == "run.sqlite" and kind != "log" else ANY
        one = damage[number % len(damage)]
        copy = damage_once(made / kind, tmp_path / "copies", one, file, rng)
        found = attempt(everything, copy)
        assert found is None or found == shown, one.__name__
        copy = damage_once(made / kind, tmp_path / "copies", one, file, rng)
        found = attempt(continued, copy)
        assert found is None or found == kept, one.__name__
        noticed += found is None
    # Damage in empty space changes nothing, so that not all of it is seen.
    assert noticed > many // 4 or file == "lock"


def test_one_damaged_run_does_not_take_the_list_from_the_others(made, tmp_path):
    for name in ("a", "b", "c"):
        shutil.copytree(made / "finished", tmp_path / name)
    content = bytearray((tmp_path / "b" / "run.sqlite").read_bytes())
    place = content.index(b'"accuracy": ') + len('"accuracy": 0.')
    content[place] ^= 1
    (tmp_path / "b" / "run.sqlite").write_bytes(content)
    rows = overview(tmp_path)
    assert [row.state for row in rows] == ["finished", "damaged", "finished"]
    assert str(tmp_path / "b" / "run.sqlite") in rows[1].error
    assert f"opro-local recover {tmp_path / 'b'}" in rows[1].error and rows[1].best is None


@pytest.mark.parametrize("kind", ["finished", "unfinished"])
def test_one_digit_changed_in_a_derived_score_is_no_number_any_more(made, tmp_path, kind):
    copy = shutil.copytree(made / kind, tmp_path / "run")
    raw = sqlite3.connect(copy / "run.sqlite")
    raw.execute("UPDATE solution SET score = 0.9 WHERE step = 0")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="scored solutions"):
        scored(copy)
    with pytest.raises(StoreError, match=r"run.sqlite: damaged in its scored .* recover"):
        run(config_of(made), copy)
    if kind == "unfinished":
        with pytest.raises(StoreError, match="scored solutions"):
            describe(copy)


def test_an_edited_result_file_is_believed_by_nobody_and_written_again(made, tmp_path):
    copy = shutil.copytree(made / "finished", tmp_path / "run")
    file = copy / "result.json"
    sound = file.read_text()
    file.write_text(sound.replace('"verdict": "', '"verdict": "un'))
    assert describe(copy).to_json() == json.loads(sound)
    assert run(config_of(made), copy).to_json() == json.loads(sound)
    assert file.read_text() == sound


@pytest.mark.parametrize("lost", ["removed", "emptied", "cut"])
def test_a_lost_log_is_noticed_and_nothing_is_started_over(made, tmp_path, lost):
    copy = shutil.copytree(made / "log", tmp_path / "run")
    log = copy / "run.sqlite-wal"
    if lost == "removed":
        log.unlink()
    else:
        with log.open("r+b") as stream:
            stream.truncate(0 if lost == "emptied" else log.stat().st_size - 5000)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    for opening in (read_store, open_store):
        with pytest.raises(StoreError, match=r"the last 1 of \d+ changes are lost: its log"):
            opening(copy)
    assert (copy / "run.sqlite").read_bytes() == before["run.sqlite"]
    # Without the lock file, which says how old the store is, the header still says that a log is
    # missing.
    if lost == "removed":
        (copy / "lock").unlink()
        for opening in (read_store, open_store):
            with pytest.raises(StoreError, match=r"its log run\.sqlite-wal is missing"):
                opening(copy)


def test_errors_name_what_to_do(made, tmp_path):
    copy = shutil.copytree(made / "finished", tmp_path / "run")
    (copy / "run.sqlite").write_bytes(b"\0" * 8192)
    with pytest.raises(OproError) as told:
        read_store(copy)
    assert told.value.exit_code == 4
