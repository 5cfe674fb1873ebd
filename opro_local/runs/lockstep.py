"""Many runs advanced together: what they wait for from the same engine is asked in one call.

For: filling a GPU that one run leaves idle. Not for: what a run is (run.py), or which runs there
are. Every run keeps its own folder and comes to what it comes to alone; whatever ends one of them
leaves the others alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config
from opro_local.engines.pool import Pool
from opro_local.errors import EngineError, OproError
from opro_local.runs.driver import Driven, Event, Interrupted, Waiting, ask
from opro_local.runs.plans import plan
from opro_local.runs.run import carried_out
from opro_local.types import Engine, Reply, Request

Ended = Any | OproError | Interrupted


def execute_many(
    runs: Sequence[tuple[Config, Path]],
    report: Callable[[int, Event], None] = lambda number, event: None,
    stopping: Callable[[], bool] = lambda: False,
    notify: Callable[[int, str], None] = lambda number, line: None,
) -> list[dict[str, Any] | OproError | Interrupted]:
    """Run or resume searches in lockstep; engines are shared between runs with equal settings.

    Args:
        runs: the config and the folder of each; no folder twice.
        report: called with a run's position in `runs` and the driver's events for it.
        stopping: asked after each engine call; true ends all runs with Interrupted, to be resumed.
        notify: called with a run's position and lines its user should know.

    Returns:
        what each run came to, in order: its result, or the error that ended it.
    """
    pool = Pool()
    try:
        return lockstep(
            [
                _planned(
                    config, folder, partial(report, number), stopping, partial(notify, number), pool
                )
                for number, (config, folder) in enumerate(runs)
            ],
            stopping,
        )
    finally:
        pool.close()


def _planned(config: Config, folder: Path, report, stopping, notify, pool: Pool) -> Driven:
    """The run from its plan on, so that a config that can't be planned ends like a run that fails."""
    return (yield from carried_out(plan(config), folder, report, stopping, notify, pool))


def lockstep(runs: Sequence[Driven], stopping: Callable[[], bool] = lambda: False) -> list[Ended]:
    """Advance driven searches together to their ends.

    The engine that some run has waited for longest comes first, so that runs out of step fall into
    step, and none waits for ever.

    Args:
        runs: what to drive; see driver.driven.
        stopping: asked after each engine call; true interrupts the runs that wait.

    Returns:
        what each run returned, or the OproError or Interrupted that ended it.
    """
    together = _Together(runs)
    try:
        for number, run in enumerate(runs):
            together.move(number, partial(next, run))
        while together.waiting:
            engine = next(iter(together.waiting.values())).engine
            together.answer(engine)
            if stopping():
                together.end(Interrupted)
    except KeyboardInterrupt:
        together.end(KeyboardInterrupt)
        raise
    finally:
        for run in runs:
            run.close()
    return [together.ended[number] for number in range(len(runs))]


class _Together:
    """Runs by number: those that wait, for what, the longest wait first, and those that ended, how."""

    def __init__(self, runs: Sequence[Driven]) -> None:
        self._runs = runs
        self.waiting: dict[int, Waiting] = {}
        self.ended: dict[int, Ended] = {}

    def move(self, number: int, on: Callable[[], Waiting]) -> None:
        """Take a run to the next thing it waits for, or to its end."""
        self.waiting.pop(number, None)
        try:
            self.waiting[number] = on()
        except StopIteration as end:
            self.ended[number] = end.value
        except (OproError, Interrupted) as error:
            self.ended[number] = error

    def answer(self, engine: Engine) -> None:
        """Ask an engine once for all runs that wait for it, and move them on."""
        numbers = sorted(
            number for number, waiting in self.waiting.items() if waiting.engine is engine
        )
        replies = ask_together(engine, [self.waiting[number] for number in numbers])
        for number, reply in zip(numbers, replies, strict=True):
            run = self._runs[number]
            self.move(
                number, partial(run.throw if isinstance(reply, OproError) else run.send, reply)
            )

    def end(self, how: type[BaseException]) -> None:
        """End every run that has not ended, so that each leaves its folder in order."""
        for number, run in enumerate(self._runs):
            if number not in self.ended:
                with contextlib.suppress(KeyboardInterrupt):
                    self.move(number, partial(run.throw, how()))


def ask_together(engine: Engine, waits: Sequence[Waiting]) -> list[Reply | OproError]:
    """One engine call for several runs; each gets its completions and its share of the seconds, by
    requests.

    What several runs ask alike, such as the baseline on every row, is asked once: a request decides
    its answer.

    Where the call fails, each run is asked for alone, so that the one whose request broke it fails
    alone. If all fail
    then, the engine is what failed, and all end with the first error: it says more than what a dead
    engine says after.
    """
    if len(waits) == 1:
        return [_ask_alone(engine, waits[0])]
    sizes = [len(waiting.requests) for waiting in waits]
    total = sum(sizes)

    def progress(done: int, tokens: int) -> None:
        for waiting, size in zip(waits, sizes, strict=True):
            waiting.progress(done * size // len(places), tokens * size // total)

    places: dict[Request, int] = {}
    asked = [
        places.setdefault(request, len(places)) for waiting in waits for request in waiting.requests
    ]
    try:
        whole = ask(engine, list(places), progress)
        if len(whole.completions) != len(places):
            raise EngineError(
                f"{len(whole.completions)} completions for {len(places)} requests of {len(waits)} runs"
            )
    except OproError as error:
        alone = [_ask_alone(engine, waiting) for waiting in waits]
        return (
            [error] * len(waits) if all(isinstance(reply, OproError) for reply in alone) else alone
        )
    rest = map(whole.completions.__getitem__, asked)
    return [
        Reply([next(rest) for _ in range(size)], whole.seconds * size / total) for size in sizes
    ]


def _ask_alone(engine: Engine, waiting: Waiting) -> Reply | OproError:
    try:
        return ask(engine, waiting.requests, waiting.progress)
    except OproError as error:
        return error
