"""Answers a search's batches: from the store where they were answered before, then from the cache,
then by an engine.

For: replay, persistence before use, timing and stopping. A driven search is a generator as the
search is: it yields what an engine must answer, so that one loop can ask for one search
(`answer_alone`) or for many (lockstep.py). Not for: what is asked or how it is scored.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opro_local.errors import EngineError, OproError
from opro_local.runs.cache import Shelf
from opro_local.runs.store import Store
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import (
    Batch,
    Completion,
    Engine,
    Progress,
    Rejection,
    Reply,
    Request,
    Role,
    Sampling,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch is not in the store: the cache and an engine are asked."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Working:
    """So many requests of the batch are finished, and an engine has written so many tokens for it."""

    finished: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch was answered: from the store when replayed, else by the cache (`from_cache` of it)
    and an engine.
    """

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
    """What a search waits for: requests that its engine must answer now, and who hears of the
    progress.
    """

    engine: Engine
    requests: Sequence[Request]
    progress: Progress


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
    """Run a search to its end, alone and without the cache, and return what it returns; see
    `driven`.
    """
    return answer_alone(driven(asks, engines, trajectory, store, report, stopping))


def driven(
    asks: Generator[Batch, Reply, Any],
    engines: Mapping[Role, Engine],
    trajectory: Trajectory,
    store: Store | None = None,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
    shelves: Shelves = lambda role: None,
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

    Yields:
        what an engine must answer; is sent the completions and the seconds that it took.

    Raises:
        EngineError: an engine failed or gave a wrong number of completions.
        StoreError: the store can't be written.
        Interrupted: `stopping` said so.
    """
    tail = _Tail(trajectory, store, report)

    def sent(reply: Reply | None) -> Batch:
        try:
            return asks.send(reply)
        finally:
            tail.pass_on()

    try:
        batch = sent(None)
        while True:
            batch = sent((yield from _answered(batch, engines, store, report, shelves)))
            if stopping():
                raise Interrupted
    except StopIteration as end:
        return end.value


def answer_alone(run: Driven) -> Any:
    """Have each engine answer what the run waits for, to the run's end; returns what the run
    returns.
    """
    try:
        waiting = next(run)
        while True:
            try:
                reply = ask(waiting.engine, waiting.requests, waiting.progress)
            except (OproError, KeyboardInterrupt) as error:
                waiting = run.throw(error)
            else:
                waiting = run.send(reply)
    except StopIteration as end:
        return end.value
    finally:
        run.close()


def ask(engine: Engine, requests: Sequence[Request], progress: Progress) -> Reply:
    """One engine call and the seconds it took. Raises EngineError."""
    started = time.monotonic()
    completions = engine.generate(requests, progress)
    return Reply(completions, time.monotonic() - started)


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


def _answered(
    batch: Batch,
    engines: Mapping[Role, Engine],
    store: Store | None,
    report: Report,
    shelves: Shelves,
) -> Generator[Waiting, Reply, Reply]:
    """The answer to a batch, from store, cache or engine. It is on disk when this returns."""
    digest = request_digest(batch)
    stored = store.reply(batch, digest) if store else None
    if stored:
        report(Answered(batch, stored, True))
        return stored
    report(Asked(batch))
    engine, shelf = engines[batch.role], shelves(batch.role)
    known = shelf.find(batch.requests) if shelf else [None] * len(batch.requests)
    missing = [
        request
        for request, completion in zip(batch.requests, known, strict=True)
        if completion is None
    ]
    hits = len(known) - len(missing)
    fresh = Reply((), 0.0)
    if missing:
        fresh = yield Waiting(
            engine, missing, lambda done, tokens: report(Working(hits + done, tokens))
        )
    if len(fresh.completions) != len(missing):
        raise EngineError(
            f"{batch.label}: {len(fresh.completions)} completions for {len(missing)} requests"
        )
    rest = iter(fresh.completions)
    reply = Reply([completion or next(rest) for completion in known], fresh.seconds)
    if store:
        _account(store, batch.label, [completion for completion in known if completion])
        store.append(batch, digest, reply)
    if shelf:
        shelf.keep(missing, fresh.completions)
    report(Answered(batch, reply, False, hits))
    return reply


def _account(store: Store, label: str, known: Sequence[Completion]) -> None:
    """Note what the cache gave, before the batch counts as answered; after a crash between the two
    it is noted anew.
    """
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
    """The sampling as JSON can hold it; an absent constraint leaves no trace, so that older runs
    keep their digests.
    """
    free = (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed, sampling.stop)
    limit = sampling.constraint
    return free if limit is None else (*free, limit.kind, limit.value)
