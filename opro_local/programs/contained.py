"""Runs a piece of work in a copy of this process, within limits of time and memory.

For: what a file of somebody else makes this program compute: templates, YAML, the compiling of an
expression. Not for: programs (program.py), or a sandbox: the copy has all the rights of this
process, and only its time and memory are bounded.

A copy (fork) and not a fresh process, because it begins within milliseconds and gets its input as
it is. Only what it returns travels, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from opro_local.errors import DataError, OproError, UsageError

SECONDS = 2  # of processor time; a template takes milliseconds
MEMORY = 256 << 20  # bytes beyond what this process has
# Processor time is what the limit counts, so that a busy machine refuses nothing. This much longer
# on the clock is a process that waits, which no work here does.
PATIENCE = 10


class Exceeded(Exception):
    """The work took more than its time or its memory; the text says which, and how much."""


def contained(work: Callable[[], Any], seconds: int = SECONDS, memory: int = MEMORY) -> Any:
    """What the work returns, as JSON carries it (a tuple becomes a list).

    Args:
        work: takes nothing; what it changes in memory is lost.
        seconds: of processor time.
        memory: bytes beyond what this process has now.

    Raises:
        Exceeded: it took more.
        DataError, UsageError: what the work raised.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, writer, seconds, memory)
    os.close(writer)
    said = b""
    try:
        said = _read(reader, time.monotonic() + PATIENCE * seconds)
    finally:
        os.close(reader)
        if not said.endswith(b"]"):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("contained work failed; its traceback is above")
    if not said.endswith(b"]"):
        raise Exceeded(f"more than {seconds} s of processor time")
    kind, *values = json.loads(said)
    if kind == "memory":
        raise Exceeded(f"more than {memory >> 20} MiB of memory")
    if kind == "depth":
        raise Exceeded("more depth than there is stack")
    if kind == "error":
        name, message, hint = values
        raise (DataError if name == "DataError" else UsageError)(message, hint)
    return values[0]


def _read(reader: int, deadline: float) -> bytes:
    """What the child says until it ends or is late. Only a whole answer ends with a bracket."""
    said = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not poll.poll(left * 1000 + 1):
            continue
        data = os.read(reader, 1 << 20)
        if not data:
            break
        said += data
    return said


def _work(work: Callable[[], Any], writer: int, seconds: int, memory: int) -> NoReturn:
    """In the child: do it within the limits, say what came of it, and end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # the parent's own handlers speak to its user
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with open("/proc/self/statm", "rb") as statm:
        pages = int(statm.read().split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    status = 0
    # The one boundary of this process. What is no limit and no mistake of the user's is a bug, and
    # keeps its traceback.
    try:
        said = _said(work)
        while said:
            said = said[os.write(writer, said) :]
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        os._exit(status)


def _said(work: Callable[[], Any]) -> memoryview:
    try:
        answer = ["done", work()]
        # Here, because a small value may be long when it is written down.
        return memoryview(json.dumps(answer).encode("ascii"))
    except MemoryError:
        answer = ["memory"]
    except RecursionError:
        answer = ["depth"]
    except OproError as error:
        answer = ["error", type(error).__name__, error.message, error.hint]
    return memoryview(json.dumps(answer).encode("ascii"))
