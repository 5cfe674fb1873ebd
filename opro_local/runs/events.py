"""What a run tells while it goes on, and who listens.

For: the events as plain data, and the `Listener` that a caller gives to `run`. Not for: what is
done with an event (cli/progress.py shows them), or when it happens (driver.py).

    run(config, folder, Listener(report=print, should_stop=lambda: time.time() > deadline))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opro_local.problems.prompt.alarms import Alarm
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Rejection


@dataclass(frozen=True, slots=True)
class BatchStart:
    """A batch is not in the store: the cache and then an engine are asked for its completions."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """An engine is at work on the batch that started last.

    Attributes:
        finished: requests of the batch that have their completion, those from the cache included.
        tokens: tokens the engine has written for the batch so far.
    """

    finished: int
    tokens: int


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """A batch has its completions, and they are on disk.

    Attributes:
        batch: what was asked.
        result: the completions, and the seconds they took when they were made.
        replayed: whether the store had the whole batch. No BatchStart comes before it then.
        from_cache: how many of the completions the cache gave; 0 where `replayed`.
    """

    batch: Batch
    result: BatchResult
    replayed: bool
    from_cache: int = 0


@dataclass(frozen=True, slots=True)
class TrajectoryGrowth:
    """The search scored solutions or rejected replies.

    Attributes:
        entries: the newly scored solutions, on any split.
        rejections: the replies that became no solution, in order.
        trajectory: all of it, with the new ones.
    """

    entries: tuple[Entry, ...]
    rejections: tuple[Rejection, ...]
    trajectory: Trajectory


# An Alarm comes once the first solutions are scored, and again where a run is resumed.
Event = BatchStart | BatchProgress | BatchAnswer | TrajectoryGrowth | Alarm


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a run. Each part may be left out, and does nothing then.

    Attributes:
        report: called with every event.
        notify: called with lines that the user should read, such as duplicated rows or an engine
            that stands in for another.
        should_stop: asked after each answered batch; true ends the run with Interrupted. Nothing
            is lost: the same run in the same folder goes on there.
    """

    report: Callable[[Event], None] = lambda event: None
    notify: Callable[[str], None] = lambda line: None
    should_stop: Callable[[], bool] = lambda: False


SILENT = Listener()


class Interrupted(Exception):
    """The run was asked to stop; everything answered so far is stored."""
