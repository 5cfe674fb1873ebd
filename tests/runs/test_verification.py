"""Runs are checked against their digests and their completions, and what is intact is recovered."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from forging import seal_again
from running import SCRIPT, program, write_reviews

from opro_local.cli import keeping
from opro_local.config import reading
from opro_local.errors import LockedError, OproError, StoreError, UsageError
from opro_local.runs import packing
from opro_local.runs.reading import describe, scored
from opro_local.runs.recovery import recover
from opro_local.runs.run import run
from opro_local.runs.salvage import rows_of
from opro_local.runs.store import open_store, read_store
from opro_local.runs.verification import verify
from opro_local.types import Completion


def config_of(folder: Path):
    reviews = folder / "reviews.csv"
    if not reviews.exists():
        write_reviews(reviews)
    scripted = {"engine": "scripted", "script": SCRIPT}
    return reading.build(
        {
            "task": {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"},
            "scorer": {**scripted, "max_tokens": 8},
            "optimizer": scripted,
            "search": {"seeds": ["What is it?"], "steps": 3, "candidates": 3, "mode": "opro"},
            "run": {"seed": 3, "cache": False},
        },
        [],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("made")
    run(config_of(folder), folder / "run")
    return folder


@pytest.fixture
def copy(made, tmp_path) -> Path:
    return shutil.copytree(made / "run", tmp_path / "run")


def change(folder: Path, *statements: str) -> None:
    """Change a store as one does who does not know of its seal."""
    with closing(sqlite3.connect(folder / "run.sqlite", isolation_level=None)) as raw:
        for statement in statements:
            assert raw.execute(statement).rowcount == 1, statement


def forge(folder: Path, *statements: str) -> None:
    """Change a store, and its digests and seal after it."""
    change(folder, *statements)
    seal_again(folder)


BEST = "UPDATE meta SET value = replace(value, '\"accuracy\": 0.', '\"accuracy\": 0.9') "
FORGED = {
    "a score": (
        "UPDATE solution SET score = 0.99 WHERE split = 'train' AND step = 0",
        "score: 0.99",
    ),
    "a text": ("UPDATE solution SET text = 'mine' WHERE step = 1 AND position = 0", "text: 'mine'"),
    "a lost row": ("DELETE FROM solution WHERE split = 'validation' AND position = 0", "missing"),
    "a result": (BEST + "WHERE key = 'result'", "derive: "),
    "a verdict": (
        'UPDATE meta SET value = replace(value, \'"verdict": "\', \'"verdict": "not \') '
        "WHERE key = 'result'",
        "verdict is",
    ),
}


def test_a_sound_run_is_ok(copy, capsys):
    for deep in (False, True):
        came = verify(copy, deep)
        assert came.ok and came.damaged == () and came.calls == 9
    keeping.verify(copy, deep=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "damaged": [],
        "calls": 9,
        "deep": True,
    }


@pytest.mark.parametrize("name", FORGED)
def test_what_was_changed_is_named(copy, name):
    statement, _ = FORGED[name]
    change(copy, statement)
    came = verify(copy)
    assert not came.ok and {one.file for one in came.damaged} == {str(copy / "run.sqlite")}
    table = "scored solutions" if "solution" in statement else "what it says of the run"
    assert any(table in one.what for one in came.damaged)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_run_is_found_out_by_its_completions(copy, name):
    statement, what = FORGED[name]
    forge(copy, statement)
    (copy / "result.json").unlink()
    assert verify(copy).ok
    came = verify(copy, deep=True)
    assert not came.ok and any(what in one.what for one in came.damaged), came.damaged


@pytest.mark.parametrize(
    ("name", "deep", "what"),
    [("result.json", False, "is not the result in run.sqlite"), ("best.txt", True, "derive")],
)
def test_an_edited_copy_is_named(copy, name, deep, what):
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("What", "Which") if name == "best.txt" else "{}")
    if name == "best.txt":
        (copy / name).write_text("another one\n")
    (one,) = verify(copy, deep).damaged
    assert one.file == str(copy / name) and what in one.what


def test_damaged_completions_are_named_by_their_label_and_end_with_code_4(copy):
    change(copy, "UPDATE call SET payload = zeroblob(100) WHERE label = '2/train'")
    (one,) = verify(copy).damaged
    assert one.what == "the completions of 2/train are damaged"
    said = program("verify", str(copy))
    assert said.returncode == 4 and "opro-local recover" in said.stdout and said.stderr == ""


def test_a_run_that_has_not_finished_is_checked_as_far_as_it_is(made, tmp_path):
    folder = shutil.copytree(made / "run", tmp_path / "run")
    with closing(sqlite3.connect(folder / "run.sqlite", isolation_level=None)) as raw:
        raw.execute("DELETE FROM call WHERE id > 4")
        raw.execute("DELETE FROM solution WHERE split <> 'train' OR step > 1")
        raw.execute("DELETE FROM meta WHERE key = 'result'")
        raw.execute("UPDATE meta SET value = '\"interrupted\"' WHERE key = 'state'")
    forge(folder, "UPDATE meta SET value = '\"interrupted\"' WHERE key = 'state'")
    assert verify(folder, deep=True).ok
    forge_again = "UPDATE solution SET score = 0.99 WHERE step = 1 AND position = 0"
    change(folder, forge_again)
    (folder / "lock").touch()
    forge(folder, forge_again)
    assert not verify(folder, deep=True).ok


def test_other_data_than_the_runs_derive_nothing(made, tmp_path):
    folder = shutil.copytree(made / "run", tmp_path / "run")
    shutil.copyfile(made / "reviews.csv", tmp_path / "reviews.csv")
    with (tmp_path / "reviews.csv").open("a") as stream:
        stream.write("One more was good,positive\n")
    moved = str(tmp_path / "reviews.csv")
    forge(
        folder,
        f"UPDATE meta SET value = replace(value, '{made / 'reviews.csv'}', '{moved}') "
        "WHERE key = 'config'",
    )
    with pytest.raises(UsageError, match="changed since the run, so that nothing can be derived"):
        verify(folder, deep=True)


def break_nothing(folder: Path) -> None:
    pass


def break_completions(folder: Path) -> None:
    change(folder, "UPDATE call SET payload = zeroblob(100) WHERE label = '2/train'")


def break_call(folder: Path) -> None:
    change(folder, "UPDATE call SET seconds = seconds + 1 WHERE id = 3")


def break_score(folder: Path) -> None:
    change(folder, "UPDATE solution SET score = 0.9 WHERE split = 'train' AND step = 0")


def break_header(folder: Path) -> None:
    content = bytearray((folder / "run.sqlite").read_bytes())
    content[:4096] = bytes(4096)
    (folder / "run.sqlite").write_bytes(content)


def break_page(folder: Path) -> None:
    """The page with the calls, of which a small run has one."""
    content = bytearray((folder / "run.sqlite").read_bytes())
    place = content.index(b"0/trainscorer") // 4096 * 4096
    content[place : place + 4096] = b"\xff" * 4096
    (folder / "run.sqlite").write_bytes(content)


def break_lock(folder: Path) -> None:
    (folder / "lock").write_text("process 1\nnonsense\n")


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (break_nothing, []),
        (break_completions, ["the completions of 2/train"]),
        (break_call, ["call 3"]),
        (break_score, []),
        (break_header, []),
        (break_page, ["all calls"]),
        (break_lock, []),
    ],
)
def test_what_is_intact_goes_on_in_a_new_folder_as_if_nothing_had_been(
    made, copy, tmp_path, damage: Callable[[Path], None], lost
):
    damage(copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    came = recover(copy, tmp_path / "new")
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert list(came.lost) == lost
    assert came.calls == (0 if lost == ["all calls"] else 9 - len(lost))
    assert describe(tmp_path / "new").state == "interrupted"
    if came.lost and damage is not break_completions:
        return  # starting the engine takes a second; one case shows that it is asked
    again = run(config_of(made), tmp_path / "new")
    right = describe(made / "run")
    assert again.digest == right.digest and again.costs.calls == right.costs.calls
    assert scored(tmp_path / "new") == scored(made / "run")


def test_a_log_is_recovered_from_too(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "open")
    store = open_store(tmp_path / "open")
    store.put(state="running", engine={"scorer": "x" * 9000})
    killed = shutil.copytree(tmp_path / "open", tmp_path / "killed")
    store.close()
    log = killed / "run.sqlite-wal"
    content = bytearray(log.read_bytes())
    content[:4] = b"\0\0\0\0"  # its first bytes, without which SQLite ignores it
    log.write_bytes(content)
    with pytest.raises(StoreError, match="changes are lost"):
        read_store(killed)
    assert recover(killed, tmp_path / "new").calls == 9
    kept = read_store(tmp_path / "new")
    assert kept.get("engine") == {"scorer": "x" * 9000}
    kept.close()


def test_an_old_damaged_run_is_recovered_with_the_completions_that_fit(made, tmp_path):
    # Schema 4 has its digests in other places.
    folder = tmp_path / "old"
    folder.mkdir()
    text = (Path(__file__).parents[1] / "crash" / "stores" / "schema-4.sql").read_text()
    with closing(sqlite3.connect(folder / "run.sqlite")) as raw:
        raw.executescript(text)
        raw.execute("UPDATE call SET payload = zeroblob(9) WHERE id = 2")
        raw.commit()
    came = recover(folder, tmp_path / "new")
    assert came.calls == 6 and came.lost[0] == "call 2"


def test_recover_refuses_what_would_harm(copy, tmp_path):
    with pytest.raises(UsageError, match="there is something already"):
        recover(copy, copy)
    for inside in (copy / "new", copy / "a" / ".." / "b"):
        with pytest.raises(UsageError, match="lies in the damaged run"):
            recover(copy, inside)
    store = open_store(copy)
    with pytest.raises(LockedError):
        recover(copy, tmp_path / "new")
    store.close()
    with pytest.raises(StoreError, match="no run here"):
        recover(tmp_path / "nothing", tmp_path / "new")
    (copy / "run.sqlite").write_bytes(b"\xff" * 8192)
    with pytest.raises(StoreError, match="nothing in it is intact"):
        recover(copy, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_recover_on_the_command_line(copy, capsys):
    break_completions(copy)
    keeping.recover(copy, as_json=True)
    new = str(copy) + "-recovered"
    assert json.loads(capsys.readouterr().out) == {
        "folder": new,
        "calls": 8,
        "lost": ["the completions of 2/train"],
    }


def test_every_row_that_sqlite_reads_is_found_on_the_pages(copy):
    store = read_store(copy)
    calls = {call["id"]: call["label"] for call in store.calls()}
    store.close()
    rows = [(id, columns) for id, columns in rows_of(copy / "run.sqlite") if len(columns) == 16]
    assert {id: columns[1] for id, columns in rows} == calls


# What somebody prepared: digests and seal are in order


ENDLESS = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT x AS step, '' AS text, '' AS reason FROM c"
)


@pytest.mark.parametrize("look", [describe, scored, verify])
@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE rejection", f"CREATE VIEW rejection AS {ENDLESS}"),
        ("CREATE TABLE more (a, b AS (zeroblob(a)))",),
        ("CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM call; END",),
    ],
)
def test_more_than_the_tables_of_a_run_is_damage(copy, look, statements):
    with closing(sqlite3.connect(copy / "run.sqlite", isolation_level=None)) as raw:
        for statement in statements:
            raw.execute(statement)
    try:
        said = str(look(copy).damaged[0].what)
    except StoreError as error:
        said = str(error)
    assert "it holds more than the tables of a run" in said


@pytest.mark.parametrize("value", ["[" * 200_000 + "]" * 200_000, "[1]", '"x"', "9" * 5000])
@pytest.mark.parametrize("key", ["result", "config", "identity", "made_by", "state"])
def test_values_of_any_shape_are_damage_and_no_traceback(copy, key, value, tmp_path):
    forge(copy, f"UPDATE meta SET value = '{value}' WHERE key = '{key}'")
    for look in (describe, verify, lambda folder: verify(folder, deep=True)):
        with contextlib.suppress(OproError):
            look(copy)
    with contextlib.suppress(OproError):
        recover(copy, tmp_path / "recovered")


@pytest.mark.parametrize("name", ["result.json", "best.txt"])
def test_what_lies_in_place_of_a_copy_is_no_trap(copy, name):
    for make in (os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")):
        place = copy / name
        if place.is_dir():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)
        make(place)
        assert [one.file for one in verify(copy, deep=True).damaged] == [str(place)]


def test_completions_unpack_within_bounds(monkeypatch):
    packed = packing.pack([Completion("x" * 5000, "stop", 1, 0, 1)])
    monkeypatch.setattr(packing, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        packing.unpack(packed)


@pytest.mark.parametrize("section", ["task", "problem"])
def test_code_that_a_run_names_is_run_only_where_it_is_trusted(copy, tmp_path, section):
    evil, ran = tmp_path / "evil.py", tmp_path / "ran"
    evil.write_text(f"open({str(ran)!r}, 'w')\ndef score(*given):\n    return 1.0\n")
    store = read_store(copy)
    config = store.get("config")
    store.close()
    if section == "problem":
        config = {**config, "problem": {"kind": "function", "function": f"{evil}:score"}}
    else:
        config["task"]["rule"] = f"{evil}:score"
    text = json.dumps(config).replace("'", "''")
    forge(copy, f"UPDATE meta SET value = '{text}' WHERE key = 'config'")
    with pytest.raises(UsageError, match="has to be run; add --trust-code"):
        verify(copy, deep=True)
    assert not ran.exists()
    with contextlib.suppress(OproError):
        verify(copy, deep=True, trust_code=True)
    assert ran.exists()
