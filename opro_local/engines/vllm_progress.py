"""What vLLM takes for a tqdm bar, so that a batch's progress reaches the run.

For: vLLM's one hook into a running batch (`use_tqdm`). Not for: drawing anything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from opro_local.protocols import Progress

REPORT_SECONDS = 0.2


class ProgressBar:
    """Stands where vLLM expects a tqdm class and bar, and passes its counts on.

    vLLM calls `open(iterable, desc=...)` while it adds requests and `open(total=...)` while it runs
    them. It counts tokens into `postfix` as text only, so tokens are known at the end; finished
    requests count as they come.

    Args:
        progress: what to report to, if anything.
        finished: requests that are answered before vLLM sees any, the too long ones.
    """

    def __init__(self, progress: Progress | None, finished: int) -> None:
        self._progress = progress
        self._reported = 0.0
        self.n = 0  # tqdm's own name for the count
        self._before = finished
        self._start = time.monotonic()
        self._tokens = 0

    def open(self, iterable: Sequence[Any] | None = None, **_: Any) -> Any:
        """A bar, or, given something to iterate over, just that."""
        return self if iterable is None else iterable

    @property
    def format_dict(self) -> dict[str, float]:
        """What vLLM divides its counts by; never 0."""
        return {"elapsed": max(time.monotonic() - self._start, 1e-6)}

    @property
    def postfix(self) -> str:
        return ""

    @postfix.setter
    def postfix(self, text: str) -> None:
        """vLLM writes "..., output: 12.34 toks/s" here; times the elapsed seconds that is the
        tokens so far.
        """
        rate = text.rpartition("output: ")[2].partition(" ")[0]
        if rate[:1].isdigit():
            self._tokens = round(float(rate) * self.format_dict["elapsed"])

    def update(self, n: int = 1) -> None:
        self.n += n

    def pulse(self) -> None:
        """Report where the batch stands, five times a second at most."""
        if time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            self.report(self._before + self.n, self._tokens)

    def report(self, finished: int, tokens: int) -> None:
        if self._progress:
            self._progress(finished, tokens)

    def refresh(self) -> None:
        """Nothing is drawn."""

    def close(self) -> None:
        """Nothing is drawn."""
