"""The pipes and the end of a child process that answers lines of JSON with lines of JSON.

For: the children that run SQL and compare formulas. Not for: what they are asked, how long they may
take, or starting them (sql/process.py, mathematics/process.py).
"""

from __future__ import annotations

import subprocess
from typing import IO


def pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Our ends of the child's pipes: questions and replies."""
    if child.stdin is None or child.stdout is None:
        raise ValueError("the child was started without pipes")
    return child.stdin, child.stdout


def ask(child: subprocess.Popen[bytes], line: bytes) -> bytes:
    """The child's reply to a line; empty where it has ended."""
    questions, replies = pipes(child)
    try:
        questions.write(line)
        questions.flush()
    except BrokenPipeError:
        return b""
    return replies.readline()


def stop(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and let go of its pipes."""
    questions, replies = pipes(child)
    child.kill()
    replies.close()
    child.wait()
    try:
        questions.close()
    except BrokenPipeError:
        # A question that the dead child had not read yet.
        return
