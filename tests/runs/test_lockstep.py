"""Runs in lockstep come to what they come to alone, in the calls of one, and end alone when
something breaks.
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.engines.pool import EnginePool
from opro_local.engines.scripted import ScriptedEngine
from opro_local.engines.settings import EngineSettings
from opro_local.errors import DataError, EngineError, LockedError, StoreError, UsageError
from opro_local.runs.driver import NO_ANSWER, Commit, EngineCall, drive_steps
from opro_local.runs.events import BatchAnswer, BatchProgress, Interrupted, Listener
from opro_local.runs.lockstep import call_together, run_many, run_together
from opro_local.runs.run import run
from opro_local.runs.store import open_store
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, Completion, Prompt, Request, Sampling

TABLES = ("call", "solution", "rejection", "meta")
# What time it was, and how long it took; a row's digest covers both.
TIMES = {"finished_at", "seconds", "digest"}


def stored(folder: Path) -> dict:
    """Everything in a store but times, and the result as it lies beside it."""
    connection = sqlite3.connect(folder / "run.sqlite")
    connection.row_factory = sqlite3.Row
    found: dict = {
        name: [
            {k: v for k, v in dict(row).items() if k not in TIMES}
            for row in connection.execute(f"SELECT * FROM {name}")
        ]
        for name in TABLES
    }
    connection.close()
    for row in found["meta"]:
        row["value"] = without_times(json.loads(row["value"]))
    found["files"] = {
        file.name: without_times(json.loads(file.read_text()))
        if file.suffix == ".json"
        else file.read_text()
        for file in folder.iterdir()
        if file.suffix in (".json", ".txt")
    }
    return found


def without_times(value):
    return (
        {k: v for k, v in value.items() if k not in TIMES} if isinstance(value, Mapping) else value
    )


@pytest.fixture
def seeds(tables) -> list[Config]:
    """Eight configs of different length: seeds 0 to 7, one to four steps."""
    found = []
    for seed in range(8):
        own = copy.deepcopy(tables)
        own["run"]["seed"], own["search"]["steps"] = seed, 1 + seed % 4
        found.append(reading.build(own))
    return found


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """The sizes of the calls that scripted engines of this process get; no worker is started."""
    calls: list[int] = []

    class Counting(ScriptedEngine):
        def generate(self, requests, progress=None):
            calls.append(len(requests))
            return super().generate(requests, progress)

    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (Counting(settings), ""),
    )
    return calls


def test_eight_runs_in_lockstep_are_the_eight_runs_alone_in_the_calls_of_the_longest(
    seeds, tmp_path, counted
):
    alone, calls = [], []
    for seed, config in enumerate(seeds):
        alone.append(run(config, tmp_path / "alone" / str(seed)))
        calls.append(len(counted))
        counted.clear()
    events: list = []
    together = run_many(
        [(config, tmp_path / "together" / str(seed)) for seed, config in enumerate(seeds)],
        [Listener(lambda event, number=i: events.append((number, event))) for i in range(8)],
    )
    assert len({found["digest"] for found in together}) == 8
    for seed in range(8):
        assert without_times(together[seed]) == without_times(alone[seed])
        assert stored(tmp_path / "together" / str(seed)) == stored(tmp_path / "alone" / str(seed))
    assert len(counted) == max(calls) < sum(calls) / 4
    assert sum(found["calls"]["scorer"] for found in together) == sum(
        found["calls"]["scorer"] for found in alone
    )
    for number in range(8):
        own = [event for given, event in events if given == number]
        assert sum(isinstance(event, BatchAnswer) for event in own) == calls[number]
        last = [event.finished for event in own if isinstance(event, BatchProgress)][-1]
        assert last == len(
            [event for event in own if isinstance(event, BatchAnswer)][-1].batch.requests
        )


def test_a_worker_is_shared_and_a_finished_lockstep_starts_none(seeds, tmp_path, monkeypatch):
    runs = [(config, tmp_path / str(seed)) for seed, config in enumerate(seeds[:3])]
    found = run_many(runs)
    assert [(tmp_path / str(i) / "scorer.log").exists() for i in range(3)] == [True, False, False]
    monkeypatch.setattr("opro_local.runs.run_engines.start_engine", None)
    assert run_many(runs) == found


def test_stored_batches_are_replayed_and_the_rest_is_merged(seeds, tmp_path, counted):
    runs = [(config, tmp_path / str(seed)) for seed, config in enumerate(seeds)]
    short = seeds[3].model_copy(update={"search": seeds[3].search.model_copy(update={"steps": 2})})
    run(short, tmp_path / "3")
    counted.clear()
    found = run_many(runs)
    longest = max(sum(one["calls"].values()) for one in found[:3] + found[4:])
    assert len(counted) <= longest + 2 and not any(isinstance(one, Exception) for one in found)


def test_shares_of_seconds_add_up_and_go_by_requests():
    class Slow:
        def generate(self, requests, progress=None):
            progress(4, 8)
            return [Completion(request.prompt.text, "stop", 1, 0, 1) for request in requests]

    heard: list = []
    sizes = (1, 3)
    waits = [
        EngineCall(
            Slow(), [request(f"{size} {i}") for i in range(size)], lambda *told: heard.append(told)
        )
        for size in sizes
    ]
    replies = call_together(waits[0].engine, waits)
    assert [[one.text for one in reply.completions] for reply in replies] == [
        ["1 0"],
        ["3 0", "3 1", "3 2"],
    ]
    assert replies[1].seconds == pytest.approx(3 * replies[0].seconds) and heard == [(1, 2), (3, 6)]


def test_what_several_runs_ask_alike_is_asked_once():
    asked: list = []

    class Echo:
        def generate(self, requests, progress=None):
            asked.append([one.prompt.text for one in requests])
            progress(len(requests), 0)
            return [
                Completion(f"{one.prompt.text} {one.sampling.seed}", "stop", 1, 0, 1)
                for one in requests
            ]

    engine, heard = Echo(), []
    drawn = [Request(Prompt("draw"), Sampling(4, 1.0, seed=seed)) for seed in (1, 2)]
    first, second = (
        [request("a"), request("b"), drawn[0]],
        [request("b"), request("c"), request("b"), drawn[1]],
    )
    waits = [
        EngineCall(engine, own, lambda done, tokens: heard.append(done)) for own in (first, second)
    ]
    replies = call_together(engine, waits)
    assert asked == [["a", "b", "draw", "c", "draw"]]
    assert [one.text for one in replies[0].completions] == ["a None", "b None", "draw 1"]
    assert [one.text for one in replies[1].completions] == ["b None", "c None", "b None", "draw 2"]
    assert heard == [3, 4]


def request(text: str) -> Request:
    return Request(Prompt(text), Sampling(8))


def asking(*labels: str, role="scorer"):
    said = []
    for label in labels:
        said += [one.text for one in (yield Batch(label, role, [request(label)])).completions]
    return said


class Recording:
    """Answers with the prompt; fails a call in which a request says so."""

    def __init__(self, short: bool = False) -> None:
        self.calls: list[list[str]] = []
        self._short = short

    def generate(self, requests, progress=None):
        texts = [one.prompt.text for one in requests]
        self.calls.append(texts)
        if any("bad" in text for text in texts):
            raise EngineError("a bad request")
        return [Completion(text, "stop", 1, 0, 1) for text in texts][: -1 if self._short else None]


def run_of(asks, engine, **more):
    return drive_steps(
        asks, {"scorer": engine, "optimizer": more.pop("optimizer", engine)}, Trajectory(), **more
    )


def test_a_request_that_breaks_the_call_ends_its_own_run_only():
    engine = Recording()
    found = run_together(
        [run_of(asking(*labels), engine) for labels in (("a", "b"), ("bad",), ("c", "d"))]
    )
    assert found[0] == ["a", "b"] and found[2] == ["c", "d"] and isinstance(found[1], EngineError)
    assert engine.calls == [["a", "bad", "c"], ["a"], ["bad"], ["c"], ["b", "d"]]


def test_runs_on_an_engine_that_gives_too_few_fail_and_the_others_finish():
    good, short = Recording(), Recording(short=True)
    found = run_together(
        [run_of(asking("a", "b"), engine) for engine in (short, good, short, good)]
    )
    assert found[1] == found[3] == ["a", "b"]
    assert all(
        isinstance(found[i], EngineError) and "0 completions for 1 requests" in found[i].message
        for i in (0, 2)
    )


def test_a_dead_engine_ends_its_runs_with_what_killed_it():
    class Dead(Recording):
        def generate(self, requests, progress=None):
            self.calls.append([])
            raise EngineError(
                "killed by signal 9" if len(self.calls) == 1 else "the engine is closed"
            )

    found = run_together([run_of(asking("a"), dead) for dead in [Dead()] * 2])
    assert [error.message for error in found] == ["killed by signal 9"] * 2


def test_runs_out_of_step_fall_into_step():
    def alternating(first: str, count: int):
        for i in range(count):
            role = ("scorer", "optimizer")[(i + (first == "optimizer")) % 2]
            yield Batch(str(i), role, [request(f"{first} {i}")])

    scorer, optimizer = Recording(), Recording()
    run_together(
        [
            run_of(alternating(role, 8), scorer, optimizer=optimizer)
            for role in ("scorer", "optimizer")
        ]
    )
    assert len(scorer.calls) + len(optimizer.calls) == 9


def test_a_locked_store_and_a_bad_config_end_their_runs_only(seeds, tmp_path, counted):
    (tmp_path / "1").mkdir()
    held = (tmp_path / "1" / "lock").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    missing = seeds[2].model_copy(
        update={"task": seeds[2].task.model_copy(update={"data": str(tmp_path / "none")})}
    )
    told = []
    found = run_many(
        [
            (config, tmp_path / str(i))
            for i, config in enumerate((seeds[0], seeds[1], missing, seeds[3]))
        ],
        [Listener(notify=lambda line, number=i: told.append(number)) for i in range(4)],
    )
    held.close()
    assert isinstance(found[1], LockedError) and isinstance(found[2], DataError)
    assert found[0]["state"] == found[3]["state"] == "finished"


def test_a_store_that_fails_midway_ends_its_run_only(tmp_path):
    stores = [open_store(tmp_path / str(i)) for i in range(3)]
    engine, seen = Recording(), []

    def report(event):
        if isinstance(event, BatchAnswer) and event.batch.label == "b":
            stores[1].close()

    runs = [
        run_of(asking("a", "b", "c"), engine, store=store, listener=Listener(report))
        for store in stores
    ]
    found = run_together(runs)
    assert found[0] == found[2] == ["a", "b", "c"] and isinstance(found[1], StoreError) and not seen
    for store in (stores[0], stores[2]):
        assert [call["label"] for call in store.calls()] == ["a", "b", "c"]
        store.close()


def test_what_runs_must_have_on_disk_is_written_at_the_same_time():
    # Each commit waits for the three others: one after another the first would wait in vain.
    together = threading.Barrier(4)

    def committing():
        sent = yield Commit(lambda: together.wait(timeout=20) and None)
        return sent

    assert run_together([committing() for _ in range(4)]) == [NO_ANSWER] * 4


def test_ctrl_c_leaves_no_folder_before_what_is_written_there_is_written():
    happened: list[str] = []

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        happened.append("written")

    def write() -> None:
        time.sleep(0.3)
        happened.append("written")

    def committing(commit):
        try:
            yield Commit(commit)
        except KeyboardInterrupt:
            happened.append("left")
            raise

    with pytest.raises(KeyboardInterrupt):
        run_together([committing(write), committing(interrupt)])
    assert happened == ["written", "written", "left", "left"]


def test_an_engine_error_is_stored_as_the_runs_own(tables, tmp_path, counted):
    other = copy.deepcopy(tables)
    broken = tmp_path / "broken.py"
    broken.write_text(
        "def answer(request):\n    from opro_local.errors import EngineError\n    raise "
        "EngineError('no')\n"
    )
    for role in ("scorer", "optimizer"):
        other[role]["script"] = f"{broken}:answer"
    found = run_many(
        [(reading.build(tables), tmp_path / "0"), (reading.build(other), tmp_path / "1")]
    )
    assert found[0]["state"] == "finished" and isinstance(found[1], EngineError)
    assert not (tmp_path / "1").exists()  # nothing was answered there


def test_stopping_ends_all_after_the_call_and_the_same_call_resumes(seeds, tmp_path, counted):
    clean = run_many([(config, tmp_path / "clean" / str(i)) for i, config in enumerate(seeds)])
    runs = [(config, tmp_path / "run" / str(i)) for i, config in enumerate(seeds)]
    counted.clear()
    found = run_many(runs, [Listener(should_stop=lambda: len(counted) >= 3)] * 8)
    assert len(counted) == 3 and all(isinstance(one, Interrupted) for one in found)
    assert {
        row["value"]
        for i in range(8)
        for row in stored(tmp_path / "run" / str(i))["meta"]
        if row["key"] == "state"
    } == {"interrupted"}
    again = run_many(runs)
    assert [without_times(one) for one in again] == [without_times(one) for one in clean]


def test_stopping_asks_no_other_engine():
    first, second = Recording(), Recording()
    runs = [run_of(asking("a", "b"), engine) for engine in (first, second)]
    found = run_together(runs, should_stop=lambda: bool(first.calls))
    assert [type(one) for one in found] == [Interrupted] * 2 and (first.calls, second.calls) == (
        [["a"]],
        [],
    )


def test_ctrl_c_in_a_call_leaves_every_folder_in_order(seeds, tmp_path, monkeypatch):
    class Stopped(ScriptedEngine):
        calls = 0

        def generate(self, requests, progress=None):
            Stopped.calls += 1
            if Stopped.calls == 3:
                raise KeyboardInterrupt
            return super().generate(requests, progress)

    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (Stopped(settings), ""),
    )
    runs = [(config, tmp_path / str(i)) for i, config in enumerate(seeds[:3])]
    with pytest.raises(KeyboardInterrupt):
        run_many(runs)
    for i in range(3):
        meta = {row["key"]: row["value"] for row in stored(tmp_path / str(i))["meta"]}
        assert meta["state"] == "interrupted" and len(stored(tmp_path / str(i))["call"]) == 2
    assert [one["state"] for one in run_many(runs)] == ["finished"] * 3


def test_the_pool_shares_what_is_equal_and_closes_it():
    class Closing:
        def __init__(self):
            self.fingerprint, self.closed = {"engine": "transformers"}, False

        def close(self):
            self.closed = True

    pool, settings, scorer, optimizer = (
        EnginePool(),
        (EngineSettings("m", "vllm", template_args={"a": 1}), ""),
        Closing(),
        Closing(),
    )
    pool.add(
        {"scorer": (settings, "auto"), "optimizer": (settings, "auto")},
        {"scorer": scorer, "optimizer": optimizer},
    )
    equal = (EngineSettings("m", "vllm", template_args={"a": 1}), "")
    assert pool.find({"scorer": (equal, "auto")}) == {"scorer": scorer}
    assert (
        pool.find({"scorer": (equal, "transformers"), "optimizer": (equal, "auto")})["optimizer"]
        is optimizer
    )
    assert pool.find({"scorer": (equal, "vllm")}) == {} == pool.find({"judge": (equal, "auto")})
    assert pool.find({"scorer": ((EngineSettings("m", "vllm"), ""), "auto")}) == {}
    assert pool.find({"scorer": ((equal[0], "an adapter"), "auto")}) == {}
    pool.close()
    assert scorer.closed and optimizer.closed and pool.find({"scorer": (equal, "auto")}) == {}


@pytest.mark.parametrize("count", [1, 3])
def test_listeners_of_another_number_than_the_runs_are_refused(tmp_path, count):
    runs = [(Config(), tmp_path / "a"), (Config(), tmp_path / "b")]
    with pytest.raises(UsageError, match=f"{count} listeners for 2 runs"):
        run_many(runs, [Listener()] * count)
