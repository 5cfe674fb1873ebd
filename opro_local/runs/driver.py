"""Answers a search's batches: from the store where they were answered before, then from the cache,
then by an engine.

For: replay, persistence before use, timing and stopping. A driven search is a generator as the
search is: it yields the engine calls and the commits it needs, so that one loop can make them for
one run (`run_to_end`) or for many at once (lockstep.py). Not for: what is asked, or how it is
scored.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from opro_local.errors import EngineError, OproError
from opro_local.protocols import Engine, Progress
from opro_local.runs.cache import Shelf
from opro_local.runs.events import (
    SILENT,
    BatchAnswer,
    BatchProgress,
    BatchStart,
    Interrupted,
    Listener,
    TrajectoryGrowth,
)
from opro_local.runs.store import Store
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Completion, Rejection, Request, Role, Sampling


@dataclass(frozen=True, slots=True)
class EngineCall:
    """What a run needs next: completions for these requests from this engine.

    Attributes:
        engine: who must answer.
        requests: what is in neither the store nor the cache.
        progress: to be called while the engine works, as Engine.generate calls it.
    """

    engine: Engine
    requests: Sequence[Request]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Commit:
    """What a run must have on disk before it goes on. Of several runs each may do its own at the
    same time, in threads: most of it is waiting for the disk.

    Attributes:
        write: does it; raises StoreError.
    """

    write: Callable[[], None]


# What a run waits for.
Need = EngineCall | Commit
NO_ANSWER = BatchResult((), 0.0)  # what a run is sent when its commit is done
# A run that goes from need to need. It is sent what each engine call gave, and NO_ANSWER after a
# commit, or is thrown the error that either ended with, and returns what the run came to.
RunSteps = Generator[Need, BatchResult, Any]
FindShelf = Callable[[Role], Shelf | None]


def drive(
    search: Generator[Batch, BatchResult, Any],
    engines: Mapping[Role, Engine],
    trajectory: Trajectory,
    store: Store | None = None,
    listener: Listener = SILENT,
) -> Any:
    """Drive a search to its end, alone and without the cache, and return what it returns; see
    `drive_steps`.
    """
    return run_to_end(drive_steps(search, engines, trajectory, store, listener))


def drive_steps(
    search: Generator[Batch, BatchResult, Any],
    engines: Mapping[Role, Engine],
    trajectory: Trajectory,
    store: Store | None = None,
    listener: Listener = SILENT,
    find_shelf: FindShelf = lambda role: None,
) -> RunSteps:
    """Drive a search to its end, one need after another; returns what the search returns.

    Args:
        search: yields batches, is sent their results.
        engines: one per role; both roles may share one. Looked up when a batch needs it.
        trajectory: the one the search fills; its growth is recorded and reported.
        store: where completions are kept; None keeps nothing.
        listener: hears of every event, and is asked after each answered batch whether to stop.
        find_shelf: the part of the cache that a role's engine may use, None where there is none.

    Yields:
        what an engine must answer, and is sent the completions and the seconds that it took; or
        what must be on disk, and is sent NO_ANSWER.

    Raises:
        EngineError: an engine failed or gave a wrong number of completions.
        StoreError: the store can't be written.
        Interrupted: the listener said to stop.
    """
    growth = _Growth(trajectory, store, listener)
    result: BatchResult | None = None
    replays = False
    while True:
        try:
            batch = _next_batch(search, result)
        finally:
            # Also at the search's end, and when it fails: what it found until then is recorded.
            yield from growth.pass_on(replays)
        if isinstance(batch, _SearchEnd):
            return batch.value
        if result is not None and listener.should_stop():
            raise Interrupted
        digest = request_digest(batch)
        result = store.reply(batch, digest) if store else None
        replays = result is not None
        if result is None:
            result = yield from _answer_batch(batch, digest, engines, store, listener, find_shelf)
        else:
            listener.report(BatchAnswer(batch, result, replayed=True))


@dataclass(frozen=True, slots=True)
class _SearchEnd:
    """A search has no more batches; `value` is what it returned."""

    value: Any


def _next_batch(
    search: Generator[Batch, BatchResult, Any], result: BatchResult | None
) -> Batch | _SearchEnd:
    """What a search asks after a result. The end is a value: a generator may not raise it."""
    try:
        return search.send(result)  # type: ignore[arg-type]  # None starts a generator
    except StopIteration as end:
        return _SearchEnd(end.value)


def run_to_end(steps: RunSteps) -> Any:
    """Do what a run needs as it comes, to its end; returns what the run returns."""
    try:
        need = next(steps)
        while True:
            try:
                result = answer_need(need)
            except (OproError, KeyboardInterrupt) as error:
                # The run decides what its error or Ctrl-C means, and leaves its folder in order.
                need = steps.throw(error)
            else:
                need = steps.send(result)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def answer_need(need: Need) -> BatchResult:
    """Do what a run waits for; gives what it is to be sent. Raises EngineError and StoreError."""
    if isinstance(need, Commit):
        need.write()
        return NO_ANSWER
    return call_engine(need.engine, need.requests, need.progress)


def call_engine(engine: Engine, requests: Sequence[Request], progress: Progress) -> BatchResult:
    """One engine call and the seconds it took. Raises EngineError."""
    started = time.monotonic()
    completions = engine.generate(requests, progress)
    return BatchResult(completions, time.monotonic() - started)


class _Growth:
    """Passes on what the trajectory gained since the last time.

    What stored answers lead to again is mostly in the store already: it is recorded with what the
    first new answer leads to, and else where the run compares the whole at its end
    (Store.settle).
    """

    def __init__(self, trajectory: Trajectory, store: Store | None, listener: Listener) -> None:
        self._trajectory, self._store, self._listener = trajectory, store, listener
        self._reported, self._recorded = _Extent(), _Extent()

    def pass_on(self, replays: bool) -> Generator[Need, BatchResult, None]:
        """Report new entries and rejections, after they are recorded unless the search replays."""
        reported = self._reported.rest(self._trajectory)
        if not any(reported):
            return
        self._reported = _Extent.of(self._trajectory)
        if self._store and not replays:
            new = self._recorded.rest(self._trajectory)
            yield Commit(partial(self._store.record, *new, self._recorded.rejections))
            self._recorded = self._reported
        self._listener.report(TrajectoryGrowth(*reported, self._trajectory))


@dataclass(frozen=True, slots=True)
class _Extent:
    """How long each list of a trajectory was at some time."""

    entries: int = 0
    held_out: int = 0
    rejections: int = 0

    @staticmethod
    def of(trajectory: Trajectory) -> _Extent:
        """What it is now."""
        return _Extent(
            len(trajectory.entries), len(trajectory.held_out), len(trajectory.rejections)
        )

    def rest(self, trajectory: Trajectory) -> tuple[tuple[Entry, ...], tuple[Rejection, ...]]:
        """The entries and the rejections that came since."""
        entries = (*trajectory.entries[self.entries :], *trajectory.held_out[self.held_out :])
        return entries, tuple(trajectory.rejections[self.rejections :])


def _answer_batch(
    batch: Batch,
    digest: bytes,
    engines: Mapping[Role, Engine],
    store: Store | None,
    listener: Listener,
    find_shelf: FindShelf,
) -> Generator[Need, BatchResult, BatchResult]:
    """The result of a batch that the store has not, from cache or engine. It is on disk when this
    returns.
    """
    listener.report(BatchStart(batch))
    engine = engines[batch.role]
    # After the engine: only a running one knows which part of the cache is its own.
    shelf = find_shelf(batch.role)
    cached: Sequence[Completion | None] = [None] * len(batch.requests)
    if shelf:
        cached = shelf.find(batch.requests)
    missing = [
        request
        for request, completion in zip(batch.requests, cached, strict=True)
        if completion is None
    ]
    hits = len(cached) - len(missing)
    fresh = NO_ANSWER
    if missing:
        fresh = yield EngineCall(
            engine,
            missing,
            lambda finished, tokens: listener.report(BatchProgress(hits + finished, tokens)),
        )
    if len(fresh.completions) != len(missing):
        raise EngineError(
            f"{batch.label}: {len(fresh.completions)} completions for {len(missing)} requests"
        )
    rest = iter(fresh.completions)
    result = BatchResult([completion or next(rest) for completion in cached], fresh.seconds)
    if store:
        known = [completion for completion in cached if completion]
        yield Commit(partial(store.append, batch, digest, result, known))
    if shelf:
        shelf.keep(missing, fresh.completions)
    listener.report(BatchAnswer(batch, result, replayed=False, from_cache=hits))
    return result


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
    """The sampling as JSON can hold it; what is absent leaves no trace, so that older runs keep
    their digests.
    """
    free = (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed, sampling.stop)
    limit = sampling.constraint
    more = () if limit is None else (limit.kind, limit.value)
    labels = ("labels", *sampling.labels) if sampling.labels else ()
    return (*free, *more, *(["ends_loops"] if sampling.ends_loops else []), *labels)
