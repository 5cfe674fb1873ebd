"""The pipelined search: what it knows when it proposes, that no engine's speed decides anything, and how it ends."""

from __future__ import annotations

import threading
import time
import zlib
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
import scripted_model
from rich.console import Console

from opro_local.cli.progress import _Progress
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import EngineError, UsageError
from opro_local.models import cards
from opro_local.runs.driver import Answered, Asked, Grown, Interrupted, Working, answer_alone, drive, driven
from opro_local.runs.lockstep import lockstep
from opro_local.runs.plans import plan
from opro_local.runs.plans.prompt import mixed
from opro_local.runs.store import open_store
from opro_local.search.loop import _meanwhile, score
from opro_local.search.metaprompts import metaprompt
from opro_local.search.proposing import Opro
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, Rejection, Reply, Request, Solution

OPRO = {"metaprompt": "continuation"}
MIXED = {"metaprompt": "auto", "mode": "mixed", "demonstrations": 3}
FULL, HALVE, RACE = {"mode": "full"}, {"mode": "halve"}, {"mode": "race", "block": 24, "drop_alpha": 0.4}
WAYS = pytest.mark.parametrize(
    ("search", "evaluation"), [(OPRO, FULL), (OPRO, RACE), (MIXED, HALVE)], ids=["opro", "race", "mixed"]
)


def answer(request: Request) -> str:
    """The scripted model, but what it proposes depends on the meta-prompt too, and every third reply is no good."""
    if request.sampling.seed is None:
        return scripted_model.answer(request)
    drawn = zlib.crc32(f"{request.prompt.text} {request.sampling.seed}".encode())
    return scripted_model.propose(drawn) if drawn % 3 else "What is it?"


class Engine:
    """A scripted engine that can be ended, takes its time, and writes down when it is asked and done.

    The call whose number is `fails` ends with `error` instead.
    """

    def __init__(self, name, log=None, seconds=0.0, script=answer, fails=0, error=EngineError):
        self.name, self.log, self.seconds = name, [] if log is None else log, seconds
        self._inner, self._ended = ScriptedEngine.of(script), threading.Event()
        self._fails, self._error, self.calls = fails, error, 0
        self.at_work, self.threads = False, set()

    def generate(self, requests, progress=None):
        assert not self.at_work, "two threads in one engine"
        self.at_work, self.calls = True, self.calls + 1
        self.threads.add(threading.current_thread() is threading.main_thread())
        self.log.append((f"{self.name}+", time.monotonic()))
        if self._ended.wait(self.seconds):
            raise EngineError(f"{self.name} was ended")
        if self.calls == self._fails:
            self.at_work = False
            raise self._error(f"{self.name} failed")
        found = self._inner.generate(requests, progress)
        self.log.append((f"{self.name}-", time.monotonic()))
        self.at_work = False
        return found

    def end(self):
        self._ended.set()


class Here(Engine):
    """One that can't be ended, as engines in this process can't, and those that take turns."""

    end = property()


def pair(scorer=0.0, optimizer=0.0, **more):
    log = []
    return {
        "scorer": Engine("s", log, scorer, **more.get("s", {})),
        "optimizer": Engine("o", log, optimizer, **more.get("o", {})),
    }


def at_work():
    return [one for one in threading.enumerate() if one is not threading.main_thread() and "ThreadPool" in one.name]


def planned(tables, search=OPRO, evaluation=FULL, **more):
    own = {**tables["search"], "pipelined": True, **search, **more}
    return plan(reading.build({**tables, "search": own, "evaluation": evaluation}))


def labels(store):
    return [call["label"] for call in store.calls()]


def carried(tables, engines, folder=None, **options):
    """A whole pipelined run; returns its trajectory, its outcome and the labels of its calls."""
    drive_options = {key: options.pop(key) for key in ("report", "stopping") if key in options}
    ready, trajectory = planned(tables, **options), Trajectory()
    store = open_store(folder) if folder else None
    try:
        outcome = drive(ready.asks(trajectory), engines, trajectory, store, **drive_options)
        return trajectory, outcome, labels(store) if store else []
    finally:
        if store:
            store.close()


def answered(asks):
    """Answer all that a generator asks at once; returns what it returns."""
    engine = ScriptedEngine.of(answer)
    try:
        batch = next(asks)
        while True:
            batch = asks.send(Reply(engine.generate(batch.requests), 0.0))
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("search", [OPRO, MIXED], ids=["opro", "mixed"])
def test_a_step_is_proposed_from_the_steps_before_the_one_that_is_scored(tables, search):
    """The whole trajectory equals that of a loop written by hand, which does one thing after the other."""
    ready, by_hand = planned(tables, search, steps=6), Trajectory()
    config, problem = ready.config, ready.problem
    if search is OPRO:
        proposer = Opro(problem, config, metaprompt.load("continuation"), by_hand)
    else:
        proposer = mixed(config, problem, cards.card_for(Path()))(by_hand)
    answered(score(problem, by_hand, answered(proposer.start()), "train", 0))
    waiting, known = answered(proposer.propose(1, 4)), []
    for step in range(1, 7):
        by_hand._keys |= {solution.key for solution in waiting}  # being scored
        known.append((step + 1, by_hand.entries[-1].step))
        after = answered(proposer.propose(step + 1, 4)) if step < 6 else []
        answered(score(problem, by_hand, waiting, "train", step))
        waiting = after
    assert known[:3] == [(2, 0), (3, 1), (4, 2)]

    trajectory, _, _ = carried(tables, pair(scorer=0.01), search=search, steps=6)
    assert Trajectory.digest(_train_only(trajectory)) == by_hand.digest()
    assert trajectory.rejections == by_hand.rejections
    assert [(p.step, p.way, p.key) for p in trajectory.proposals] == [(p.step, p.way, p.key) for p in by_hand.proposals]
    plain, _, _ = carried(tables, pair(), search=search, steps=6, pipelined=False)
    assert plain.digest() != trajectory.digest()  # the lag decides something here


def _train_only(trajectory):
    found = Trajectory()
    found.entries = trajectory.entries
    return found


@WAYS
def test_whichever_engine_is_faster_the_run_is_the_same(tables, tmp_path, search, evaluation):
    def alone(name, engines):
        trajectory, outcome, order = carried(tables, engines, tmp_path / name, search=search, evaluation=evaluation)
        return trajectory.digest(), trajectory.rejections, trajectory.tokens, outcome, order

    first = alone("scorer", pair(scorer=0.03))
    assert alone("optimizer", pair(optimizer=0.03)) == first
    shared = Engine("both", seconds=0.005)
    assert alone("shared", dict.fromkeys(("scorer", "optimizer"), shared)) == first and shared.threads == {True}
    in_process = {role: Here("here") for role in ("scorer", "optimizer")}
    assert alone("here", in_process) == first
    assert [engine.threads for engine in in_process.values()] == [{True}] * 2


def batched(times):
    return zip(times[::2], times[1::2], strict=True)


def test_two_slow_engines_work_side_by_side(tables):
    engines = pair(scorer=0.2, optimizer=0.2)
    trajectory, _, _ = carried(tables, engines, steps=6)
    times = [when for _, when in engines["scorer"].log]
    took = max(times) - min(times)
    assert engines["optimizer"].calls == 6 and engines["scorer"].calls == 9
    # Of six proposals five are made while a step is scored: a second less, of which a busy machine may take most.
    assert trajectory.seconds > 15 * 0.2 and took < trajectory.seconds
    spans = {name: [when for one, when in engines["scorer"].log if one[0] == name] for name in "so"}
    both = [
        min(s_end, o_end) - max(s_begun, o_begun)
        for s_begun, s_end in batched(spans["s"])
        for o_begun, o_end in batched(spans["o"])
    ]
    assert sum(shared > 0 for shared in both) == 5


@WAYS
def test_the_scorer_is_asked_first_and_its_answer_is_waited_for_last(tables, search, evaluation):
    engines = pair(scorer=0.3, optimizer=0.01)  # long enough for the host's own work on a busy machine
    carried(tables, engines, search=search, evaluation=evaluation, steps=8)  # of which some ask for no text
    order = [name for name, _ in sorted(engines["scorer"].log, key=lambda told: told[1])]
    # From the second proposal on: each lies within a call of the scorer.
    at_work, within = False, []
    for name in order:
        at_work = name == "s+" or (at_work and name != "s-")
        within += [at_work] if name == "o+" else []
    first = within.index(True)
    assert first < len(within) - 1 and all(within[first:]) and engines["optimizer"].threads == {True}


@pytest.mark.parametrize(("search", "evaluation"), [(OPRO, FULL), (MIXED, HALVE)], ids=["opro", "mixed"])
def test_what_is_being_scored_is_a_duplicate(tables, search, evaluation):
    """The optimizer knows one sentence only: the second step is proposed before the first is scored."""
    texts = iter(["Read the text carefully and answer briefly.", "Read the text carefully and answer briefly!"] * 99)
    same = lambda request: next(texts) if request.sampling.seed is not None else answer(request)  # noqa: E731
    engines = pair(scorer=0.02, o={"script": same})
    more = {"near_duplicate": 0.9, "demonstrations": 0, "generic_seeds": 0, "written_seeds": 0, "retries": 0}
    more["operators"] = ["continuation"]  # without openers, which would make other texts of the sentence
    trajectory, _, _ = carried(tables, engines, search=search, evaluation=evaluation, steps=2, **more)
    reasons = {rejection.reason.partition(":")[0] for rejection in trajectory.rejections if rejection.step == 2}
    assert reasons == ({"duplicate"} if search is OPRO else {"duplicate", "near-duplicate"})
    assert {entry.step for entry in trajectory.entries} == {0, 1}
    keys = [entry.solution.key for entry in trajectory.entries]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("most", range(100, 800, 50))
@pytest.mark.parametrize(("search", "evaluation"), [(OPRO, FULL), (MIXED, HALVE)], ids=["opro", "mixed"])
def test_the_budget_of_pairs_holds(tables, search, evaluation, most):
    more = {"generic_seeds": 0, "written_seeds": 0, "demonstrations": 0, "steps": 30, "max_pairs": most}
    trajectory, outcome, _ = carried(tables, pair(), search=search, evaluation=evaluation, **more)
    over = 0 if search is OPRO else 12  # what halving costs is an estimate, pipelined or not
    assert trajectory.pairs - over <= most < trajectory.pairs + 24 and f"{most} scored pairs" in outcome.reason


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"target_score": 0.6}, "target score"),
        ({"max_tokens": 5000}, "token budget"),
        ({"max_seconds": 0.5}, "time budget"),
        ({"patience": 1, "min_gain": 1}, "no gain"),
    ],
)
def test_what_was_proposed_for_a_step_that_may_not_come_is_not_scored_but_counted(tables, tmp_path, rule, reason):
    engines = pair(scorer=0.1, optimizer=0.1)
    trajectory, outcome, order = carried(tables, engines, tmp_path / "run", steps=20, **rule)
    last = trajectory.entries[-1].step
    assert reason in outcome.reason and 1 <= last < 20
    assert f"{last + 1}/propose" in order and f"{last + 1}/train" not in order
    store = open_store(tmp_path / "run")
    assert trajectory.tokens == sum(call["prompt_tokens"] + call["completion_tokens"] for call in store.calls())
    store.close()
    again = carried(tables, {}, tmp_path / "run", steps=20, **rule)
    assert (again[0].digest(), again[1]) == (trajectory.digest(), outcome)


class Killed(Exception):
    """Nothing in the program catches this."""


@WAYS
@pytest.mark.parametrize("engine", ["s", "o"])
def test_a_run_that_ends_in_any_engine_call_resumes_exactly(tables, tmp_path, search, evaluation, engine):
    options = {"search": search, "evaluation": evaluation, "steps": 3}
    whole = pair(scorer=0.01)
    clean, outcome, order = carried(tables, whole, tmp_path / "clean", **options)
    calls = whole["scorer" if engine == "s" else "optimizer"].calls
    assert len(order) == len(set(order)) == whole["scorer"].calls + whole["optimizer"].calls and calls > 2
    for last in range(1, calls + 1):
        with pytest.raises(Killed):
            carried(tables, pair(0.01, **{engine: {"fails": last, "error": Killed}}), tmp_path / str(last), **options)
        assert not at_work()
        again, chosen, stored = carried(tables, pair(), tmp_path / str(last), **options)
        assert (again.digest(), chosen, stored) == (clean.digest(), outcome, order)


def test_a_longer_run_is_the_run_that_was_asked_for_at_once(tables, tmp_path):
    clean, _, _ = carried(tables, pair(), steps=4, search=MIXED)
    carried(tables, pair(), tmp_path / "run", steps=2, search=MIXED)
    longer, _, order = carried(tables, pair(scorer=0.02), tmp_path / "run", steps=4, search=MIXED)
    assert Trajectory.digest(_train_only(longer)) == Trajectory.digest(_train_only(clean))
    assert len(order) == len(set(order))


def test_an_optimizer_that_fails_ends_the_run_and_what_was_being_scored_is_kept(tables, tmp_path):
    with pytest.raises(EngineError, match="o failed"):
        carried(tables, pair(scorer=0.2, o={"fails": 3}), tmp_path / "run")
    clean, _, order = carried(tables, pair(), tmp_path / "clean")
    store = open_store(tmp_path / "run")
    assert labels(store) == ["0/train", "1/propose", "2/propose", "1/train", "2/train"]
    store.close()
    again, _, stored = carried(tables, pair(), tmp_path / "run")
    assert again.digest() == clean.digest() and sorted(stored) == sorted(order)


def test_a_scorer_that_fails_ends_the_run_and_what_was_proposed_is_kept(tables, tmp_path):
    with pytest.raises(EngineError, match="s failed"):
        carried(tables, pair(optimizer=0.1, s={"fails": 3}), tmp_path / "run")
    store = open_store(tmp_path / "run")
    assert labels(store) == ["0/train", "1/propose", "2/propose", "1/train", "3/propose"]
    store.close()
    with pytest.raises(EngineError, match="o failed"):  # of two errors the first that the run comes to
        carried(tables, pair(scorer=0.1, o={"fails": 2}, s={"fails": 2}), tmp_path / "both")
    clean, _, _ = carried(tables, pair())
    assert carried(tables, pair(), tmp_path / "run")[0].digest() == clean.digest()


def test_a_scorer_that_gives_too_few_is_told_from_the_right_batch(tables):
    engines = pair()
    whole = engines["scorer"].generate
    engines["scorer"].generate = lambda requests, progress=None: whole(requests, progress)[:-1]
    with pytest.raises(EngineError, match="0/train: 23 completions for 24 requests"):
        carried(tables, engines)


def test_stopping_keeps_both_calls_in_flight_and_begins_no_other(tables, tmp_path):
    engines = pair(scorer=0.2)
    with pytest.raises(Interrupted):
        carried(tables, engines, tmp_path / "run", stopping=lambda: engines["optimizer"].calls == 3)
    store = open_store(tmp_path / "run")
    assert labels(store) == ["0/train", "1/propose", "2/propose", "1/train", "3/propose", "2/train"]
    store.close()
    assert (engines["scorer"].calls, engines["optimizer"].calls) == (3, 3)
    clean, _, _ = carried(tables, pair())
    assert carried(tables, pair(), tmp_path / "run")[0].digest() == clean.digest()


@pytest.mark.parametrize("engine", ["s", "o"])
def test_ctrl_c_in_a_call_waits_for_no_engine(tables, tmp_path, engine):
    """The second Ctrl-C comes in the thread that drives the run, wherever that waits."""
    engines = pair(scorer=0.05)
    engines["optimizer"]._fails, engines["optimizer"]._error = (3, KeyboardInterrupt) if engine == "o" else (0, None)

    def report(event):
        if engines["optimizer"].calls == 2:
            engines["scorer"].seconds = 60
        if engine == "s" and engines["optimizer"].calls == 3 and isinstance(event, Working):
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        carried(tables, engines, tmp_path / "run", report=report)
    assert time.monotonic() - began < 10 and engines["scorer"]._ended.is_set()
    assert not at_work()
    clean, _, _ = carried(tables, pair())
    assert carried(tables, pair(), tmp_path / "run")[0].digest() == clean.digest()


def test_a_step_is_waited_for_only_when_the_next_one_is_proposed():
    """What the search asks, in order, and what it lets be answered beside each."""

    def asking(*asked):
        said = []
        for label in asked:
            said.append((yield Batch(label, "embedder" if "embed" in label else "scorer", ())))
        return said

    def walked(asks):
        found = []
        try:
            batch = next(asks)
            while True:
                found.append((batch.label, batch.beside and batch.beside.label))
                batch = asks.send(batch.label)
        except StopIteration as end:
            return found, end.value

    found, proposed = walked(_meanwhile(asking("1/0", "1/1"), asking("2", "2/again")))
    assert found == [("2", "1/0"), ("2/again", "1/0"), ("1/0", None), ("1/1", None)] and proposed == ["2", "2/again"]
    found, _ = walked(_meanwhile(asking("1/embed", "1"), asking("2")))
    assert found == [("1/embed", None), ("2", "1"), ("1", None)]
    assert walked(_meanwhile(asking(), asking("2"))) == ([("2", None)], ["2"])
    assert walked(_meanwhile(asking("1"), asking())) == ([("1", None)], [])


@pytest.mark.parametrize("cached", [("scorer",), ("optimizer",), ("scorer", "optimizer")])
def test_what_the_cache_knows_is_not_begun(tables, tmp_path, cached):
    clean, _, order = carried(tables, pair(), tmp_path / "clean")
    steps = "1/propose 2/propose 1/train 3/propose 2/train 4/propose 3/train 4/train"
    assert " ".join(order) == f"0/train {steps} 4/validation 4/test"

    class Shelf:
        def find(self, requests):
            return ScriptedEngine.of(answer).generate(requests)

        def keep(self, requests, completions):
            assert not requests

    ready, trajectory, engines = planned(tables), Trajectory(), pair(scorer=0.01)
    shelves = lambda role: Shelf() if role in cached else None  # noqa: E731
    answer_alone(driven(ready.asks(trajectory), engines, trajectory, shelves=shelves, aside=True))
    assert trajectory.digest() == clean.digest()
    assert {role: engines[role].calls for role in cached} == dict.fromkeys(cached, 0)

    ready, trajectory, engines, heard = planned(tables), Trajectory(), pair(), []
    asks = ready.asks(trajectory)
    options = {"shelves": shelves, "aside": True, "stopping": lambda: len(heard) == 3}
    note = lambda event: heard.append(event) if isinstance(event, Answered) else None  # noqa: E731
    with pytest.raises(Interrupted):
        answer_alone(driven(asks, engines, trajectory, report=note, **options))
    assert [event.batch.label for event in heard][:3] == ["0/train", "1/propose", "2/propose"]
    begun = [event.batch.label for event in heard][3:]  # what an engine had begun is kept, nothing else is asked
    assert begun == [] and engines["scorer"].calls == (0 if "scorer" in cached else 1)


@WAYS
def test_in_lockstep_a_run_is_what_it_is_alone_and_no_thread_is_used(tables, search, evaluation):
    alone, _, _ = carried(tables, pair(scorer=0.02), search=search, evaluation=evaluation)
    ready, engines = planned(tables, search, evaluation), pair(scorer=0.01)
    trajectories = [Trajectory(), Trajectory()]
    plans = [ready, planned(tables, search, evaluation)]
    found = lockstep([driven(one.asks(own), engines, own) for one, own in zip(plans, trajectories, strict=True)])
    assert [own.digest() for own in trajectories] == [alone.digest()] * 2 and found[0] == found[1]
    assert engines["scorer"].threads == engines["optimizer"].threads == {True}


def test_events_come_from_the_thread_that_drives(tables, monkeypatch):
    monkeypatch.setattr("opro_local.runs.driver.PROGRESS_SECONDS", 0.01)
    engines, heard = pair(scorer=0.06, optimizer=0.03), []
    carried(tables, engines, report=lambda event: heard.append((event, threading.current_thread())))
    assert False in engines["scorer"].threads and {thread for _, thread in heard} == {threading.main_thread()}
    asked = {event.batch.label: event.since for event, _ in heard if isinstance(event, Asked)}
    proposed = [when for name, when in engines["scorer"].log if name == "o-"]
    assert asked["2/propose"] <= asked["1/train"] < proposed[1]  # when it was begun, not when it was waited for
    told = [event for event, _ in heard if isinstance(event, Working | Answered)]
    assert sum(isinstance(event, Working) and not event.finished for event in told) > 5  # asked how far they are
    ends = [(last.finished, len(event.batch.requests)) for last, event in pairwise(told) if isinstance(event, Answered)]
    assert len(ends) > 8 and all(finished == size for finished, size in ends)


def test_a_default_search_has_nothing_beside_and_uses_no_thread(tables):
    ready, engines, trajectory = planned(tables, pipelined=False), pair(), Trajectory()
    asks, beside = ready.asks(trajectory), []

    def watched():
        try:
            batch = next(asks)
            while True:
                beside.append(batch.beside)
                batch = asks.send((yield batch))
        except StopIteration as end:
            return end.value

    drive(watched(), engines, trajectory)
    assert len(beside) > 8 and set(beside) == {None} and engines["scorer"].threads == {True}


def test_progress_counts_the_rejections_of_a_step_with_that_step(tables):
    told, trajectory = StringIO(), Trajectory()
    carried_on, _, _ = carried(tables, pair())
    progress = _Progress(planned(tables), Console(file=told))
    one, two = ([entry for entry in carried_on.entries if entry.step == step] for step in (1, 2))
    progress.report(Grown((), (Rejection(1, "x", "y"),), trajectory))
    progress.report(Grown((), (Rejection(2, "x", "y"), Rejection(2, "x", "y")), trajectory))
    progress.report(Grown(tuple(one), (), trajectory))
    progress.report(Grown(tuple(two), (), trajectory))
    lines = [line for line in told.getvalue().splitlines() if line.startswith("step")]
    assert "scored, 1 rejected" in lines[0] and "scored, 2 rejected" in lines[1]


def test_a_solution_counts_as_seen_from_when_it_is_being_scored():
    trajectory = Trajectory()
    trajectory.expect([Solution("a")])
    assert trajectory.seen(Solution("a")) and not trajectory.seen(Solution("b")) and not trajectory.entries


def test_only_prompts_have_two_models_to_overlap():
    with pytest.raises(UsageError, match=r'search.pipelined needs problem.kind = "prompt"'):
        reading.build({"problem": {"kind": "tsp"}, "search": {"pipelined": True}})
    whole = reading.build({}).model_dump(mode="json")
    other = reading.build({"search": {"pipelined": True}}).model_dump(mode="json")
    assert reading.changes(whole, other) == ["search.pipelined was False, now True"]
    del whole["search"]["pipelined"]
    assert reading.changes(whole, reading.build({}).model_dump(mode="json")) == []
