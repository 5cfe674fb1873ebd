"""Live progress of a run: rich on a terminal, one plain line every 30 s otherwise; and Ctrl-C that
loses nothing.

All of it goes to stderr, so that stdout holds the result alone.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from opro_local.cli.printing import worked_examples
from opro_local.cli.stopping import gracefully
from opro_local.cli.visible import visible
from opro_local.problems.prompt.alarms import Alarm
from opro_local.runs.events import (
    BatchAnswer,
    BatchProgress,
    BatchStart,
    Event,
    Interrupted,
    Listener,
    TrajectoryGrowth,
)
from opro_local.runs.plans.plan import Plan
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult

PLAIN_SECONDS = 30.0


def watched(ready: Plan, folder: Path) -> RunResult:
    """Run a plan with progress on stderr, and return its result.

    The first SIGINT stops after the engine call in flight, as do SIGTERM and SIGHUP where that
    takes no longer than a few seconds; a second signal stops at once. They end the program with
    130, 143 or 129 and a line on how to resume.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    progress = _Progress(ready, console)
    with gracefully() as stop:
        try:
            with progress.live:
                return run(ready, folder, progress.listener(lambda: bool(stop)))
        except (Interrupted, KeyboardInterrupt):
            sys.stderr.write(
                f"opro-local: stopped; nothing is lost, the same command resumes {folder}\n"
            )
            sys.exit(128 + (stop.number or signal.SIGINT))


def score_words(ready: Plan) -> Callable[[float], str]:
    """How a score's value reads: percent where scores are shares of rows, else as the problem shows
    it.
    """
    if ready.shares:
        return lambda value: f"{100 * value:.1f} %"
    return lambda value: ready.problem.format_score(value) or f"{value:.6g}"


class _Progress:
    """Turns the driver's events into lines."""

    def __init__(self, ready: Plan, console: Console) -> None:
        self.console = console
        self.live = (
            Live(console=console, transient=True, refresh_per_second=4)
            if console.is_terminal
            else _Quiet()
        )
        self._steps = ready.config.search.steps
        self._shown = score_words(ready)
        self._begun = self._last = time.monotonic()
        self._asked = self._begun
        self._label, self._size, self._done, self._tokens = "starting the engine", 0, 0, 0
        self._best = (float("-inf"), "")
        self._step_seconds: list[float] = []
        self._step_begun = self._begun
        self._step = self._rejected = 0

    def say(self, line: str) -> None:
        """Print a line above the live display."""
        self.console.print(visible(line, kept=""), markup=False)

    def listener(self, should_stop: Callable[[], bool]) -> Listener:
        """What the run tells this display."""
        return Listener(self.report, self.say, should_stop)

    def report(self, event: Event) -> None:
        """Take one event of the run."""
        if isinstance(event, BatchStart):
            self._label, self._size, self._done, self._tokens = (
                event.batch.label,
                len(event.batch.requests),
                0,
                0,
            )
            self._asked = time.monotonic()
        elif isinstance(event, BatchProgress):
            self._done, self._tokens = event.finished, event.tokens
        elif isinstance(event, TrajectoryGrowth):
            self._grow(event)
        elif isinstance(event, Alarm):
            for line in event.lines:
                self.console.print(line, markup=False, style="bold red")
        elif isinstance(event, BatchAnswer) and event.replayed:
            self._label = f"{event.batch.label} (from the store)"
        self._show()

    def _grow(self, event: TrajectoryGrowth) -> None:
        """Print a step once its solutions are scored; its rejections arrive a little earlier."""
        self._rejected += len(event.rejections)
        train = [entry for entry in event.entries if entry.split == "train"]
        if not train:
            return
        standing = [entry for entry in train if not entry.dropped]
        best = max(standing, key=lambda entry: entry.score.value, default=None)
        if best and best.score.value > self._best[0]:
            self._best = (best.score.value, best.solution.text)
        self._close_step(train[0].step)
        best_shown = self._shown(self._best[0])
        self.say(
            f"step {self._step}: {len(train)} scored, {self._rejected} rejected, best {best_shown}"
            f"{_metric_of(event)}"
        )
        self._rejected = 0
        for entry in sorted(train, key=lambda entry: entry.score.value):
            close = f"  (similarity {entry.similarity:.2f})" if entry.similarity else ""
            text = " ".join(entry.solution.text.split())[:200]
            count = len(entry.solution.demonstrations)
            shown = f"  [{worked_examples(count)}]" if count else ""
            part = f"  (on {entry.score.n} rows)" if entry.partial else ""
            score = f"{self._shown(entry.score.value):>7}"
            if entry.score.measure:
                score += f" (accuracy {self._shown(entry.score.accuracy)})"
            self.say(f"  {score}  {text}{shown}{part}{close}")

    def _close_step(self, step: int) -> None:
        now = time.monotonic()
        if step > self._step:
            self._step_seconds.append((now - self._step_begun) / (step - self._step))
        self._step, self._step_begun = step, now

    def _show(self) -> None:
        now = time.monotonic()
        if self.console.is_terminal:
            self.live.update(Text(self._line(now), no_wrap=True, overflow="ellipsis"))
        elif now - self._last >= PLAIN_SECONDS:
            self._last = now
            self.say(self._line(now))

    def _line(self, now: float) -> str:
        elapsed = now - self._asked
        rate = f", {self._tokens / elapsed:.0f} tokens/s" if self._tokens and elapsed > 0.5 else ""
        best = f" | best {self._shown(self._best[0])} {self._best[1]!r}" if self._best[1] else ""
        return (
            f"{now - self._begun:.0f} s | {self._label}: {self._done}/{self._size} "
            f"prompts{rate}{self._left()}{best}"
        )

    def _left(self) -> str:
        remaining = self._steps - self._step
        if not self._step_seconds or remaining <= 0:
            return ""
        typical = sorted(self._step_seconds)[len(self._step_seconds) // 2]
        return f" | about {remaining * typical / 60:.1f} min of search left"


def _metric_of(event: TrajectoryGrowth) -> str:
    """What the scores of an event are called, after one; "" where they are accuracies."""
    measure = event.entries[0].score.measure
    return f" {measure.name}" if measure else ""


class _Quiet:
    """Stands for the live display where there is no terminal."""

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def update(self, renderable: object) -> None:
        return None
