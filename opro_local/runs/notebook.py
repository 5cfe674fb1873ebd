"""A run that a Python program started, told of while it goes on: live in a notebook, through the
caller's own function, or as lines of the log.

For: the listener of `optimize` and `evaluate`. Not for: the command line (cli/progress.py), or what
a finished result looks like (result_html.py). IPython is used where it runs, and not needed.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from opro_local.problems.prompt.alarms import Alarm
from opro_local.runs.events import (
    BatchAnswer,
    BatchProgress,
    BatchStart,
    Event,
    Listener,
    TrajectoryGrowth,
)
from opro_local.runs.plans.plan import Plan
from opro_local.runs.visible import visible

LOG = logging.getLogger("opro_local")
SECONDS = 0.5  # between two looks at the display
LAST_STEPS = 12  # that stay in sight
LONGEST = 160  # characters of a prompt


@contextmanager
def listening(
    plan: Plan, folder: Path, report: Callable[[Event], None] | None, says_folder: bool
) -> Iterator[Listener]:
    """The listener of a run that a program started.

    Args:
        plan: what is run.
        folder: where it is kept.
        report: the caller's own function for events; without one they are shown in a notebook, and
            nowhere else.
        says_folder: whether the caller left the folder to us, and has to be told.
    """
    if report is None and in_notebook():
        shown = NotebookProgress(plan, folder)
        try:
            yield Listener(shown.report, shown.notify)
        finally:
            shown.end()
        return
    if says_folder:
        LOG.warning("the run is kept in %s", folder)
    yield Listener(report or (lambda event: None), lambda line: LOG.warning("%s", visible(line)))


def in_notebook() -> bool:
    """Whether this program is a notebook's kernel, which shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookProgress:
    """A display of a notebook that is brought up to date as the run goes on.

    Args:
        plan: what is run.
        folder: where it is kept.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        self._begun = time.monotonic()
        self._shown_at = 0.0
        self._now = "starting"
        self._size = 0
        self._best: tuple[float, str] | None = None
        self._steps: list[str] = []
        self._notices: list[str] = []
        # Where a notebook runs, IPython is there; it is no dependency.
        display = import_module("IPython.display").display
        self._handle: Any = display(self._data(), raw=True, display_id=True)

    def notify(self, line: str) -> None:
        """Show a line that the user should read."""
        self._notices.append(line)
        self._show(at_once=True)

    def report(self, event: Event) -> None:
        """Take one event of the run."""
        if isinstance(event, BatchStart):
            self._size = len(event.batch.requests)
            self._now = f"{event.batch.label}: 0 of {self._size} prompts"
        elif isinstance(event, BatchProgress):
            label = self._now.partition(": ")[0]
            self._now = f"{label}: {event.finished} of {self._size} prompts"
        elif isinstance(event, BatchAnswer) and event.replayed:
            self._now = f"{event.batch.label}: from the store"
        elif isinstance(event, TrajectoryGrowth):
            self._grow(event)
        elif isinstance(event, Alarm):
            self._notices += event.lines
        self._show(at_once=isinstance(event, Alarm))

    def end(self) -> None:
        """Show how it ended; the result is shown by itself."""
        self._now = "ended"
        self._show(at_once=True)

    def _grow(self, event: TrajectoryGrowth) -> None:
        """Note what a step scored."""
        train = [entry for entry in event.entries if entry.split == "train" and not entry.dropped]
        if not train:
            return
        best = max(train, key=lambda entry: entry.score.value)
        if self._best is None or best.score.value > self._best[0]:
            self._best = (best.score.value, best.solution.text)
        shown, of_all = self._value(best.score.value), self._value(self._best[0])
        self._steps.append(f"step {best.step}: {len(train)} scored, {shown}; best so far {of_all}")

    def _value(self, value: float) -> str:
        if self._plan.shares:
            return f"{100 * value:.1f} %"
        return self._plan.problem.format_score(value) or f"{value:.6g}"

    def _show(self, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now - self._shown_at >= SECONDS:
            self._shown_at = now
            self._handle.update(self._data(), raw=True)

    def _lines(self) -> list[str]:
        seconds = time.monotonic() - self._begun
        lines = [f"{self._plan.config.run.name}, kept in {self._folder}", *self._notices]
        lines += self._steps[-LAST_STEPS:]
        if self._best is not None:
            lines.append(f"best: {self._best[1][:LONGEST]!r}")
        return [*lines, f"{seconds:.0f} s, {self._now}"]

    def _data(self) -> dict[str, str]:
        lines = [visible(line, kept="") for line in self._lines()]
        html = "<br>".join(map(escape, lines))
        return {"text/plain": "\n".join(lines), "text/html": f"<div>{html}</div>"}
