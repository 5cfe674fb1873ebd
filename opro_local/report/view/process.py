"""Starts the process that reads stores, asks it, and starts it again after one that ended it.

For: a bound on what one run may cost the server. Not for: what is read (child.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

from opro_local.scoring.line_child import ask, stop

MODULE = "opro_local.report.view.child"


class Reader:
    """A process that reads runs, one at a time. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize | None = None
        self._is_closed = False

    def ask(self, what: str, folder: Path, seconds: int, at: str = "") -> dict[str, Any]:
        """What a run's folder says, or {"failure": in one line why it can't be told}.

        Args:
            what: see child.py's `ASKED`.
            folder: the run's, or what else is asked for.
            seconds: of a processor that it may take.
            at: of a page, where its version is asked for.
        """
        path = os.fsencode(folder).hex()
        asked = {"what": what, "path": path, "seconds": seconds, "at": at}
        with self._lock:
            line = self._ask(json.dumps(asked).encode() + b"\n")
            if line.endswith(b"\n"):
                return json.loads(line)
            return {"failure": f"{folder.name}: {self._why(seconds)}"}

    def start(self) -> None:
        """Start the process before it is needed; it takes a second."""
        with self._lock:
            if self._child is None and not self._is_closed:
                self._start()

    def close(self) -> None:
        """End the process, also while it reads. Safe to call twice."""
        self._is_closed = True
        child = self._child
        if child is not None:
            child.kill()

    def _ask(self, line: bytes) -> bytes:
        if self._is_closed:
            return b""
        return ask(self._child or self._start(), line)

    def _why(self, seconds: int) -> str:
        """Why there was no reply; the next question starts another process."""
        child, end = self._child, self._end
        self._child = self._end = None
        if self._is_closed or child is None or end is None:
            return "the server ends"
        code = child.wait()
        end()
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return f"it takes more than {seconds} s to read"
        return "the process that read it ended; it is forged, or too large for 4 GiB of memory"

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        # -P: a file in the working directory must not stand in for a module. A session of its own:
        # Ctrl-C belongs to the parent, which then ends it.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._child, self._end = child, weakref.finalize(self, stop, child)
        return child
