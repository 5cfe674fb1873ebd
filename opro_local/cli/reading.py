"""Progress of reading many bytes: a bar on a terminal, one plain line every 30 s otherwise.

For: models that are hashed or copied. Not for: runs (progress.py). All of it goes to stderr.
"""

from __future__ import annotations

import contextlib
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from opro_local.cli.progress import PLAIN_SECONDS
from opro_local.cli.visible import print_line


class Reading:
    """Counts bytes, and shows how many there were; use it in a `with`."""

    def __init__(self, what: str, total: int | None = None, console: Console | None = None) -> None:
        """For so many bytes.

        Args:
            what: the word before the figures, such as "copying".
            total: in bytes; None where nobody knows.
            console: instead of stderr.
        """
        self._what, self._total, self._done = what, total, 0
        self._console = console or Console(stderr=True, highlight=False)
        self._last = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._bar = Progress(*columns, TransferSpeedColumn(), console=self._console, transient=True)
        self._task = self._bar.add_task(what, total=total)
        self._shown = contextlib.ExitStack()

    def __enter__(self) -> Reading:
        if self._console.is_terminal:
            self._shown.enter_context(self._bar)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.close()

    def advance(self, count: int) -> None:
        """Count bytes that were read."""
        self._done += count
        self._bar.advance(self._task, count)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last >= PLAIN_SECONDS:
            self._last = now
            of = f" of {self._total / 1e9:.1f}" if self._total else ""
            line = f"{self._what}: {self._done / 1e9:.1f}{of} GB"
            print_line(self._console, line)
