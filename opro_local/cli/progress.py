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

from opro_local.cli.estimate import Estimate
from opro_local.cli.printing import worked_examples
from opro_local.cli.stopping import gracefully
from opro_local.cli.visible import print_line, say, visible
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
from opro_local.tracking.following import following

PLAIN_SECONDS = 30.0


def watched(ready: Plan, folder: Path, every: bool = False) -> RunResult:
    """Run a plan with progress on stderr, and return its result.

    `every` prints every scored solution beside the line of its step.

    The first SIGINT stops after the engine call in flight, as do SIGTERM and SIGHUP where that
    takes no longer than a few seconds; a second signal stops at once. They end the program with
    130, 143 or 129 and a line on how to resume.
    """
    console = Console(stderr=True, highlight=False)
    # A terminal's lines break between words; a file's lines stay whole.
    console.soft_wrap = not console.is_terminal
    progress = _Progress(ready, console, every)
    with gracefully() as stop:
        try:
            listener = progress.listener(lambda: bool(stop))
            with progress.live, following(ready.config.run.track, folder, listener) as told:
                return run(ready, folder, told)
        except (Interrupted, KeyboardInterrupt):
            line = f"opro-local: stopped; nothing is lost, the same command resumes {folder}"
            say(line, err=True)
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

    def __init__(self, ready: Plan, console: Console, every: bool = False) -> None:
        self.console, self._every = console, every
        self.live = (
            Live(console=console, transient=True, refresh_per_second=4)
            if console.is_terminal
            else _Quiet()
        )
        self._estimate = Estimate.of(ready)
        self._shown = score_words(ready)
        self._begun = self._last = time.monotonic()
        self._asked = self._begun
        self._label, self._size, self._done, self._tokens = "starting the engine", 0, 0, 0
        self._best = (float("-inf"), "")
        self._step = self._rejected = 0

    def say(self, line: str) -> None:
        """Print a line above the live display."""
        print_line(self.console, line, kept="")

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
                print_line(self.console, line, "bold red", kept="")
        elif isinstance(event, BatchAnswer):
            self._estimate.take_answer(event)
            if event.replayed:
                self._label = f"{event.batch.label} (from the store)"
        self._show()

    def _grow(self, event: TrajectoryGrowth) -> None:
        """Print a step once its solutions are scored; its rejections arrive a little earlier."""
        self._rejected += len(event.rejections)
        self._estimate.take_growth(event)
        train = [entry for entry in event.entries if entry.split == "train"]
        if not train:
            return
        standing = [entry for entry in train if not entry.dropped]
        best = max(standing, key=lambda entry: entry.score.value, default=None)
        if best and best.score.value > self._best[0]:
            self._best = (best.score.value, best.solution.text)
        self._step = train[0].step
        self._estimate.close_step(self._step)
        best_shown = self._shown(self._best[0])
        self.say(
            f"step {self._step}: {len(train)} scored, {self._rejected} rejected, best {best_shown}"
            f"{_metric_of(event)}"
        )
        self._rejected = 0
        if self._every:
            self._say_solutions(event)

    def _say_solutions(self, event: TrajectoryGrowth) -> None:
        """A line for each solution of a step, worst first."""
        train = [entry for entry in event.entries if entry.split == "train"]
        for entry in sorted(train, key=lambda entry: entry.score.value):
            close = f"  (similarity {entry.similarity:.2f})" if entry.similarity else ""
            text = shortened(entry.solution.text)
            count = len(entry.solution.demonstrations)
            shown = f"  [{worked_examples(count)}]" if count else ""
            part = f"  (on {entry.score.n} rows)" if entry.partial else ""
            score = f"{self._shown(entry.score.value):>7}"
            if entry.score.measure:
                score += f" (accuracy {self._shown(entry.score.accuracy)})"
            self.say(f"  {score}  {text}{shown}{part}{close}")

    def _show(self) -> None:
        now = time.monotonic()
        if self.console.is_terminal:
            self.live.update(self._shown_now())
        elif now - self._last >= PLAIN_SECONDS:
            self._last = now
            self.say(self._line(now))

    def _shown_now(self) -> Text:
        """The live line; on a narrow terminal it goes on below."""
        return Text(visible(self._line(time.monotonic()), kept=""))

    def _line(self, now: float) -> str:
        elapsed = now - self._asked
        rate = f", {self._tokens / elapsed:.0f} tokens/s" if self._tokens and elapsed > 0.5 else ""
        best = ""
        if self._best[1]:
            best = f" | best {self._shown(self._best[0])} {shortened(self._best[1])!r}"
        left = self._estimate.words()
        return (
            f"{now - self._begun:.0f} s | {self._label}: {self._done}/{self._size} "
            f"prompts{rate}{left and f' | {left}'}{best}"
        )


def shortened(text: str, most: int = 200) -> str:
    """A text in one line, or its beginning with a mark that there is more."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + " ..."


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
