"""Answers a search's batches: from the store where they were answered before, from an engine otherwise.

For: replay, persistence before use, timing and stopping. Not for: what is asked or how it is scored.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.errors import EngineError
from opro_local.store import Store
from opro_local.trajectory import Entry, Trajectory
from opro_local.types import Batch, Engine, Rejection, Reply, Role, Sampling


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch goes to an engine."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Working:
    """An engine has finished so many requests of the batch and written so many tokens."""

    finished: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch was answered, by an engine or, when replayed, from the store."""

    batch: Batch
    reply: Reply
    replayed: bool


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


def drive(
    asks: Generator[Batch, Reply, Any],
    engines: Mapping[Role, Engine],
    trajectory: Trajectory,
    store: Store | None = None,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Any:
    """Run a search to its end and return what it returns.

    Args:
        asks: the search.
        engines: one per role; both roles may share one.
        trajectory: the one the search fills; its growth is recorded and reported.
        store: where completions are kept; None keeps nothing.
        report: called for every event.
        stopping: asked after each answered batch; true ends the run with Interrupted.

    Raises:
        EngineError: an engine failed or gave a wrong number of completions.
        StoreError: the store can't be written.
        Interrupted: `stopping` said so.
    """
    tail = _Tail(trajectory, store, report)
    try:
        batch = next(asks)
        while True:
            reply = _answer(batch, engines[batch.role], store, report)
            try:
                batch = asks.send(reply)
            finally:
                tail.pass_on()
            if stopping():
                raise Interrupted
    except StopIteration as end:
        return end.value


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


def _answer(batch: Batch, engine: Engine, store: Store | None, report: Report) -> Reply:
    digest = request_digest(batch)
    stored = store.reply(batch, digest) if store else None
    if stored:
        report(Answered(batch, stored, True))
        return stored
    report(Asked(batch))
    started = time.monotonic()
    completions = engine.generate(batch.requests, lambda finished, tokens: report(Working(finished, tokens)))
    reply = Reply(completions, time.monotonic() - started)
    if len(completions) != len(batch.requests):
        raise EngineError(f"{batch.label}: {len(completions)} completions for {len(batch.requests)} requests")
    if store:
        store.append(batch, digest, reply)
    report(Answered(batch, reply, False))
    return reply


def request_digest(batch: Batch) -> bytes:
    """SHA-256 over everything that decides the answers: role, prompts and sampling, in order."""
    samplings: dict[int, int] = {}
    distinct: list[Sampling] = []
    flat: list[Any] = []
    for request in batch.requests:
        prompt, sampling = request.prompt, request.sampling
        if id(sampling) not in samplings:
            samplings[id(sampling)] = len(distinct)
            distinct.append(sampling)
        flat += (prompt.text, prompt.system, prompt.prefill, prompt.chat, samplings[id(sampling)])
    drawn = [_drawn(sampling) for sampling in distinct]
    return hashlib.sha256(json.dumps([batch.role, drawn, flat]).encode("ascii")).digest()


def _drawn(sampling: Sampling) -> tuple:
    """The sampling as JSON can hold it; an absent constraint leaves no trace, so that older runs keep their digests."""
    free = (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed, sampling.stop)
    limit = sampling.constraint
    return free if limit is None else (*free, limit.kind, limit.value)
