"""Many runs advanced together: what they need from the same engine is asked in one call.

For: filling a GPU that one run leaves idle. Not for: what a run is (run.py), or which runs there
are. Every run keeps its own folder and comes to what it comes to alone; whatever ends one of them
leaves the others alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config
from opro_local.engines.pool import EnginePool
from opro_local.errors import EngineError, OproError
from opro_local.protocols import Engine
from opro_local.runs.driver import (
    Commit,
    EngineCall,
    Need,
    RunSteps,
    answer_need,
    call_engine,
)
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.given_runs import limit_given, listeners_given, pool_given, runs_given
from opro_local.runs.objective import check_function
from opro_local.runs.plans import Plan
from opro_local.runs.run import run_steps
from opro_local.runs.run_result import RunResult
from opro_local.types import BatchResult, Request

# What a run came to: its result, or what ended it.
RunEnd = Any | OproError | Interrupted
# Told a run's number and what it came to.
WhenEnded = Callable[[int, RunEnd], None]
# Takes a run to what it needs next.
Step = Callable[[], Need]
MOST_COMMITS_AT_ONCE = 16  # threads that wait for the disk; one commit waits some milliseconds


def run_many(
    runs: Sequence[tuple[Config | Plan, Path]],
    listeners: Sequence[Listener] = (),
    at_once: int | None = None,
    when_ended: WhenEnded = lambda number, end: None,
    pool: EnginePool | None = None,
) -> list[RunResult | OproError | Interrupted]:
    """Run or resume searches in lockstep; engines are shared between runs with equal settings.

    Args:
        runs: what to do and the folder of each, see `run`; no folder twice.
        listeners: one per run, in order; none hears nothing. Each is asked after each engine call
            whether to stop; one that says so ends all runs with Interrupted, to be resumed.
        at_once, when_ended: see `run_together`.
        pool: where engines are kept for further calls, closed by who made it; None has one for this
            call.

    Returns:
        what each run came to, in order: its result, or the error that ended it.

    Raises:
        UsageError: something that was given is not what is said here, or there is not one listener
            for each run; names it. Nothing has begun then.
    """
    given = runs_given(runs)
    own = listeners_given(listeners, len(given))
    limit = limit_given(at_once)
    check_function(when_ended, "when_ended", "give a function of a run's number and its end")
    engines = pool_given(pool) or EnginePool()
    try:
        return run_together(
            [
                run_steps(work, folder, listener, engines)
                for (work, folder), listener in zip(given, own, strict=True)
            ],
            lambda: any(listener.should_stop() for listener in own),
            limit,
            when_ended,
        )
    finally:
        if pool is None:
            engines.close()


def run_together(
    runs: Sequence[RunSteps],
    should_stop: Callable[[], bool] = lambda: False,
    at_once: int | None = None,
    when_ended: WhenEnded = lambda number, end: None,
) -> list[RunEnd]:
    """Advance runs together to their ends.

    The engine that some run has waited for longest comes first, so that runs out of step fall into
    step, and none waits for ever.

    Args:
        runs: what to advance; see driver.drive_steps.
        should_stop: asked after each engine call; true interrupts the runs that are not at their
            end.
        at_once: how many are under way at most, each with files of its own open; when one ends, the
            next begins. None begins all.
        when_ended: told of every run as it ends.

    Returns:
        what each run returned, or the OproError or Interrupted that ended it.
    """
    with ThreadPoolExecutor(MOST_COMMITS_AT_ONCE) as threads:
        together = _RunsTogether(runs, when_ended, threads)
        try:
            together.begin(at_once or len(runs))
            while together.calls:
                engine = next(iter(together.calls.values())).engine
                together.answer(engine)
                if should_stop():
                    together.end_all(Interrupted)
                together.begin(at_once or len(runs))
        except KeyboardInterrupt:
            together.end_all(KeyboardInterrupt)
            raise
        finally:
            for run in runs:
                run.close()
    return [together.ends[number] for number in range(len(runs))]


class _RunsTogether:
    """Runs by their number.

    Attributes:
        calls: the engine call that each run waits for, the one that waited longest first.
        ends: what the runs at their end came to.
    """

    def __init__(
        self, runs: Sequence[RunSteps], when_ended: WhenEnded, threads: ThreadPoolExecutor
    ) -> None:
        self._runs, self._when_ended, self._threads = runs, when_ended, threads
        self._next = 0
        self.calls: dict[int, EngineCall] = {}
        self.ends: dict[int, RunEnd] = {}

    def begin(self, at_once: int) -> None:
        """Begin runs in order until so many wait for an engine, or none is left."""
        while self._next < len(self._runs) and len(self.calls) < at_once:
            first = self._next
            self._next = min(first + at_once - len(self.calls), len(self._runs))
            new = [number for number in range(first, self._next) if number not in self.ends]
            self.move({number: partial(next, self._runs[number]) for number in new})

    def answer(self, engine: Engine) -> None:
        """Call an engine once for all runs that wait for it, and move them on."""
        numbers = sorted(number for number, call in self.calls.items() if call.engine is engine)
        results = call_together(engine, [self.calls[number] for number in numbers])
        answers = zip(numbers, results, strict=True)
        self.move({number: self._step(number, result) for number, result in answers})

    def move(self, steps: Mapping[int, Step]) -> None:
        """Take runs to their next engine call, or to their ends. What they must have on disk on the
        way is written side by side.
        """
        while steps:
            commits = {}
            for number, step in steps.items():
                need = self._take(number, step)
                if isinstance(need, Commit):
                    commits[number] = need
                elif need is not None:
                    self.calls[number] = need
            done = zip(commits, self._write(list(commits.values())), strict=True)
            steps = {number: self._step(number, result) for number, result in done}

    def end_all(self, exception: type[BaseException]) -> None:
        """End every run that has not ended, so that each leaves its folder in order."""
        for number, run in enumerate(self._runs):
            if number not in self.ends:
                with contextlib.suppress(KeyboardInterrupt):
                    self.move({number: partial(run.throw, exception())})

    def _step(self, number: int, result: BatchResult | OproError) -> Step:
        """What a run does after what it waited for."""
        run = self._runs[number]
        if isinstance(result, OproError):
            return partial(run.throw, result)
        return partial(run.send, result)

    def _take(self, number: int, step: Step) -> Need | None:
        """Take a run one step on; None where that was its last."""
        # Removed first, so that the next call goes to the end of the line.
        self.calls.pop(number, None)
        try:
            return step()
        except StopIteration as end:
            self._end(number, end.value)
        except (OproError, Interrupted) as error:
            self._end(number, error)
        return None

    def _end(self, number: int, end: RunEnd) -> None:
        self.ends[number] = end
        self._when_ended(number, end)

    def _write(self, commits: Sequence[Commit]) -> list[BatchResult | OproError]:
        """Do the commits of several runs at the same time; what each gave, in order."""
        if len(commits) == 1:
            return [_written(commits[0])]
        writing: list[Future[BatchResult | OproError]] = []
        try:
            for commit in commits:
                writing.append(self._threads.submit(_written, commit))
            return [one.result() for one in writing]
        finally:
            # Ctrl-C has every run leave its folder in order: none may be written any more then.
            wait(writing)


def _written(commit: Commit) -> BatchResult | OproError:
    try:
        return answer_need(commit)
    except OproError as error:
        return error


def call_together(engine: Engine, calls: Sequence[EngineCall]) -> list[BatchResult | OproError]:
    """One engine call for several runs; each gets its completions and its share of the seconds, by
    requests.

    What several runs ask alike, such as the baseline on every row, is asked once: a request decides
    its answer.

    Where the call fails, it is made again for each run alone, so that the run whose request broke
    it fails alone. If all fail then, the engine is what failed, and all end with the first error:
    it says more than what a dead engine says after.
    """
    if len(calls) == 1:
        return [_call_alone(engine, calls[0])]
    sizes = [len(call.requests) for call in calls]
    total = sum(sizes)

    def progress(finished: int, tokens: int) -> None:
        for call, size in zip(calls, sizes, strict=True):
            call.progress(finished * size // len(places), tokens * size // total)

    # Where each distinct request stands in the shared call; and of every request of every run, in
    # order, the place of its completion.
    places: dict[Request, int] = {}
    wanted = [
        places.setdefault(request, len(places)) for call in calls for request in call.requests
    ]
    try:
        shared = call_engine(engine, list(places), progress)
        if len(shared.completions) != len(places):
            raise EngineError(
                f"{len(shared.completions)} completions for {len(places)} requests "
                f"of {len(calls)} runs"
            )
    except OproError as error:
        alone = [_call_alone(engine, call) for call in calls]
        all_failed = all(isinstance(result, OproError) for result in alone)
        return [error] * len(calls) if all_failed else alone
    rest = map(shared.completions.__getitem__, wanted)
    return [
        BatchResult([next(rest) for _ in range(size)], shared.seconds * size / total)
        for size in sizes
    ]


def _call_alone(engine: Engine, call: EngineCall) -> BatchResult | OproError:
    try:
        return call_engine(engine, call.requests, call.progress)
    except OproError as error:
        return error
