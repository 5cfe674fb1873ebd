"""What an answer costs on the real engines: a few of a cell's own requests, timed.

For: the seconds and tokens of a forecast. Not for: measuring an engine (runs/bench.py), or keeping
anything: nothing is stored.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opro_local.engines.lora import AdapterEngine
from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.protocols import Engine
from opro_local.runs.plans import Plan
from opro_local.runs.thinking import heard
from opro_local.search.trajectory import Trajectory
from opro_local.types import BatchResult, Completion, Request, Role

# Of a batch so many requests are asked, and eight times as many while that takes under a second.
FIRST, FACTOR, MOST, SHORT_SECONDS = 8, 8, 512, 1.0
# A search whose roles were not all asked by then is left.
MOST_BATCHES = 12


@dataclass(frozen=True, slots=True)
class AnswerCost:
    """What one answer of a role costs, on average.

    Attributes:
        seconds: in a batch.
        prompt_tokens, completion_tokens: read and written.
        characters: of the reply.
    """

    seconds: float
    prompt_tokens: float
    completion_tokens: float
    characters: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured on the engines of a group.

    Attributes:
        load_seconds: until they were ready.
        costs: of each role that was asked.
    """

    load_seconds: float
    costs: Mapping[Role, AnswerCost]


def calibrate(plan: Plan) -> Calibration:
    """Load the models of a plan, and time the beginnings of its first batches.

    The rest of each batch gets the same replies again, so that the search goes on to what it asks
    of its other role. What this process answers itself, such as a user's program, ends it.

    Raises:
        ModelError, EngineError: a model does not start or fails.
        DataError: a row does not fit the scorer.
    """
    begun = time.monotonic()
    running: list[tuple[EngineSettings, Engine]] = []
    try:
        engines = _started(plan, running)
        loaded = time.monotonic() - begun
        plan.check({**engines, **plan.others})
        return Calibration(loaded, _costs(plan, engines))
    finally:
        for _, engine in running:
            engine.close()


def _started(plan: Plan, running: list[tuple[EngineSettings, Engine]]) -> dict[Role, Engine]:
    """An engine for each role, one for equal settings; each is in `running` as soon as it runs."""
    engines: dict[Role, Engine] = {}
    for role, hosting in plan.models.items():
        engine = next((one for settings, one in running if settings == hosting.settings), None)
        if engine is None:
            engine, _ = start_engine(hosting.settings, hosting.engine)
            running.append((hosting.settings, engine))
        engines[role] = AdapterEngine(engine, hosting.adapter) if hosting.adapter else engine
    return engines


def _costs(plan: Plan, engines: Mapping[Role, Engine]) -> dict[Role, AnswerCost]:
    costs: dict[Role, AnswerCost] = {}
    search = heard(plan.search(Trajectory()), plan.thinkers)
    try:
        batch = next(search)
        for _ in range(MOST_BATCHES):
            if batch.role not in engines or costs.keys() == engines.keys():
                break
            replies, costs[batch.role] = _timed(engines[batch.role], batch.requests)
            repeated = [replies[place % len(replies)] for place in range(len(batch.requests))]
            batch = search.send(BatchResult(repeated, 0.0))
    except StopIteration:
        pass  # a search without steps
    finally:
        search.close()
    return costs


def _timed(engine: Engine, requests: Sequence[Request]) -> tuple[list[Completion], AnswerCost]:
    """The replies to the beginning of a batch, and what each cost."""
    size = min(FIRST, len(requests))
    while True:
        begun = time.monotonic()
        replies = engine.generate(requests[:size])
        seconds = time.monotonic() - begun
        if seconds >= SHORT_SECONDS or size == min(MOST, len(requests)):
            break
        size = min(size * FACTOR, MOST, len(requests))
    return replies, AnswerCost(
        seconds / size,
        sum(reply.prompt_tokens for reply in replies) / size,
        sum(reply.completion_tokens for reply in replies) / size,
        sum(len(reply.text) for reply in replies) / size,
    )
