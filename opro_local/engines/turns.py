"""Engines that take turns on one GPU: one is awake, the others sleep or are stopped meanwhile.

For: handing the GPU from one engine to the next. Not for: whether engines have to take turns
(placement/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from opro_local.errors import EngineError
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request


@runtime_checkable
class SleepingEngine(Engine, Protocol):
    """An engine that can leave the GPU without ending.

    Both methods raise EngineError, and after that the engine can only be closed.
    """

    def sleep(self) -> None:
        """Free most of its memory; nothing is asked until it is awake."""

    def wake(self) -> None:
        """Take its memory again and answer as before."""


class GpuTurns:
    """Which of several engines has the GPU now, and which sleep meanwhile.

    Args:
        sleeping: engines sleep while it isn't their turn, instead of being stopped. When one can't
            sleep, wake or start beside sleepers, all are ended, and from then on engines are
            stopped and started.
        notify: called with a line for the user when that happens.

    Attributes:
        sleeping: whether the next engine starts as one that will sleep.
    """

    def __init__(self, sleeping: bool = False, notify: Callable[[str], None] | None = None) -> None:
        self.sleeping, self._notify = sleeping, notify
        self._owner: TurnTakingEngine | None = None
        self._engines: dict[TurnTakingEngine, Engine] = {}

    def take(self, owner: TurnTakingEngine, start: Callable[[], Engine]) -> Engine:
        """The owner's engine, awake; whoever else has the GPU leaves its memory first.

        Raises:
            EngineError: it does not start, with nobody else in the memory.
        """
        if self._owner is not owner:
            try:
                engine = self._hand_over(owner, start)
            except EngineError as error:
                if not self.sleeping:
                    raise
                # Sleepers keep some memory, and sleep mode is where vLLM fails most: the run goes
                # on without it, slower.
                self.sleeping = False
                if self._notify:
                    why = error.message.splitlines()[0]
                    self._notify(
                        f"sleep mode failed, engines are stopped and started from now on: {why}"
                    )
                engine = self._hand_over(owner, start)
            self._owner, self._engines[owner] = owner, engine
        return self._engines[owner]

    def leave(self, owner: TurnTakingEngine) -> None:
        """End the owner's engine, awake or asleep."""
        if self._owner is owner:
            self._owner = None
        if owner in self._engines:
            self._engines.pop(owner).close()

    def _hand_over(self, owner: TurnTakingEngine, start: Callable[[], Engine]) -> Engine:
        # Nobody has the GPU while it changes hands: if this fails, the next call starts clean.
        before, self._owner = self._owner, None
        if not self.sleeping:
            for other in tuple(self._engines):
                self.leave(other)
        elif before:
            _as_sleeping(self._engines[before]).sleep()
        if owner not in self._engines:
            return start()
        _as_sleeping(self._engines[owner]).wake()
        return self._engines[owner]


def _as_sleeping(engine: Engine) -> SleepingEngine:
    if not isinstance(engine, SleepingEngine):
        raise EngineError(f"{engine.fingerprint['engine']} has no sleep mode")
    return engine


class TurnTakingEngine(Engine):
    """An engine that is awake while it is asked and gives the GPU up to the next one asked; see
    the Engine protocol.

    Args:
        turns: the GPU's, the same for all that take turns on it.
        start: starts the engine: once if it sleeps between its turns, or every time it comes back.

    Raises:
        EngineError: it does not start, or comes back as another engine than it was.
    """

    def __init__(self, turns: GpuTurns, start: Callable[[], Engine]) -> None:
        self._turns, self._start = turns, start
        first = turns.take(self, start)
        self.fingerprint: Mapping[str, Any] = dict(first.fingerprint)
        self.max_model_len = first.max_model_len

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; the engine wakes or starts first if it isn't its turn."""
        return self._awake().generate(requests, progress) if requests else []

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""
        return self._awake().count_tokens(prompts) if prompts else []

    def close(self) -> None:
        """End the engine, awake or asleep. Safe to call twice."""
        self._turns.leave(self)

    def _awake(self) -> Engine:
        engine = self._turns.take(self, self._start)
        now = dict(engine.fingerprint)
        if now != self.fingerprint:
            # vLLM may have fallen back to transformers: its answers would not belong to this run.
            self.close()
            differing = ", ".join(
                f"{key} was {before}, now {now.get(key)}"
                for key, before in self.fingerprint.items()
                if now.get(key) != before
            )
            raise EngineError(
                f"the engine came back as another one: {differing}", "name the engine with --engine"
            )
        return engine
