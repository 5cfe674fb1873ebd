"""CPU times in tests, on machines that do other things as well.

One slow pass proves nothing (a pattern compiled, a garbage collection, a busy neighbour in the
cache), so a bound is held by the quickest of several.
"""

import time
from collections.abc import Callable

TRIES = 4


def cpu_seconds(work: Callable[[], object]) -> float:
    """The CPU seconds of this process that one call of `work` takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def keeps_within(limit: float, work: Callable[[], object]) -> bool:
    """Whether one of `TRIES` calls of `work` takes less than `limit` CPU seconds."""
    return any(cpu_seconds(work) < limit for _ in range(TRIES))
