"""Engines that sleep while it isn't their turn: who is told what when, what fails, and what is left
alive.

The scripted engine refuses to answer while it sleeps, so a run that ends had the right order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import pytest
from running import GIB, ROOT, SCRIPT, gone, two_scripted

from opro_local.engines.gpus import Gpu
from opro_local.engines.start import start_engine
from opro_local.engines.turns import GpuTurns, TurnTakingEngine
from opro_local.errors import EngineError, ModelError
from opro_local.placement.choose import Demand, plan
from opro_local.runs.events import Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run
from opro_local.runs.run_engines import RunEngines
from opro_local.types import Completion


class Fake:
    """An engine that writes down what it is told, and fails once for each time that it is named in
    `fails`.
    """

    def __init__(self, name: str, told: list[str], fails: list[str]) -> None:
        self.fingerprint, self.max_model_len = {"engine": name}, 100
        self._name, self._told, self._fails = name, told, fails
        self._tell("start")

    def _tell(self, what: str) -> None:
        event = f"{what} {self._name}"
        self._told.append(event)
        if event in self._fails:
            self._fails.remove(event)
            raise EngineError(f"no {what}\nits log")

    def generate(self, requests, progress=None):
        self._tell("ask")
        return [Completion(self._name, "stop", 1, 0, 1) for _ in requests]

    def count_tokens(self, prompts):
        self._tell("count")
        return [1 for _ in prompts]

    def sleep(self):
        self._tell("sleep")

    def wake(self):
        self._tell("wake")

    def close(self):
        self._tell("close")


class Place:
    """Engines that take turns, what they were told and what the user was."""

    def __init__(self, names: str = "ab", sleeping: bool = True) -> None:
        self.told, self.lines, self.fails = [], [], []
        self.turns = GpuTurns(sleeping, self.lines.append)
        self.engines = {name: self.turn(name) for name in names}

    def turn(self, name: str) -> TurnTakingEngine:
        return TurnTakingEngine(self.turns, lambda: Fake(name, self.told, self.fails))

    def ask(self, *names: str) -> list[str]:
        """What the engines were told meanwhile."""
        self.told.clear()
        for name in names:
            assert self.engines[name].generate([None])[0].text == name
        return self.told[:]

    def close(self) -> list[str]:
        self.told.clear()
        for engine in (*self.engines.values(), *self.engines.values()):
            engine.close()
        return self.told[:]


def test_engines_sleep_and_wake_instead_of_ending():
    place = Place()
    assert place.told == ["start a", "sleep a", "start b"]
    assert place.ask("b", "b", "a", "b") == [
        *("ask b", "ask b"),
        *("sleep b", "wake a", "ask a"),
        *("sleep a", "wake b", "ask b"),
    ]
    assert place.engines["b"].generate([]) == [] and place.engines["a"].count_tokens([]) == []
    assert place.ask() == [] and place.engines["a"].count_tokens([None]) == [1]
    assert place.told == ["sleep b", "wake a", "count a"]
    assert (place.close(), place.lines) == (["close a", "close b"], [])


def test_without_sleep_mode_engines_are_stopped_and_started():
    place = Place(sleeping=False)
    assert place.told == ["start a", "close a", "start b"]
    assert place.ask("a") == ["close b", "start a", "ask a"]
    assert place.close() == ["close a"]


def test_of_three_only_one_is_awake():
    place = Place("abc")
    assert place.told == ["start a", "sleep a", "start b", "sleep b", "start c"]
    assert place.ask("a", "b") == ["sleep c", "wake a", "ask a", "sleep a", "wake b", "ask b"]
    assert sorted(place.close()) == ["close a", "close b", "close c"]


def test_an_engine_that_does_not_wake_starts_afresh_and_nobody_sleeps_any_more():
    place = Place()
    place.fails.append("wake a")
    assert place.ask("a") == ["sleep b", "wake a", "close a", "close b", "start a", "ask a"]
    assert place.lines == [
        "sleep mode failed, engines are stopped and started from now on: no wake"
    ]
    assert place.ask("a", "b") == ["ask a", "close a", "start b", "ask b"]
    assert len(place.lines) == 1 and place.close() == ["close b"]


def test_an_engine_that_does_not_fall_asleep_is_ended():
    place = Place()
    place.fails.append("sleep b")
    assert place.ask("a") == ["sleep b", "close a", "close b", "start a", "ask a"]
    assert len(place.lines) == 1 and place.close() == ["close a"]


def test_a_start_that_fails_beside_sleepers_is_tried_once_alone():
    place = Place()
    place.engines["a"].close()
    place.fails.append("start a")
    assert place.ask("a") == ["sleep b", "start a", "close b", "start a", "ask a"]
    assert len(place.lines) == 1 and place.close() == ["close a"]


def test_a_start_that_fails_alone_is_an_error():
    place = Place()
    place.engines["a"].close()
    place.fails += ["start a", "start a"]
    with pytest.raises(EngineError, match="no start"):
        place.ask("a")
    assert place.told == ["sleep b", "start a", "close b", "start a"]
    assert len(place.lines) == 1 and place.close() == []
    # The next one asked starts as if nothing had been.
    assert place.ask("b") == ["start b", "ask b"]


def test_a_model_that_does_not_load_is_not_tried_again():
    place = Place()

    def broken():
        raise ModelError("no config.json")

    with pytest.raises(ModelError):
        TurnTakingEngine(place.turns, broken)
    assert place.lines == [] and sorted(place.close()) == ["close a", "close b"]


def sleeping_plan(asked, kinds, wanted):
    """Stands for a machine with a GPU on which the models take turns, and a host that holds their
    weights.
    """
    demands = [Demand(role, "none", 10 * GIB, GIB, GIB, 8192) for role in ("scorer", "optimizer")]
    return plan(demands, [Gpu("a test GPU", 80 * GIB, 80 * GIB)], "swap", 100 * GIB)


class Watched:
    """Notes what the run's real workers are told, and lets a test meddle."""

    def __init__(self, monkeypatch, meddle=lambda event, worker: None) -> None:
        self.told, self.workers, self.settings = [], [], []
        start = start_engine

        def watched(settings, wanted, log=None, own=()):
            worker, notice = start(settings, wanted, log, own)
            name = "optimizer" if settings.max_model_len else "scorer"
            self.told.append(f"start {name}")
            self.workers.append(worker)
            self.settings.append(settings)
            for what in ("sleep", "wake", "generate", "close"):
                setattr(
                    worker,
                    what,
                    self._noted(getattr(worker, what), f"{what} {name}", worker, meddle),
                )
            return worker, notice

        monkeypatch.setattr("opro_local.runs.run_engines.start_engine", watched)
        monkeypatch.setattr("opro_local.runs.run_engines.plan_for_this_machine", sleeping_plan)

    def _noted(self, call, event, worker, meddle):
        def noted(*args):
            self.told.append(event)
            meddle(event, worker)
            return call(*args)

        return noted

    def without_repeats(self) -> list[str]:
        return [
            one for before, one in zip(["", *self.told], self.told, strict=False) if one != before
        ]


FIRST = ["start optimizer", "sleep optimizer", "start scorer", "generate scorer"]
STEP = [
    "sleep scorer",
    "wake optimizer",
    "generate optimizer",
    "sleep optimizer",
    "wake scorer",
    "generate scorer",
]


def test_a_run_whose_engines_sleep_finds_what_it_finds_without(tmp_path, monkeypatch):
    apart = run(make_plan(two_scripted(tmp_path)), tmp_path / "apart")
    watched, lines = Watched(monkeypatch), []
    turns = run(
        make_plan(two_scripted(tmp_path)), tmp_path / "turns", Listener(notify=lines.append)
    )
    assert turns["digest"] == apart["digest"] and turns["test"] == apart["test"]
    asked = watched.without_repeats()
    assert asked[: -len([one for one in asked if one.startswith("close")])] == [
        *FIRST,
        *STEP,
        *STEP,
    ]
    assert {one.sleep for one in watched.settings} == {1} and len(watched.workers) == 2
    assert all(gone(worker.pid) for worker in watched.workers)
    assert not [line for line in lines if "sleep mode failed" in line]
    assert any("the others sleep meanwhile" in line for line in lines)


def once(wanted: str, act):
    """Meddles with the first event of this name."""
    left = [wanted]

    def meddle(event, worker):
        if event in left:
            left.clear()
            act(worker)

    return meddle


def kill(worker) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker._child.wait()


def refuse(worker) -> None:
    raise EngineError("vLLM does not wake up: CUDA out of memory")


@pytest.mark.parametrize(
    ("event", "act", "why"),
    [
        ("wake optimizer", kill, "killed by signal 9"),
        ("sleep optimizer", kill, "killed by signal 9"),
        ("wake optimizer", refuse, "CUDA out of memory"),
        ("wake scorer", refuse, "CUDA out of memory"),
    ],
)
def test_a_run_survives_a_sleeper_that_is_killed_or_does_not_wake(
    tmp_path, monkeypatch, event, act, why
):
    apart = run(make_plan(two_scripted(tmp_path)), tmp_path / "apart")
    watched, lines = Watched(monkeypatch, once(event, act)), []
    turns = run(
        make_plan(two_scripted(tmp_path)), tmp_path / "turns", Listener(notify=lines.append)
    )
    assert turns["digest"] == apart["digest"]
    (line,) = [line for line in lines if "sleep mode failed" in line]
    assert why in line and "\n" not in line
    # Started again without sleep mode, and nobody sleeps after that.
    assert [one.sleep for one in watched.settings][-1] == 0
    failed = watched.told.index(event)
    assert not [one for one in watched.told[failed + 1 :] if one.startswith(("sleep", "wake"))]
    assert all(gone(worker.pid) for worker in watched.workers)


def test_an_engine_that_dies_while_it_is_asked_ends_the_run_and_no_sleeper_stays(
    tmp_path, monkeypatch
):
    watched = Watched(monkeypatch, once("generate optimizer", kill))
    with pytest.raises(EngineError, match="scripted engine was killed by signal 9"):
        run(make_plan(two_scripted(tmp_path)), tmp_path / "run")
    assert len(watched.workers) == 2 and all(gone(worker.pid) for worker in watched.workers)


def test_a_sleeper_is_ended_by_ctrl_c_too(tmp_path, monkeypatch):
    def interrupt(worker):
        raise KeyboardInterrupt

    watched = Watched(monkeypatch, once("generate optimizer", interrupt))
    with pytest.raises(KeyboardInterrupt):
        run(make_plan(two_scripted(tmp_path)), tmp_path / "run")
    assert len(watched.workers) == 2 and all(gone(worker.pid) for worker in watched.workers)


def test_sleepers_die_with_a_parent_that_is_killed():
    program = textwrap.dedent(f"""
        import time
        from opro_local.engines.turns import TurnTakingEngine, GpuTurns
        from opro_local.engines.worker import WorkerEngine
        from opro_local.engines.settings import EngineSettings
        started, turns = [], GpuTurns(True)
        def start():
            started.append(WorkerEngine(EngineSettings("", "scripted", script={SCRIPT!r})))
            return started[-1]
        place = [TurnTakingEngine(turns, start) for _ in range(2)]
        print(*(worker.pid for worker in started), flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2 and not gone(children[0], 0.1)
    parent.kill()
    parent.wait()
    assert all(gone(pid) for pid in children)


def hosted_by(start, tmp_path, monkeypatch, **more) -> tuple[RunEngines, list[str]]:
    """A run's engines where the planned models sleep and `start` starts them; and what the user is
    told.
    """
    monkeypatch.setattr("opro_local.runs.run_engines.start_engine", start)
    monkeypatch.setattr("opro_local.runs.run_engines.plan_for_this_machine", sleeping_plan)
    ready, lines = make_plan(two_scripted(tmp_path)), []
    store = SimpleNamespace(folder=tmp_path, get=lambda key: None, put=lambda **values: None)
    models = {role: replace(host, engine="auto") for role, host in ready.models.items()}
    return RunEngines(
        models, {}, store, Listener(notify=lines.append), lambda engines: None, **more
    ), lines


def test_a_start_beside_sleepers_never_ends_in_another_kind_of_engine(tmp_path, monkeypatch):
    wanted = []

    def start(settings, kind, log=None, own=()):
        wanted.append((kind, settings.sleep))
        if settings.sleep:
            raise EngineError(
                "vLLM does not start: sleep mode is not supported on current platform"
            )
        return Fake(f"transformers {settings.max_model_len}", [], []), ""

    hosted, lines = hosted_by(start, tmp_path, monkeypatch)
    assert hosted["scorer"].fingerprint["engine"] == "transformers None"
    assert wanted == [("vllm", 1), ("auto", 0), ("auto", 0)]
    assert len([line for line in lines if "sleep mode failed" in line]) == 1


def test_sleep_mode_is_no_part_of_what_cached_answers_are_found_by(tmp_path, monkeypatch):
    cache = SimpleNamespace(shelf=lambda known: known)
    hosted, _ = hosted_by(lambda *a: (Fake("vllm", [], []), ""), tmp_path, monkeypatch, cache=cache)
    known = hosted.shelf("scorer")["settings"]
    assert "sleep" not in known and "tensor_parallel" in known
