"""Damage to the files that runs and processes share: the cache and the feedback store."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from damage import ANY, OF_DATABASES

from opro_local.errors import DataError, OproError, StoreError, UsageError
from opro_local.feedback import Feedback, Outcome
from opro_local.feedback.sealed import TABLES
from opro_local.runs import cache
from opro_local.runs.cache import Cache
from opro_local.types import Completion, Prompt, Request, Sampling

SIZES = [pytest.param(24, id="ci"), pytest.param(500, id="full", marks=pytest.mark.nightly)]
REQUESTS = [Request(Prompt(f"What is {n}? " * 20), Sampling(4)) for n in range(40)]
ANSWERS = [Completion(f"It is {n}. " * 10, "stop", n, 0, n) for n in range(40)]
TIME = "2026-01-02T03:04:05+00:00"
HOW = "SELECT number, id, prompt, user, input, output, score, time FROM outcome ORDER BY number"


@pytest.mark.parametrize("many", SIZES)
def test_a_damaged_cache_gives_right_answers_or_none(tmp_path, many):
    sound = Cache(tmp_path / "sound")
    sound.shelf({"engine": "x"}).keep(REQUESTS, ANSWERS)
    sound.close()
    rng, off = random.Random(many), 0
    for number in range(many):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tmp_path / "sound", copy)
        OF_DATABASES[number % len(OF_DATABASES)](copy / cache.FILE, rng)
        said: list[str] = []
        opened = Cache(copy, most_bytes=20_000, notify=said.append)
        shelf = opened.shelf({"engine": "x"})
        known = shelf.find(REQUESTS)
        assert all(one in (None, right) for one, right in zip(known, ANSWERS, strict=True))
        shelf.keep(REQUESTS[:20], ANSWERS[:20])
        known = shelf.find(REQUESTS)
        assert all(one in (None, right) for one, right in zip(known, ANSWERS, strict=True))
        opened.close()
        assert len(said) <= 1 and all("\n" not in line for line in said)
        off += len(said)
        for action in (cache.stat, cache.clear):
            try:
                action(copy)
            except StoreError as error:
                assert "\n" not in str(error)
    assert off > many // 5


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Path:
    """A feedback store with two prompts, an experiment and sixty outcomes."""
    path = tmp_path_factory.mktemp("logged") / "f.sqlite"
    with Feedback(path) as feedback:
        for id in ("old", "new"):
            feedback.register(f"The {id} words", id)
        feedback.challenge("new")
        for n in range(60):
            user = f"user {n}"
            prompt, _ = feedback.assign(user)
            feedback.log(Outcome(prompt, n % 2, f"asked {n}", "said", TIME, user, id=f"x{n}"))
    return path


def everything(feedback: Feedback) -> dict[str, Any]:
    """All that is read of it by those who decide by it."""
    judgement = feedback.compare()
    return {
        "state": feedback.state(),
        "text": feedback.prompt("old"),
        "assigned": [feedback.assign(f"user {n}") for n in range(5)],
        "numbers": judgement.numbers,
        "action": judgement.action,
        "history": feedback.history(),
        "rows": feedback.rows(HOW),
    }


@pytest.mark.parametrize("many", SIZES)
def test_a_damaged_feedback_store_says_what_was_logged_or_that_it_is_damaged(
    logged, tmp_path, many
):
    with Feedback(logged, new=False) as feedback:
        right = everything(feedback)
    rng, noticed = random.Random(many), 0
    for number in range(many):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(logged.parent, copy)
        path = copy / logged.name
        OF_DATABASES[number % len(OF_DATABASES)](path, rng)
        try:
            with Feedback(path, new=False) as feedback:
                found = everything(feedback)
                added = feedback.log(Outcome("old", 1, "more", time=TIME, id="more"))
                assert found == right and added == 1
                assert len(feedback.rows(HOW)) == len(right["rows"]) + 1
        except StoreError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            noticed += 1
    assert noticed > many // 4


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_went_or_changed_is_noticed(logged, tmp_path, table):
    changes = {
        "prompt": "UPDATE prompt SET text = 'Other words' WHERE id = 'new'",
        "outcome": "UPDATE outcome SET score = 1 WHERE number = 1",
        "experiment": "UPDATE experiment SET share = 0.9",
        "decision": "UPDATE decision SET champion = 'new'",
    }
    for statement in (changes[table], f"DELETE FROM {table}"):
        path = Path(shutil.copy(logged, tmp_path / "f.sqlite"))
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute(statement)
        with Feedback(path, new=False) as feedback:
            with pytest.raises(StoreError, match=rf"f\.sqlite: damaged in its {table}s"):
                feedback.rows(HOW)
            with pytest.raises(StoreError, match="damaged in its"):
                feedback.compare()


def test_what_another_process_logs_is_checked_and_ones_own_is_not_read_again(tmp_path):
    path = tmp_path / "f.sqlite"
    with Feedback(path) as one, Feedback(path) as other:
        one.register("Words", "w")
        for n in range(3):
            one.log(Outcome("w", 1, id=f"one {n}"))
            assert other.log(Outcome("w", 0, id=f"other {n}"), Outcome("w", 0, id=f"one {n}")) == 1
        assert len(one.rows(HOW)) == len(other.rows(HOW)) == 6
        seen: list[str] = []
        one._connection.set_trace_callback(seen.append)
        one.log(Outcome("w", 1))
        one.rows(HOW)
        assert not [sql for sql in seen if sql.endswith("metadata FROM outcome")]
        one._connection.set_trace_callback(None)
        other.log(Outcome("w", 1))
        one._connection.set_trace_callback(seen.append)
        one.rows(HOW)
        assert [sql for sql in seen if sql.endswith("metadata FROM outcome")]


def test_a_refused_row_leaves_the_seal_as_it_was(tmp_path):
    with Feedback(tmp_path / "f.sqlite") as feedback:
        feedback.register("Words", "w")
        feedback.log(Outcome("w", 1, id="a"))
        with pytest.raises(DataError, match="unknown prompt"):
            feedback.log(Outcome("w", 1, id="b"), Outcome("nobody", 1, id="c"))
        with pytest.raises(UsageError):
            feedback.challenge("w")
        assert [row["id"] for row in feedback.rows(HOW)] == ["a"]
        feedback.log(Outcome("w", 1, id="b"))
        assert [row["id"] for row in feedback.rows(HOW)] == ["a", "b"]


def test_a_feedback_store_of_schema_1_goes_on_after_a_copy(tmp_path):
    path = tmp_path / "f.sqlite"
    text = (Path(__file__).parent / "stores" / "feedback-schema-1.sql").read_text("utf-8")
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(text)
        before = raw.execute(HOW).fetchall()
    with Feedback(path, new=False) as feedback:
        assert [tuple(row.values()) for row in feedback.rows(HOW)] == before
        assert feedback.state().champion == "old" and feedback.state().experiment
        feedback.log(Outcome("old", 1, "more", id="more"))
        assert feedback.compare().numbers
        with pytest.raises(OproError):
            feedback.register("Other words", "old")
        assert feedback.rows("PRAGMA foreign_key_check") == []
        assert feedback.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        names = {row["name"] for row in feedback.rows("SELECT name FROM sqlite_master")}
        assert not [name for name in names if name.endswith("_1") and "autoindex" not in name]
        assert {"outcome_of_prompt", "outcome_with_target"} <= names
    with closing(sqlite3.connect(tmp_path / "f.sqlite.schema-1")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute(HOW).fetchall() == before


@pytest.mark.parametrize("damage", ANY, ids=lambda damage: damage.__name__)
def test_a_cleared_cache_works_again(tmp_path, damage):
    opened = Cache(tmp_path)
    opened.shelf({"engine": "x"}).keep(REQUESTS, ANSWERS)
    opened.close()
    damage(tmp_path / cache.FILE, random.Random(1))
    try:
        cache.clear(tmp_path)
    except StoreError as error:
        assert "not a generation cache of this version" in str(error)
        (tmp_path / cache.FILE).unlink()
    said: list[str] = []
    again = Cache(tmp_path, notify=said.append)
    shelf = again.shelf({"engine": "x"})
    shelf.keep(REQUESTS, ANSWERS)
    assert shelf.find(REQUESTS) == ANSWERS and said == []
    again.close()
