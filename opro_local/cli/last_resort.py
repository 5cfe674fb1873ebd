"""Kills the program that started it where SIGTERM or SIGHUP does not end it in time.

For: C code that lets no Python run, so that no handler runs either. Not for: anything that ends by
itself; the program's end closes the pipe, and this ends. Only the standard library is imported,
because one of these starts per run (see stopping.py).
"""

from __future__ import annotations

import os
import select
import signal

SECONDS = 9.0  # `docker stop` and Slurm give 10


def main() -> None:
    """Read the numbers of the signals that the parent gets, as bytes, until it closes the pipe."""
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while numbers := os.read(0, 64):
        if signal.SIGTERM in numbers or signal.SIGHUP in numbers:
            break
    else:
        return
    while select.select([0], [], [], SECONDS)[0]:
        if not os.read(0, 64):
            return
    if os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    main()
