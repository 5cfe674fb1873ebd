"""Says while a search runs that most of its proposals are rejected, why, and by which setting.

For: one line when it shows, and again each time that twice as many replies are in. Not for: what
rejects a reply, or a search that ends without any (search/replies.py).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from opro_local.runs.events import BatchAnswer, Event, Listener, TrajectoryGrowth
from opro_local.search.replies import advice, kind_of

FIRST = 8  # replies before anything is said
SHOWN = 80  # characters of a reply


def with_rejections(listener: Listener) -> Listener:
    """The listener, notified where more than half of the proposals come to nothing."""
    watch = _Watch(listener)
    return replace(listener, report=watch.report)


class _Watch:
    """Counts the replies of a search and those that were rejected."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._replies, self._next = 0, FIRST
        self._kinds: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def report(self, event: Event) -> None:
        """Take one event of the run."""
        self._listener.report(event)
        if isinstance(event, BatchAnswer) and "/propose" in event.batch.label:
            self._replies += len(event.result.completions)
        if not isinstance(event, TrajectoryGrowth):
            return
        for rejection in event.rejections:
            if rejection.step > 0:
                kind = kind_of(rejection.reason)
                self._kinds[kind] += 1
                self._examples[kind] = rejection.text
        rejected = self._kinds.total()
        if self._replies >= self._next and 2 * rejected > self._replies:
            self._next = 2 * self._replies
            self._listener.notify(self._line(rejected))

    def _line(self, rejected: int) -> str:
        kind, count = self._kinds.most_common(1)[0]
        example = " ".join(self._examples[kind].split())[:SHOWN]
        return (
            f"{rejected} of {self._replies} proposals were rejected so far, {count} of them as "
            f"{kind!r}, such as {example!r}; {advice(kind)}"
        )
