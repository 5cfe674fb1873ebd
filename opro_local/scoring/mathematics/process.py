"""Compares formulas in a child process that is ended when one takes too long.

For: starting the child, asking it, and starting it again when a formula killed it. Not for: what is
compared with what (rule.py), or parsing (child.py).

A process of its own, because sympy can't be interrupted inside one piece of work (10^(10^10)), and
because math-verify's own time limit is an alarm, which only a main thread may set.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from opro_local.errors import UsageError
from opro_local.scoring.line_child import pipes, stop

CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one comparison may use.

    Attributes:
        cpu_seconds: whole seconds of processor time, which a busy machine does not shorten.
        seconds: wall-clock time, the last resort; also for the start.
        memory_bytes: address space of the child.
    """

    cpu_seconds: int = 3
    seconds: float = 60.0
    memory_bytes: int = 2 << 30


class Comparison(NamedTuple):
    """Whether an answer could be read, and whether it says what the gold says."""

    is_read: bool
    is_right: bool


UNREAD = Comparison(False, False)


class MathProcess:
    """A child that compares formulas, started when first asked. Threads take turns.

    Raises:
        UsageError: math-verify is not installed.
    """

    def __init__(self, limits: Limits) -> None:
        if importlib.util.find_spec("math_verify") is None:
            raise UsageError(
                "the rule math needs math-verify", 'install it: pip install "opro-local[math]"'
            )
        self.limits = limits
        self._turn = threading.Lock()
        self._owner = os.getpid()
        self._child: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize | None = None

    def compare(self, gold: str, answer: str) -> Comparison:
        """Compare two formulas in LaTeX without dollar signs.

        One that takes too long, too much memory or can't be parsed is not read.
        """
        line = json.dumps([gold, answer]).encode() + b"\n"
        with self._turn:
            if self._owner != os.getpid():
                # A copy of this process must not talk in the other's turn.
                self._owner, self._child, self._end = os.getpid(), None, None
            try:
                reply = self._ask(line)
            except OSError:
                reply = b""
            if not reply.endswith(b"\n"):
                self._close()
                return UNREAD
        return Comparison(*json.loads(reply))

    def _close(self) -> None:
        if self._end is not None:
            self._end()
        self._child = self._end = None

    def _ask(self, line: bytes) -> bytes:
        questions, replies = pipes(self._child or self._start())
        questions.write(line)
        questions.flush()
        return self._line(replies)

    def _line(self, replies: IO[bytes]) -> bytes:
        """The next line, or nothing where it takes too long."""
        ready, _, _ = select.select([replies], [], [], self.limits.seconds)
        return replies.readline() if ready else b""

    def _start(self) -> subprocess.Popen[bytes]:
        limits = [str(self.limits.cpu_seconds), str(self.limits.memory_bytes)]
        # -I: the child doesn't see the user's environment. A fixed hash seed: the same order of
        # work, and with it the same limit, everywhere. A session of its own: Ctrl-C belongs to the
        # parent.
        child = subprocess.Popen(
            [sys.executable, "-I", str(CHILD), *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        self._child, self._end = child, weakref.finalize(self, stop, child)
        if not self._line(pipes(child)[1]):
            raise OSError("the child did not start")
        return child
