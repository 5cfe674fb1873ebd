"""The store: what is appended comes back, damage and strangers are refused, one writer at a time."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opro_local.errors import LockedError, StoreError, UsageError
from opro_local.runs import store as stores
from opro_local.runs.driver import request_digest
from opro_local.search.trajectory import Entry
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Prompt,
    Rejection,
    Request,
    Sampling,
    Score,
    Solution,
)

BATCH = Batch(
    "1/train", "scorer", [Request(Prompt("a"), Sampling(4)), Request(Prompt("b"), Sampling(4))]
)
REPLY = BatchResult(
    [Completion("x\ud800\0é", "stop", 3, 1, 2), Completion("", "too_long", 9, 0, 0)], 1.5
)


@pytest.fixture
def store(tmp_path):
    opened = stores.open_store(tmp_path / "run")
    yield opened
    opened.close()


def test_a_reply_comes_back_as_it_was_also_in_another_process_life(store):
    digest = request_digest(BATCH)
    assert store.reply(BATCH, digest) is None
    store.append(BATCH, digest, REPLY)
    store.close()
    again = stores.open_store(store.folder)
    assert again.reply(BATCH, digest) == REPLY
    again.close()


@given(st.lists(st.text(max_size=50), min_size=1, max_size=5))
@settings(max_examples=50)
def test_any_text_survives_packing(texts):
    completions = [Completion(text, "length", 1, 2, 3) for text in texts]
    assert stores._unpack(stores._pack(completions)) == completions


def test_other_requests_under_a_known_label_are_refused(store):
    store.append(BATCH, request_digest(BATCH), REPLY)
    other = Batch(BATCH.label, "scorer", [Request(Prompt("c"), Sampling(4))])
    with pytest.raises(UsageError, match="the requests of 1/train differ"):
        store.reply(other, request_digest(other))


@pytest.mark.parametrize(
    "changed",
    [
        Batch("1/train", "optimizer", BATCH.requests),
        Batch("1/train", "scorer", BATCH.requests[::-1]),
        Batch(
            "1/train", "scorer", [Request(Prompt("a", chat=False), Sampling(4)), BATCH.requests[1]]
        ),
        Batch(
            "1/train", "scorer", [Request(Prompt("a", prefill="x"), Sampling(4)), BATCH.requests[1]]
        ),
        Batch(
            "1/train", "scorer", [Request(Prompt("a", system=""), Sampling(4)), BATCH.requests[1]]
        ),
        Batch("1/train", "scorer", [Request(Prompt("a"), Sampling(5)), BATCH.requests[1]]),
        Batch(
            "1/train", "scorer", [Request(Prompt("a"), Sampling(4, 1.0, 1.0, 7)), BATCH.requests[1]]
        ),
        Batch(
            "1/train", "scorer", [Request(Prompt("a"), Sampling(4, stop=("x",))), BATCH.requests[1]]
        ),
    ],
)
def test_the_digest_covers_everything_that_decides_an_answer(changed):
    assert request_digest(changed) != request_digest(BATCH)


def test_damaged_completions_are_noticed(store):
    digest = request_digest(BATCH)
    store.append(BATCH, digest, REPLY)
    store.close()
    raw = sqlite3.connect(store.folder / stores.FILE)
    payload = bytearray(raw.execute("SELECT payload FROM call").fetchone()[0])
    payload[-3] ^= 1
    raw.execute("UPDATE call SET payload = ?", (bytes(payload),))
    raw.commit()
    raw.close()
    again = stores.open_store(store.folder)
    with pytest.raises(StoreError, match="damaged"):
        again.reply(BATCH, digest)
    again.close()


def test_derived_rows_may_be_written_twice(store):
    entry = Entry("train", 0, 0, Solution("t\ud800"), Score(0.5, np.array([0.0, 1.0]), 1, 2, 3))
    for _ in range(2):
        store.record([entry], [Rejection(1, "x", "empty")], 0)
    (row,) = store.solutions()
    assert (row["text"], row["score"], row["n"], row["extraction_failures"], row["truncated"]) == (
        "t?",
        0.5,
        2,
        1,
        2,
    )
    assert store.rejections() == [{"step": 1, "text": "x", "reason": "empty"}]


def test_a_second_writer_is_told_who_holds_the_run(store):
    begun = time.monotonic()
    with pytest.raises(LockedError, match=f"in use by process {os.getpid()} on"):
        stores.open_store(store.folder)
    assert time.monotonic() - begun < 1


def test_readers_do_not_need_the_lock_and_see_commits(store):
    store.append(BATCH, request_digest(BATCH), REPLY)
    reader = stores.read_store(store.folder)
    assert [call["label"] for call in reader.calls()] == ["1/train"]
    with pytest.raises(StoreError):
        reader.put(state="x")
    reader.close()


def test_a_closed_run_is_one_file_and_the_lock(store):
    store.append(BATCH, request_digest(BATCH), REPLY)
    store.close()
    assert sorted(path.name for path in store.folder.iterdir()) == ["lock", "run.sqlite"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("PRAGMA application_id=7", "not a run of opro-local"),
        ("PRAGMA user_version=99", "written by another version"),
    ],
)
def test_strangers_and_newer_versions_are_refused(store, sql, message):
    store.close()
    raw = sqlite3.connect(store.folder / stores.FILE)
    raw.execute(sql)
    raw.close()
    for opening in (stores.open_store, stores.read_store):
        with pytest.raises(StoreError, match=message):
            opening(store.folder)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / stores.FILE).write_text("hello " * 1000)
    for opening in (stores.open_store, stores.read_store):
        with pytest.raises(StoreError, match="not a database"):
            opening(tmp_path)


def test_a_full_disk_ends_as_a_storage_error_and_leaves_a_sound_file(store):
    store._connection.execute("PRAGMA max_page_count=12")
    big = BatchResult([Completion(os.urandom(200_000).hex(), "stop", 1, 0, 1)] * 2, 0.1)
    with pytest.raises(StoreError, match=r"full.*bytes free"):
        store.append(BATCH, request_digest(BATCH), big)
    assert store.reply(BATCH, request_digest(BATCH)) is None
    assert store._connection.execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_a_commit_is_synced_before_it_is_acknowledged(store):
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_lock_goes_with_its_holder(tmp_path):
    code = (
        f"from opro_local.runs.store import open_store; "
        f"open_store(__import__('pathlib').Path({str(tmp_path)!r})); "
        + ("print('held', flush=True); __import__('time').sleep(60)")
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=str(child.pid)):
            stores.open_store(tmp_path)
        child.kill()
    stores.open_store(tmp_path).close()
