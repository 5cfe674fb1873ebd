"""Live overview of a sweep: rich on a terminal, one plain line every 30 s otherwise; and Ctrl-C
that loses nothing.

All of it goes to stderr, so that stdout holds the result alone.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from opro_local.cli.progress import PLAIN_SECONDS
from opro_local.cli.stopping import gracefully
from opro_local.cli.visible import print_line, say, visible
from opro_local.runs.events import Interrupted
from opro_local.sweeps.execution import Execution
from opro_local.sweeps.plan import SweepPlan
from opro_local.sweeps.records import CellRecord
from opro_local.sweeps.sweep import Standing, SweepListener, run_sweep
from opro_local.tracking.following import looking

MOST_FAILURES = 5  # shown at once
LOOK_SECONDS = 5.0  # between two looks of a tracker


def watched(plan: SweepPlan, folder: Path, execution: Execution, at_once: int) -> list[CellRecord]:
    """Run a sweep with its overview on stderr, and return what its cells came to.

    Signals end it as they end a run, see progress.watched.
    """
    console = Console(stderr=True, highlight=False)
    console.soft_wrap = not console.is_terminal
    overview = _Overview(console)
    with gracefully() as stop:
        names = _trackers(plan)
        try:
            with overview.live, looking(names, folder, overview.say) as look:
                listener = _looked_at(overview, look, lambda: bool(stop))
                return run_sweep(plan, folder, execution, listener, at_once)
        except (Interrupted, KeyboardInterrupt):
            say(f"opro-local: stopped; {execution.when_stopped} in {folder}", err=True)
            sys.exit(128 + (stop.number or signal.SIGINT))


def _trackers(plan: SweepPlan) -> list[str]:
    """The trackers that any cell names: each is told of the whole sweep."""
    return sorted({name for cell in plan.cells for name in cell.config.run.track})


def _looked_at(
    overview: _Overview, look: Callable[[], None], should_stop: Callable[[], bool]
) -> SweepListener:
    """A listener that has trackers look at the sweep, not more often than every few seconds."""
    last = time.monotonic()

    def report(standing: Standing) -> None:
        nonlocal last
        overview.report(standing)
        if time.monotonic() - last >= LOOK_SECONDS:
            last = time.monotonic()
            look()

    return SweepListener(report, overview.say, should_stop)


class _Overview:
    """Turns a sweep's standing into lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = (
            Live(console=console, transient=True, refresh_per_second=4)
            if console.is_terminal
            else None
        )
        self.live = self._live or contextlib.nullcontext()
        self._last = time.monotonic()

    def say(self, line: str) -> None:
        """Print a line above the live display."""
        print_line(self.console, line, kept="")

    def report(self, standing: Standing) -> None:
        """Take how far the sweep is."""
        if self._live is not None:
            self._live.update(Text("\n".join(visible(line, kept="") for line in lines(standing))))
        elif time.monotonic() - self._last >= PLAIN_SECONDS:
            self._last = time.monotonic()
            self.say(lines(standing)[0])


def lines(standing: Standing) -> list[str]:
    """How far a sweep is: a line, and one for each of the last failures."""
    counts = standing.counts
    parts = [f"{standing.seconds:.0f} s", f"{counts.get('finished', 0)}/{standing.total} cells"]
    parts += [f"{counts[state]} {state}" for state in ("running", "failed") if state in counts]
    if standing.left is not None:
        parts.append(f"about {standing.left / 60:.1f} min left")
    if standing.best is not None:
        value, cell = standing.best
        shown = f"{100 * value:.1f} %" if cell.config.problem.kind == "prompt" else f"{value:.6g}"
        parts.append(f"best on train {shown} ({cell.name})")
    failures = [f"failed: {line[:200]}" for line in standing.failures[-MOST_FAILURES:]]
    return [" | ".join(parts), *failures]
