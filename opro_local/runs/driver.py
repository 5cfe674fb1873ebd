"""Answers a search's batches: from the store where they were answered before, then from the cache, then by an engine.

For: replay, persistence before use, timing and stopping. A driven search is a generator as the search is: it yields
what an engine must answer, so that one loop can ask for one search (`answer_alone`) or for many (lockstep.py). Not for:
what is asked or how it is scored.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from opro_local.runs.cache import Shelf
from opro_local.errors import EngineError
from opro_local.errors import OproError
from opro_local.runs.store import Store
from opro_local.search.trajectory import Entry
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch
from opro_local.types import Completion
from opro_local.types import Engine
from opro_local.types import Progress
from opro_local.types import Rejection
from opro_local.types import Reply
from opro_local.types import Request
from opro_local.types import Role
from opro_local.types import Sampling

PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch is not in the store: the cache and an engine are asked, or were begun to be asked, `since` then."""

    batch: Batch
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Working:
    """So many requests of the batch are finished, and an engine has written so many tokens for it."""

    finished: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch was answered: from the store when replayed, else by the cache (`from_cache` of it) and an engine."""

    batch: Batch
    reply: Reply
    replayed: bool
    from_cache: int = 0


@dataclass(frozen=True, slots=True)
class Grown:
    """The trajectory grew by these."""

    entries: tuple[Entry, ...]
    rejections: tuple[Rejection, ...]
    trajectory: Trajectory


Event = Asked | Working | Answered | Grown
Report = Callable[[Event], None]


class Interrupted(Exception):
    """The run was asked to stop; everything answered so far is stored."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a search waits for: requests that its engine must answer now, and who hears of the progress.

    `beside` is to be begun at the same time; it is waited for later. Its engine can be ended from another thread.
    """

    engine: Engine
    requests: Sequence[Request]
    progress: Progress
    beside: Waiting | None = None


Driven = Generator[Waiting, Reply, Any]
Shelves = Callable[[Role], Shelf | None]


def drive(
    asks: Generator[Batch, Reply, Any],
    engines: Mapping[Role, Engine],
    trajectory: Trajectory,
    store: Store | None = None,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Any:
    """Run a search to its end, alone and without the cache, and return what it returns; see `driven`."""
    return answer_alone(driven(asks, engines, trajectory, store, report, stopping, aside=True))


def driven(
    asks: Generator[Batch, Reply, Any],
    engines: Mapping[Role, Engine],
    trajectory: Trajectory,
    store: Store | None = None,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
    shelves: Shelves = lambda role: None,
    aside: bool = False,
) -> Driven:
    """A search on its way to its end; returns what the search returns.

    Args:
        asks: the search.
        engines: one per role; both roles may share one. Looked up when a batch needs it.
        trajectory: the one the search fills; its growth is recorded and reported.
        store: where completions are kept; None keeps nothing.
        report: called for every event.
        stopping: asked after each answered batch; true ends the run with Interrupted.
        shelves: the part of the cache that a role's engine may use, None where there is none.
        aside: whether who answers can have two engines at work (`Waiting.beside`), as `answer_alone` can.

    Yields:
        what an engine must answer; is sent the completions and the seconds that it took.

    Raises:
        EngineError: an engine failed or gave a wrong number of completions.
        StoreError: the store can't be written.
        Interrupted: `stopping` said so.
    """
    tail, answers = _Tail(trajectory, store, report), _Answers(engines, store, report, shelves, aside)

    def sent(reply: Reply | None) -> Batch:
        try:
            return asks.send(reply)
        finally:
            tail.pass_on()

    try:
        batch = sent(None)
        while True:
            batch = sent((yield from answers.to(batch)))
            if stopping():
                raise Interrupted
    except StopIteration as end:
        return end.value
    except (OproError, Interrupted):
        yield from answers.rescued()
        raise


def answer_alone(run: Driven) -> Any:
    """Have each engine answer what the run waits for, to the run's end; returns what the run returns."""
    begun: _Begun | None = None
    try:
        waiting = next(run)
        while True:
            try:
                begun = _Begun(waiting.beside) if waiting.beside else begun
                is_begun = begun is not None and begun.waiting is waiting
                reply = begun.reply() if is_begun else ask(waiting.engine, waiting.requests, waiting.progress)
            except OproError as error:
                waiting = run.throw(error)
            except KeyboardInterrupt as error:
                if begun:
                    begun.end()
                waiting = run.throw(error)
            else:
                waiting = run.send(reply)
    except StopIteration as end:
        return end.value
    finally:
        if begun:
            begun.end()
        run.close()


def ask(engine: Engine, requests: Sequence[Request], progress: Progress) -> Reply:
    """One engine call and the seconds it took. Raises EngineError."""
    started = time.monotonic()
    completions = engine.generate(requests, progress)
    return Reply(completions, time.monotonic() - started)


class _Begun:
    """An engine at work in a thread, which only waits for it: store, cache and reports stay in the run's own thread."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting, self._told = waiting, (0, 0)
        threads = ThreadPoolExecutor(1)
        self._reply = threads.submit(ask, waiting.engine, waiting.requests, self._tell)
        threads.shutdown(wait=False)

    def reply(self) -> Reply:
        """Wait for it, reporting its progress. Raises EngineError."""
        while not wait([self._reply], PROGRESS_SECONDS).done:
            self.waiting.progress(*self._told)
        self.waiting.progress(*self._told)
        return self._reply.result()

    def end(self) -> None:
        """Leave nothing at work; an engine that is not done dies."""
        if not self._reply.done():
            self.waiting.engine.end()
            wait([self._reply])

    def _tell(self, finished: int, tokens: int) -> None:
        self._told = finished, tokens


def _apart(one: Engine, other: Engine) -> bool:
    """Whether two engines can be at work at once: each is a process of its own, which can be ended (sharded.Worker).

    Engines in this process, behind an adapter or taking turns can't.
    """
    return one is not other and hasattr(one, "end") and hasattr(other, "end")


class _Tail:
    """Passes on what the trajectory gained since the last time."""

    def __init__(self, trajectory: Trajectory, store: Store | None, report: Report) -> None:
        self._trajectory, self._store, self._report = trajectory, store, report
        self._entries = self._held_out = self._rejections = 0

    def pass_on(self) -> None:
        """Record and report new entries and rejections."""
        trajectory, first = self._trajectory, self._rejections
        entries = (*trajectory.entries[self._entries :], *trajectory.held_out[self._held_out :])
        rejections = tuple(trajectory.rejections[first:])
        if not entries and not rejections:
            return
        self._entries, self._held_out = len(trajectory.entries), len(trajectory.held_out)
        self._rejections = len(trajectory.rejections)
        if self._store:
            self._store.record(entries, rejections, first)
        self._report(Grown(entries, rejections, trajectory))


@dataclass(frozen=True, slots=True)
class _Open:
    """A batch that the store doesn't have: what the cache knows of it, and what an engine must answer, since when."""

    batch: Batch
    digest: bytes
    shelf: Shelf | None
    known: Sequence[Completion | None]
    waiting: Waiting
    since: float


class _Answers:
    """Answers a search's batches from store, cache and engines, and keeps the answers; see `driven`."""

    def __init__(
        self, engines: Mapping[Role, Engine], store: Store | None, report: Report, shelves: Shelves, aside: bool
    ) -> None:
        self._engines, self._store, self._report, self._shelves = engines, store, report, shelves
        self._aside = aside
        self._begun: _Open | None = None

    def to(self, batch: Batch) -> Generator[Waiting, Reply, Reply]:
        """The answer to a batch. It is on disk when this returns."""
        if self._begun and self._begun.batch.label == batch.label:
            return (yield from self._collected())
        digest = request_digest(batch)
        stored = self._stored(batch, digest)
        if stored:
            self._report(Answered(batch, stored, True))
            return stored
        self._report(Asked(batch))
        found = self._looked_up(batch, digest)
        beside = self._begin(batch.beside, found.waiting)
        return (yield from self._finished(found, replace(found.waiting, beside=beside) if beside else found.waiting))

    def rescued(self) -> Generator[Waiting, Reply, None]:
        """Wait for what was begun and keep it, where a run ends before the search comes to it."""
        with suppress(OproError):  # the run ends with another error already
            if self._begun:
                yield from self._collected()

    def _stored(self, batch: Batch, digest: bytes) -> Reply | None:
        return self._store.reply(batch, digest) if self._store else None

    def _looked_up(self, batch: Batch, digest: bytes) -> _Open:
        engine, shelf = self._engines[batch.role], self._shelves(batch.role)
        known = shelf.find(batch.requests) if shelf else [None] * len(batch.requests)
        missing = [request for request, completion in zip(batch.requests, known, strict=True) if completion is None]
        hits = len(known) - len(missing)
        waiting = Waiting(engine, missing, lambda done, tokens: self._report(Working(hits + done, tokens)))
        return _Open(batch, digest, shelf, known, waiting, time.monotonic())

    def _begin(self, batch: Batch | None, now: Waiting) -> Waiting | None:
        """What is to be begun beside what is waited for now; None where that is answered already, or can't be."""
        if not (batch and self._aside and now.requests and self._begun is None):
            return None
        if not _apart(self._engines[batch.role], now.engine):
            return None
        digest = request_digest(batch)
        found = None if self._stored(batch, digest) else self._looked_up(batch, digest)
        if not (found and found.waiting.requests):
            return None
        self._begun = found
        return found.waiting

    def _collected(self) -> Generator[Waiting, Reply, Reply]:
        found, self._begun = self._begun, None
        self._report(Asked(found.batch, found.since))
        return (yield from self._finished(found, found.waiting))

    def _finished(self, found: _Open, waiting: Waiting) -> Generator[Waiting, Reply, Reply]:
        """Wait for the engine, put its answers beside those of the cache, and keep them."""
        batch, known, missing = found.batch, found.known, waiting.requests
        fresh = Reply((), 0.0)
        if missing:
            fresh = yield waiting
        if len(fresh.completions) != len(missing):
            raise EngineError(f"{batch.label}: {len(fresh.completions)} completions for {len(missing)} requests")
        rest = iter(fresh.completions)
        reply = Reply([completion or next(rest) for completion in known], fresh.seconds)
        if self._store:
            _account(self._store, batch.label, [completion for completion in known if completion])
            self._store.append(batch, found.digest, reply)
        if found.shelf:
            found.shelf.keep(missing, fresh.completions)
        self._report(Answered(batch, reply, False, len(known) - len(missing)))
        return reply


def _account(store: Store, label: str, known: Sequence[Completion]) -> None:
    """Note what the cache gave, before the batch counts as answered; after a crash between the two it is noted anew."""
    noted = store.get("from_cache") or {}
    if not known and label not in noted:
        return
    tokens = (sum(c.prompt_tokens for c in known), sum(c.completion_tokens for c in known))
    store.put(from_cache={**noted, label: [len(known), *tokens]})


def request_digest(batch: Batch) -> bytes:
    """SHA-256 over everything that decides the answers: role, prompts and sampling, in order."""
    samplings: dict[int, int] = {}
    distinct: list[Sampling] = []
    chats: dict[int, tuple[int, Any]] = {}
    flat: list[Any] = []
    for request in batch.requests:
        prompt, sampling = request.prompt, request.sampling
        if id(sampling) not in samplings:
            samplings[id(sampling)] = len(distinct)
            distinct.append(sampling)
        flat += (prompt.text, prompt.system, prompt.prefill, prompt.chat, samplings[id(sampling)])
        if prompt.turns:
            flat.append([chats.setdefault(id(prompt.turns), (len(chats), prompt.turns))[0]])
    drawn = [_drawn(sampling) for sampling in distinct]
    # What is absent leaves no trace, so that older runs keep their digests.
    whole = [batch.role, drawn, flat, *([[turns for _, turns in chats.values()]] if chats else ())]
    return hashlib.sha256(json.dumps(whole).encode("ascii")).digest()


def _drawn(sampling: Sampling) -> tuple:
    """The sampling as JSON can hold it; an absent constraint leaves no trace, so that older runs keep their digests."""
    free = (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed, sampling.stop)
    limit = sampling.constraint
    return free if limit is None else (*free, limit.kind, limit.value)
