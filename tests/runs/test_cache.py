"""The generation cache: what is found again, what never is, and what happens when its file is in
trouble.
"""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_model import answer
from typer.testing import CliRunner

from opro_local.cli.cache import app
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import EngineError, StoreError
from opro_local.runs import cache as caches
from opro_local.runs.cache import Cache
from opro_local.runs.driver import drive_steps, run_to_end
from opro_local.runs.events import SILENT, BatchAnswer, Listener
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.runs.store import Store, open_store
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, Completion, Constraint, Prompt, Request, Sampling

ENGINE = {"engine": "vllm", "model": "0123"}
GREEDY = Sampling(8)


def request(text: str, **sampling) -> Request:
    return Request(Prompt(text), replace(GREEDY, **sampling))


def reply(text: str, finish="stop") -> Completion:
    return Completion(text, finish, 3, 1, 2)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path, told):
    opened = Cache(tmp_path / "cache", notify=told.append)
    yield opened
    opened.close()


def sql(cache: Path, statement: str) -> None:
    connection = sqlite3.connect(cache / caches.FILE)
    with connection:
        connection.execute(statement)
    connection.close()


def test_what_one_process_keeps_another_finds_the_same_in_order(cache, tmp_path):
    asked = [request("a"), request("b"), request("c")]
    cache.shelf(ENGINE).keep(asked[:2], [reply("A", "length"), Completion("B", "stop", 9, 8, 7)])
    other = Cache(tmp_path / "cache").shelf(dict(reversed(ENGINE.items())))
    assert other.find([asked[2], asked[1], asked[0], asked[1]]) == [
        None,
        Completion("B", "stop", 9, 8, 7),
        reply("A", "length"),
        Completion("B", "stop", 9, 8, 7),
    ]


@settings(deadline=None)
@given(text=st.text(st.characters(), max_size=40), counts=st.tuples(*[st.integers(0, 1 << 40)] * 3))
def test_any_text_comes_back_as_it_was(text, counts):
    shelf, asked = Cache().shelf({"counts": counts}), [request(text)]
    shelf.keep(asked, [Completion(text, "stop", *counts)])
    assert shelf.find(asked) == [Completion(text, "stop", *counts)]
    shelf.cache.close()


def test_everything_that_decides_an_answer_is_a_part_of_the_key(cache):
    limit = Constraint("choice", ("a", "b"))
    different = [
        request("a"),
        *(
            Request(Prompt("a", **{name: value}), GREEDY)
            for name, value in (("system", ""), ("prefill", "x"))
        ),
        *(Request(Prompt("a", system="x"), GREEDY), Request(Prompt("a", chat=False), GREEDY)),
        *(
            request("a", max_tokens=9),
            request("a", top_p=0.5),
            request("a", stop=("x",)),
            request("a", stop=("x", "y")),
        ),
        *(request("a", constraint=limit), request("a", constraint=Constraint("choice", ("a",)))),
        request("a", constraint=Constraint("regex", "a")),
    ]
    replies = [reply(str(i)) for i in range(len(different))]
    shelf = cache.shelf(ENGINE)
    for i, one in enumerate(different):
        assert shelf.find([one]) == [None]
        shelf.keep([one], [replies[i]])
    assert shelf.find(different) == replies
    assert cache.shelf({**ENGINE, "model": "4567"}).find(different) == [None] * len(different)


def test_sampled_failed_and_too_long_answers_are_not_kept(cache):
    shelf = cache.shelf(ENGINE)
    asked = [
        request("a", temperature=1.0, seed=3),
        request("b", seed=3),
        request("c"),
        request("d"),
        request("e"),
    ]
    shelf.keep(
        asked, [reply("A"), reply("B"), reply("", "too_long"), reply("", "failed"), reply("E")]
    )
    assert shelf.find(asked) == [None, None, None, None, reply("E")]


def test_the_first_answer_stays(cache):
    shelf = cache.shelf(ENGINE)
    shelf.keep([request("a"), request("a")], [reply("first"), reply("second")])
    shelf.keep([request("a")], [reply("third")])
    assert shelf.find([request("a")]) == [reply("first")]


@pytest.mark.parametrize(
    "change", ["payload = replace(payload, 'A', 'Z')", "digest = zeroblob(32)"]
)
def test_a_damaged_row_is_a_miss_and_is_deleted(cache, tmp_path, told, change):
    shelf = cache.shelf(ENGINE)
    shelf.keep([request("a"), request("b")], [reply("A"), reply("B")])
    change = change.replace(
        "replace(payload, 'A', 'Z')", "CAST(replace(CAST(payload AS TEXT), 'A', 'Z') AS BLOB)"
    )
    sql(tmp_path / "cache", f"UPDATE completion SET {change} WHERE id = 1")
    assert shelf.find([request("a"), request("b")]) == [None, reply("B")]
    assert caches.stat(tmp_path / "cache")["completions"] == 1 and not told


def test_a_row_with_another_rows_answer_is_damaged(cache, tmp_path):
    shelf = cache.shelf(ENGINE)
    shelf.keep([request("a"), request("b")], [reply("A"), reply("B")])
    columns = "(payload, digest) = (SELECT payload, digest FROM completion WHERE id = 2)"
    sql(tmp_path / "cache", f"UPDATE completion SET {columns} WHERE id = 1")
    assert shelf.find([request("a"), request("b")]) == [None, reply("B")]


def test_the_least_recently_used_go_first_and_the_cap_holds(tmp_path):
    now = [0.0]
    cache = Cache(tmp_path, most_bytes=100_000, clock=lambda: now[0])
    shelf = cache.shelf(ENGINE)
    first = [request(f"first {i}") for i in range(100)]
    shelf.keep(first, [reply("x" * 500)] * 100)
    now[0] = 10_000
    assert shelf.find(first[:10]) == [reply("x" * 500)] * 10  # used again, later than the other 90
    now[0] = 20_000
    later = [request(f"later {i}") for i in range(100)]
    shelf.keep(later, [reply("x" * 500)] * 100)
    found = caches.stat(tmp_path)
    assert (
        80_000 < found["bytes"] <= 100_000
        and found["completions"] == found["bytes"] // (160 + 500 + 20 - 1) == 132
    )
    assert None not in shelf.find(first[:10]) and None not in shelf.find(later)
    assert shelf.find(first[10:]).count(None) == 100 - 32
    for i in range(20):
        shelf.keep([request(f"{i} {j}") for j in range(100)], [reply("x" * 500)] * 100)
    cache.close()
    assert (
        caches.stat(tmp_path)["bytes"] <= 100_000 and caches.stat(tmp_path)["file_bytes"] < 200_000
    )


def test_processes_that_cross_the_cap_together_evict_no_more_than_one(tmp_path, monkeypatch):
    Cache(tmp_path).shelf(ENGINE).keep(
        [request(str(i)) for i in range(200)], [reply("x" * 500)] * 200
    )
    crossing = [Cache(tmp_path, most_bytes=100_000) for _ in range(8)]
    transaction = caches.transaction

    def after_the_others(connection):
        """All have seen the same size when the first of them may write."""
        if crossing:
            other = crossing.pop()
            other._attempt(other._evict)
        return transaction(connection)

    monkeypatch.setattr(caches, "transaction", after_the_others)
    first = crossing.pop()
    first._attempt(first._evict)
    assert 88_000 < caches.stat(tmp_path)["bytes"] <= 90_000 and not crossing


def test_stat_and_clear_also_while_it_is_open(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_CACHE", str(tmp_path / "cache"))
    invoke = CliRunner().invoke
    assert json.loads(invoke(app, ["stat", "--json"]).stdout)["completions"] == 0
    assert (
        json.loads(invoke(app, ["clear", "--json"]).stdout)["forgotten"] == 0
        and not (tmp_path / "cache").exists()
    )
    shelf = cache.shelf(ENGINE)
    shelf.keep([request("a"), request("b")], [reply("A"), reply("B")])
    found = json.loads(invoke(app, ["stat", "--json"]).stdout)
    assert found["completions"] == 2 and found["path"] == str(tmp_path / "cache" / caches.FILE)
    assert "2 completions" in invoke(app, ["stat"]).stdout
    assert json.loads(invoke(app, ["clear", "--json"]).stdout)["forgotten"] == 2
    assert shelf.find([request("a")]) == [None] and caches.stat(tmp_path / "cache")["bytes"] == 0
    shelf.keep([request("a")], [reply("A")])
    assert shelf.find([request("a")]) == [reply("A")]


def test_a_file_that_is_no_cache_switches_off_with_one_notice(cache, tmp_path, told):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / caches.FILE).write_bytes(
        b"not a database, but long enough to be looked at" * 100
    )
    shelf = cache.shelf(ENGINE)
    for _ in range(2):
        shelf.keep([request("a")], [reply("A")])
        assert shelf.find([request("a")]) == [None]
    assert (
        len(told) == 1 and "the generation cache is off" in told[0] and "not a database" in told[0]
    )
    assert caches.clear(tmp_path / "cache") == 0 and not list((tmp_path / "cache").iterdir())


def test_another_programs_database_is_left_alone(cache, tmp_path, told):
    (tmp_path / "cache").mkdir()
    sql(tmp_path / "cache", "CREATE TABLE precious (a)")
    assert (
        cache.shelf(ENGINE).find([request("a")]) == [None] and "not a generation cache" in told[0]
    )
    with pytest.raises(StoreError, match="not a generation cache"):
        caches.clear(tmp_path / "cache")
    sql(tmp_path / "cache", "INSERT INTO precious VALUES (1)")


def test_damaged_pages_switch_off_and_clear_repairs(cache, tmp_path, told):
    shelf = cache.shelf(ENGINE)
    asked = [request(str(i)) for i in range(200)]
    shelf.keep(asked, [reply("x" * 400)] * 200)
    cache.close()
    file = tmp_path / "cache" / caches.FILE
    whole = bytearray(file.read_bytes())
    whole[4096:] = os.urandom(len(whole) - 4096)
    file.write_bytes(whole)
    assert shelf.find(asked) == [None] * 200 and len(told) == 1
    assert caches.clear(tmp_path / "cache") == 0
    again = Cache(tmp_path / "cache", notify=told.append).shelf(ENGINE)
    again.keep(asked, [reply("A")] * 200)
    assert again.find(asked) == [reply("A")] * 200 and len(told) == 1


def test_a_locked_file_switches_off(cache, tmp_path, told, monkeypatch):
    monkeypatch.setattr(caches, "BUSY_SECONDS", 0.1)
    cache.shelf(ENGINE).keep([request("a")], [reply("A")])
    holder = sqlite3.connect(tmp_path / "cache" / caches.FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    other = Cache(tmp_path / "cache", notify=told.append).shelf(ENGINE)
    assert (
        other.find([request("a")]) == [reply("A")] and not told
    )  # readers don't wait for a writer
    other.keep([request("b")], [reply("B")])
    assert len(told) == 1 and "locked" in told[0]
    assert other.find([request("a")]) == [None] and len(told) == 1
    holder.close()


def test_a_full_disk_switches_off(cache, tmp_path, told):
    shelf = cache.shelf(ENGINE)
    shelf.keep([request("a")], [reply("A")])
    cache._connection.execute("PRAGMA max_page_count = 10")
    shelf.keep([request(str(i)) for i in range(100)], [reply("x" * 1000)] * 100)
    assert len(told) == 1 and "full" in told[0]
    assert Cache(tmp_path / "cache").shelf(ENGINE).find([request("a"), request("1")]) == [
        reply("A"),
        None,
    ]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OPRO_CACHE": "/x/c", "XDG_CACHE_HOME": "/y", "HOME": "/h"}, "/x/c"),
        ({"XDG_CACHE_HOME": "/y", "HOME": "/h"}, "/y/opro-local"),
        ({"OPRO_CACHE": "", "XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/opro-local"),
    ],
)
def test_where_it_is(monkeypatch, environment, expected):
    for name in ("OPRO_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert caches.place() == Path(expected)


@pytest.mark.parametrize("home", ["", None, "/dev/null"])
def test_no_home_means_no_cache_and_one_notice(monkeypatch, told, home):
    for name in ("OPRO_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    shelf = Cache(notify=told.append).shelf(ENGINE)
    shelf.keep([request("a")], [reply("A")])
    assert shelf.find([request("a")]) == [None] and len(told) == 1


class Counting:
    """An in-process engine that is not called scripted, and what it was asked."""

    def __init__(self, name: str = "counting") -> None:
        self._inner = ScriptedEngine.of(answer)
        self.fingerprint = {**self._inner.fingerprint, "engine": name}
        self.max_model_len = self._inner.max_model_len
        self.asked: list[list[Request]] = []

    def generate(self, requests, progress=None):
        self.asked.append(list(requests))
        return self._inner.generate(requests, progress)

    def count_tokens(self, prompts):
        return self._inner.count_tokens(prompts)

    def close(self) -> None:
        pass


def batches(*batches: Batch):
    """A search that asks these and returns all completions."""
    said = []
    for batch in batches:
        said += (yield batch).completions
    return said


def go(asks, engine, shelf, store: Store | None = None, events: list | None = None):
    listener = SILENT if events is None else Listener(events.append)
    return run_to_end(
        drive_steps(asks, {"scorer": engine}, Trajectory(), store, listener, lambda role: shelf)
    )


def test_only_what_is_missing_is_asked_in_one_call_and_the_order_stays(cache, tmp_path):
    engine, events, shelf = Counting(), [], cache.shelf(ENGINE)
    asked = [request(f"{i} was good") for i in range(6)]
    shelf.keep(asked[1:5:2], [reply("cached 1"), reply("cached 3")])
    store = open_store(tmp_path / "run")
    said = go(batches(Batch("0/train", "scorer", asked)), engine, shelf, store, events)
    assert [one.text.startswith("cached") for one in said] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    assert (said[1], said[3]) == (reply("cached 1"), reply("cached 3"))
    assert engine.asked == [[asked[0], asked[2], asked[4], asked[5]]]
    assert [said[i] for i in (0, 2, 4, 5)] == Counting().generate(engine.asked[0])
    assert events[-1].from_cache == 2 and not events[-1].replayed and events[-2].finished == 6
    # The rest is known now: no engine is called, and the store holds the same.
    again = go(batches(Batch("0/train", "scorer", asked)), engine, shelf, None, events)
    assert again == said and len(engine.asked) == 1 and events[-1].from_cache == 6
    assert events[-1].result.seconds == 0
    (call,) = store.calls()
    known = (call["known"], call["known_prompt_tokens"], call["known_completion_tokens"])
    assert call["label"] == "0/train" and known == (2, 6, 4)
    assert go(batches(Batch("0/train", "scorer", asked)), engine, None, store, events) == said
    assert events[-1].replayed
    store.close()


def test_nothing_of_a_call_that_failed_or_fell_short_is_kept(cache):
    shelf, asked = cache.shelf(ENGINE), [request("a"), request("b")]
    short, dead = Counting(), Counting()
    short.generate = lambda requests, progress: [reply("A")]

    def die(requests, progress):
        raise EngineError("dead")

    dead.generate = die
    for engine in (short, dead):
        with pytest.raises(EngineError):
            go(batches(Batch("0/train", "scorer", asked)), engine, shelf)
    assert shelf.find(asked) == [None, None]


@pytest.fixture
def engine(monkeypatch):
    """What every run of the test is answered by, in the place of a worker."""
    one = Counting()
    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine", lambda settings, wanted, log, own: (one, "")
    )
    return one


def test_a_second_run_asks_only_what_is_sampled_and_its_result_says_so(tables, tmp_path, engine):
    first = run(reading.build(tables), tmp_path / "first")
    assert first["from_cache"]["completions"] == 0 and sum(first["calls"].values()) == len(
        engine.asked
    )
    greedy = sum(r.sampling.temperature == 0 for requests in engine.asked for r in requests)
    engine.asked.clear()
    events = []
    second = run(reading.build(tables), tmp_path / "second", Listener(events.append))
    assert all(r.sampling.temperature > 0 for requests in engine.asked for r in requests)
    assert len(engine.asked) == second["calls"]["optimizer"] > 0 and second["calls"]["scorer"] == 0
    assert second["from_cache"]["completions"] == greedy
    assert second["from_cache"]["completion"] + second["from_cache"]["prompt"] < sum(
        second["tokens"].values()
    )
    assert sum(event.from_cache for event in events if isinstance(event, BatchAnswer)) == greedy
    same = ("digest", "best", "tokens", "train", "test", "test_opened", "verdict")
    assert {k: second[k] for k in same} == {k: first[k] for k in same}
    assert describe(tmp_path / "second").costs == second.costs
    # Without the cache, and resuming: nothing is asked again and nothing changes.
    engine.asked.clear()
    tables["run"]["cache"] = False
    assert run(reading.build(tables), tmp_path / "second") == second and not engine.asked
    third = run(reading.build(tables), tmp_path / "third")
    assert third["calls"] == first["calls"] and third["digest"] == first["digest"]


def test_another_chat_template_argument_is_another_engine(tables, tmp_path, engine):
    run(reading.build(tables), tmp_path / "first")
    engine.asked.clear()
    tables["scorer"]["template_args"] = {"enable_thinking": False}
    found = run(reading.build(tables), tmp_path / "second")
    assert found["from_cache"]["completions"] == 0


def test_the_scripted_engine_is_not_cached(tables, tmp_path, own_cache):
    run(reading.build(tables), tmp_path / "run")
    assert not (own_cache / caches.FILE).exists()


def test_a_run_whose_cache_is_broken_says_so_once_and_finishes(
    tables, tmp_path, engine, monkeypatch
):
    whole = run(reading.build(tables), tmp_path / "whole")
    monkeypatch.setenv("OPRO_CACHE", "/dev/null/x")
    told = []
    found = run(reading.build(tables), tmp_path / "run", Listener(notify=told.append))
    assert [line for line in told if "cache" in line] == [
        line for line in told if "cache is off" in line
    ]
    assert sum("cache is off" in line for line in told) == 1 and found["digest"] == whole["digest"]
