"""The process that reads stores for the server: a line of JSON in, a line of JSON out.

For: whatever a store can do to who reads it. Seconds and memory are bounded by the system, so that
a forged or huge run ends this process and not the server. Not for: starting it (process.py).

It is asked for what is in `ASKED`, and answers what that gives, or {"failure": one line}.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import OproError

MEMORY = 4 << 30  # bytes of address space
PATIENCE = 8  # by the clock so many times the processor's seconds, on a busy machine


# What a question needs is imported for the first one: the process that reads lines makes no pages.


def _line(folder: Path, at: str) -> dict[str, Any]:
    from opro_local.report.view.line import of_row
    from opro_local.runs.reading import read_row

    return of_row(read_row(folder)).to_json()


def _line_of_sweep(folder: Path, at: str) -> dict[str, Any]:
    from opro_local.report.view.line import of_sweep
    from opro_local.runs.lock import is_held
    from opro_local.sweeps.records import read_sweep

    return of_sweep(read_sweep(folder), is_held(folder)).to_json()


def _page_of_sweep(folder: Path, at: str) -> dict[str, Any]:
    from opro_local.report.page import Served
    from opro_local.report.sweep_page import sweep_page
    from opro_local.report.view.line import of_sweep
    from opro_local.sweeps.outcomes import read_outcomes
    from opro_local.sweeps.records import read_sweep

    sweep = read_sweep(folder)
    served = Served(at, of_sweep(sweep, is_running=False).version)
    return {"html": sweep_page(sweep.name, read_outcomes(sweep), folder, folder, served)}


def _page_of_feedback(file: Path, at: str) -> dict[str, Any]:
    from opro_local.report.feedback import feedback_page
    from opro_local.report.page import Served
    from opro_local.report.view.feedback_copy import gather_read_only

    return {"html": feedback_page(gather_read_only(file), Served("", ""))}


def _page(folder: Path, at: str) -> dict[str, Any]:
    from opro_local.report.gathering import gather
    from opro_local.report.page import Served, page
    from opro_local.report.view.line import version
    from opro_local.runs.run_result import RunProgress

    contents = gather(folder)
    result = contents.result
    is_open = isinstance(result, RunProgress)
    solutions = result.solutions if isinstance(result, RunProgress) else 0
    shown = version(result.state, result.steps, solutions)
    return {"html": page(contents, Served(at if is_open else "", shown))}


ASKED: Mapping[str, Callable[[Path, str], dict[str, Any]]] = {
    "line": _line,
    "page": _page,
    "line of a sweep": _line_of_sweep,
    "page of a sweep": _page_of_sweep,
    "page of a feedback store": _page_of_feedback,
}


def main() -> None:
    """Answer until there are no more questions."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        # Nobody catches these: they end the process wherever it is, in C code too.
        signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
        signal.alarm(PATIENCE * asked["seconds"])
        try:
            reply = ASKED[asked["what"]](
                Path(os.fsdecode(bytes.fromhex(asked["path"]))), asked["at"]
            )
        except OproError as error:
            reply = {"failure": str(error)}
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
