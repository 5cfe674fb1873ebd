"""The process that writes to a tracker: a job as a line of JSON in, lines of JSON out.

For: keeping a tracker's package away from runs. Its import, its threads, its memory and whatever it
raises or hangs in are here, and end here. Not for: starting it (process.py).

The job is {"tracker", "folder", "experiment", "path", "goes_on"}. Without "goes_on" it is one pass,
which answers {"runs", "notices", "place"}. With it every line after the job, which says nothing
else, asks for another pass, and the end of the pipe for the last one, which answers {"notices"}; an
earlier one that finds the run half written says nothing. What a user can mend ends the process with
{"failure", "exit_code"}.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from opro_local.errors import OproError
from opro_local.network import guard_if_asked, switch_off_network
from opro_local.tracking.tracker import TRACKERS
from opro_local.tracking.writing import write

PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>: the signal a process gets when its parent ends
# After a pass, rest so many times as long as it took: at most a tenth of a core.
REST = 9
PIECE = 1 << 12
# Of the notices of a run that goes on.
NOTICES, LINE = 20, 500


def main() -> None:
    """Write until the pipe ends."""
    # A run that was killed leaves no tracker behind.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    replies = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no reply
    # What comes with the job's line asks for nothing more than the pass that is made anyway.
    job = json.loads(_line())
    switch_off_network()
    guard_if_asked()
    try:
        _write_until_closed(job, replies)
    except OproError as error:
        _reply(replies, {"failure": str(error), "exit_code": error.exit_code})
        sys.exit(1)


def _line() -> bytes:
    """The first line, byte by byte: nothing behind it is taken."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            break
        line += piece
    return line


def _write_until_closed(job: dict[str, Any], replies: int) -> None:
    path, goes_on = Path(job["path"]), job["goes_on"]
    tracker = TRACKERS[job["tracker"]](Path(job["folder"]), job["experiment"])
    is_last = not goes_on
    while not is_last:
        begun = time.monotonic()
        with contextlib.suppress(OproError):
            write(path, tracker)
        is_last = _wait(begun + (1 + REST) * (time.monotonic() - begun))
    came = write(path, tracker)
    if goes_on:
        # Nobody reads while the run goes on: it must fit into the pipe.
        _reply(replies, {"notices": [line[:LINE] for line in came.notices[:NOTICES]]})
        return
    runs = [{"path": folder, "state": state} for folder, state in came.runs]
    _reply(replies, {"runs": runs, "notices": list(came.notices), "place": tracker.place()})


def _wait(until: float) -> bool:
    """Wait until then and for a line; true where the pipe has ended, which ends the wait."""
    is_asked = False
    while True:
        left = until - time.monotonic()
        if is_asked and left <= 0:
            return False
        timeout = max(0.0, left) if is_asked else None
        if select.select([0], [], [], timeout)[0]:
            if not os.read(0, PIECE):
                return True
            is_asked = True


def _reply(replies: int, record: dict[str, Any]) -> None:
    with os.fdopen(replies, "wb") as stream:
        stream.write(json.dumps(record).encode() + b"\n")


if __name__ == "__main__":
    main()
