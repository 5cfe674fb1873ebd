"""Pages of runs that were made already, and making those that were not, one at a time.

For: not making a page again that is as it was, and not making the page of a run that goes on for
every batch of it. Not for: what a page says (child.py asks page.py).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from opro_local.report.view.listing import Listing, Stamp
from opro_local.report.view.process import Reader

PAGE_SECONDS = 60  # to make one
KEPT = 16  # pages in memory, some MB each at most
# A page of a run that goes on is kept so many times as long as it took to make.
REST, LEAST_REST = 5.0, 2.0


@dataclass(frozen=True, slots=True)
class _Made:
    """A page, of which state of the run's files, and until when it is shown whatever they do."""

    html: str
    stamp: Stamp
    until: float


class Pages:
    """The pages of a listing's runs. Threads may share it."""

    def __init__(self, listing: Listing, reader: Reader) -> None:
        self._listing, self._reader = listing, reader
        self._lock = threading.Lock()
        self._made: OrderedDict[str, _Made] = OrderedDict()

    def page(self, name: str, kind: str, at: str) -> tuple[str, str]:
        """A page as HTML, or "" and in one line why there is none.

        Args:
            name: of what the listing knows.
            kind: what that is, see Line.
            at: where its version is asked for.
        """
        with self._lock:
            stamp, now = self._listing.stamp(name), time.monotonic()
            made = self._made.get(name)
            if made is not None and (made.stamp == stamp or now < made.until):
                self._made.move_to_end(name)
                return made.html, ""
            what = "page" if kind == "run" else f"page of a {kind}"
            said = self._reader.ask(what, self._listing.path(name), PAGE_SECONDS, at)
            if "failure" in said:
                return "", said["failure"]
            took = time.monotonic() - now
            until = now + took + max(LEAST_REST, REST * took)
            self._made[name] = _Made(said["html"], stamp, until)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
            return said["html"], ""
