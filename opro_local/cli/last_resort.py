"""Ends the program that started it where a signal does not end it in time.

For: C code that lets no Python run, so that no handler runs either. Not for: anything that ends by
itself; the program's end closes the pipe, and this ends. Only the standard library is imported,
because one of these starts with every command (see stopping.py).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

KILL_SECONDS = 1.0  # for the signal's second time


def main(seconds: float, ending: set[int]) -> None:
    """Read the numbers of the signals that the parent gets, as bytes, until it closes the pipe.

    Args:
        seconds: how long one of the signals may take.
        ending: the signals' numbers.
    """
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    first = 0
    while not first and (numbers := os.read(0, 64)):
        first = next((number for number in numbers if number in ending), 0)
    if not first or _has_ended(seconds):
        return
    # The program has no handler for it any more, or ran it and goes on in spite of it.
    for again in (first, int(signal.SIGKILL)):
        if os.getppid() == parent:
            os.kill(parent, again)
        if _has_ended(KILL_SECONDS):
            return


def _has_ended(seconds: float) -> bool:
    """Whether the pipe is closed within the seconds."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and select.select([0], [], [], left)[0]:
        if not os.read(0, 64):
            return True
    return False


if __name__ == "__main__":
    main(float(sys.argv[1]), {int(number) for number in sys.argv[2].split(",")})
