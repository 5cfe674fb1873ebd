"""The store: what is appended comes back, damage and strangers are refused, one writer at a time."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opro_local.errors import LockedError, StoreError, UsageError
from opro_local.runs import disks
from opro_local.runs import lock as locks
from opro_local.runs import store as stores
from opro_local.runs.driver import request_digest
from opro_local.runs.packing import pack, unpack
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
    assert unpack(pack(completions)) == completions


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
    assert time.monotonic() - begun < 20


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


def test_readers_write_nothing_and_need_no_place_to_write(store):
    store.append(BATCH, request_digest(BATCH), REPLY)
    store.close()
    (store.folder / "run.sqlite").chmod(0o444)
    store.folder.chmod(0o555)
    before = {path.name: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    # In a mount of its own that is read only, for root as well.
    code = (
        "import pathlib, sys; from opro_local.runs.store import read_store; "
        "print([call['label'] for call in read_store(pathlib.Path(sys.argv[1])).calls()])"
    )
    mounted = "mount --bind -o ro $1 $1 && mount -o remount,bind,ro $1 && ! touch $1/x 2>/dev/null"
    command = ["unshare", "-m", "sh", "-c", f'{mounted} && exec "$2" -c "$3" $1', "sh"]
    ended = subprocess.run(
        [*command, str(store.folder), sys.executable, code], capture_output=True, text=True
    )
    store.folder.chmod(0o755)
    if "not permitted" in ended.stderr or ended.returncode == 127:
        pytest.skip("this user may not mount: run as root to test a medium that is read only")
    assert ended.stdout == "['1/train']\n", ended.stderr
    assert {path.name: path.stat().st_mtime_ns for path in store.folder.iterdir()} == before


def test_a_killed_writers_log_is_read_and_left_as_it_is(store, tmp_path):
    store.append(BATCH, request_digest(BATCH), REPLY)
    killed = shutil.copytree(store.folder, tmp_path / "killed")
    for index in (True, False):
        if not index:
            (killed / "run.sqlite-shm").unlink()
        before = {path.name: path.read_bytes() for path in killed.iterdir()}
        reader = stores.read_store(killed)
        assert [call["label"] for call in reader.calls()] == ["1/train"]
        reader.close()
        assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def test_a_rollback_journal_keeps_what_a_log_keeps(tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_JOURNAL", "delete")
    store = stores.open_store(tmp_path / "run")
    assert store.notice.endswith("its store keeps a rollback journal, not a log")
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    store.append(BATCH, request_digest(BATCH), REPLY)
    reader = stores.read_store(store.folder)  # while the writer is there
    assert [call["label"] for call in reader.calls()] == ["1/train"]
    reader.close()
    # A kill in the middle of a transaction leaves the journal, with what was there before.
    store._connection.execute("PRAGMA cache_spill=1")
    store._connection.execute("PRAGMA cache_size=1")
    store._connection.execute("BEGIN IMMEDIATE")
    store._connection.execute("UPDATE call SET payload = randomblob(100000)")
    killed = shutil.copytree(store.folder, tmp_path / "killed")
    assert (killed / "run.sqlite-journal").stat().st_size > 0
    store._connection.execute("ROLLBACK")
    store.close()
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    reader = stores.read_store(killed)
    assert reader.completions("1/train") == REPLY
    reader.close()
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before
    again = stores.open_store(killed)
    assert again.reply(BATCH, request_digest(BATCH)) == REPLY
    again.close()


MOUNTS = """\
22 1 0:21 / / rw - ext4 /dev/vda rw
30 22 0:30 / /home rw shared:1 - nfs4 server:/home rw
31 30 0:31 / /home/a/local rw - ext4 /dev/vdb rw
32 22 0:32 / /data\\040sets rw - fuse.sshfs a@b:/ rw
33 22 0:33 / /lustre rw - lustre x@tcp:/l rw
34 22 0:34 / /win rw - cifs //s/win rw
35 22 0:35 / /usb rw - fuseblk /dev/sdb1 rw
36 22 0:36 / /gpfs rw - gpfs gpfs rw
37 22 0:37 / /smb rw - smb3 //s/x rw
damaged line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/a/run", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/a", ""),
        ("/home/a/local/run", ""),
        ("/data sets/run", "fuse.sshfs"),
        ("/lustre/x", "lustre"),
        ("/win/x", "cifs"),
        ("/smb/x", "smb3"),
        ("/gpfs/x", "gpfs"),
        ("/usb/x", ""),
        ("/tmp", ""),
    ],
)
def test_file_systems_of_a_network_are_known_by_their_mounts(path, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "MOUNTS", tmp_path / "mountinfo")
    disks.MOUNTS.write_text(MOUNTS)
    assert disks.network_kind(path) == kind
    assert disks.journal_for(path) == (("delete", kind) if kind else ("wal", ""))


def test_a_folder_made_for_nothing_goes_before_its_lock(tmp_path):
    store = stores.open_store(tmp_path / "run")
    store.remove()
    assert list(tmp_path.iterdir()) == []
    # Who waited for that lock has one of a file that is gone, and makes the folder anew.
    handle = os.open(tmp_path / "old", os.O_RDWR | os.O_CREAT)
    os.unlink(tmp_path / "old")
    assert not locks._is_there(tmp_path, handle)
    os.close(handle)
    again = stores.open_store(tmp_path / "run")
    assert (tmp_path / "run" / "lock").is_file()
    again.close()


def test_a_writer_waits_for_a_reader_and_says_so_in_the_end(store):
    store.append(BATCH, request_digest(BATCH), REPLY)
    store.close()
    reader = stores.read_store(store.folder)
    with pytest.raises(LockedError, match="another process reads it"):
        stores.open_store(store.folder)
    reader.close()
    stores.open_store(store.folder).close()


def test_a_replay_writes_nothing_again(store):
    entry = Entry("train", 0, 0, Solution("t"), Score(0.5, np.array([0.0, 1.0]), 1, 2, 3))
    store.record([entry], [Rejection(1, "x", "empty")], 0)
    epoch = store._seal.epoch
    store.record([entry], [Rejection(1, "x", "empty")], 0)
    store.put(state="x")
    store.put(state="x")
    assert store._seal.epoch == epoch + 1
    store.record([], [Rejection(1, "y", "empty")], 0)
    assert [row["text"] for row in store.rejections()] == ["y"]
    store.check()


@pytest.mark.parametrize(
    "columns",
    [
        {"a": 1},
        [["x"]],
        [[5], [0], [1], [0], [1]],
        [["x"], [9], [1], [0], [1]],
        [["x"], ["stop"], [1], [0], [1]],
        [["x", "y"], [0], [1], [0], [1]],
        [["x"], [0], [1], [0], [1], [1], [1]],
        "x",
        None,
    ],
)
def test_bytes_that_are_no_completions_are_told_from_those_that_are(columns):
    from opro_local.runs.packing import unpack

    with pytest.raises(ValueError):
        unpack(zlib.compress(json.dumps(columns).encode()))
