"""Runs one program for `ProgramEngine` in a process of its own, and leaves nothing of it behind.

For: limits on time and output, and the end of everything the program started. Not for: what a
program's output means, or several programs at once. Only the standard library is imported, because
one of these starts per run.

The kernel makes this process the parent of all orphans below it (PR_SET_CHILD_SUBREAPER), so that a
grandchild that calls setsid is found and ended too. It watches its stdin: the end of that pipe
means that the run is gone, and then the program goes as well. This is tidiness, not a sandbox: a
program that means harm has its user's rights, and may end its supervisor first.

Reads one JSON line, made by program._job, and writes one JSON object: `exit` (the status,
negative for a signal, null when it was ended), `ended` (why, "" when it ended itself), `stdout` and
`stderr` (their last bytes as latin-1 text) and `written` (bytes in all).
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # from <sys/prctl.h>
PIECE = 1 << 16  # bytes read at once
STDOUT_TAIL, STDERR_TAIL = 1 << 16, 1 << 12  # bytes kept
ENDING_SECONDS = 5.0

LIBC = ctypes.CDLL(None)


class Tail:
    """The last bytes of a stream, and how many there were."""

    def __init__(self, stream: Any, size: int) -> None:
        self.stream, self.size = stream, size
        self.kept, self.total = b"", 0
        os.set_blocking(stream.fileno(), False)

    def read(self) -> bool:
        """Take what is there, one piece at most; false at the end of the stream or when nothing is
        there.
        """
        try:
            data = os.read(self.stream.fileno(), PIECE)
        except BlockingIOError:
            return False
        self.total += len(data)
        self.kept = (self.kept + data)[-self.size :]
        return bool(data)


def main() -> None:
    """Run what stdin says, write what came of it, and leave only when nothing of it is left."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    job = json.loads(_line())
    place = job["place"]
    try:
        outcome = _run(job)
    except (OSError, ValueError, shutil.Error) as error:
        outcome = {
            "exit": None,
            "ended": f"not started: {error}",
            "stdout": "",
            "stderr": "",
            "written": 0,
        }
    finally:
        _end_all()
        shutil.rmtree(place, ignore_errors=True)
    if outcome["ended"] != "orphan":  # nobody is left to read it
        with os.fdopen(1, "wb") as answer:
            answer.write(json.dumps(outcome).encode("ascii"))


def _line() -> bytes:
    # By the descriptor: a buffered reader might take more, and `_watch` polls the rest.
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, PIECE)
        if not data:
            sys.exit(0)
        line += data
    return line


def _run(job: dict[str, Any]) -> dict[str, Any]:
    """Make the program's folder, start it and watch it."""
    os.mkdir(job["place"], 0o700)
    if job["copy"]:
        shutil.copytree(job["copy"], job["workspace"], symlinks=True, ignore=_ignore_runs)
    os.makedirs(os.path.dirname(job["file"]), exist_ok=True)
    if os.path.islink(job["file"]):
        os.unlink(job["file"])  # a link in the workspace may lead out of the copy
    with open(job["file"], "wb") as file:
        file.write(job["text"].encode("utf-8", "replace"))
    with open(job["file"] if job["stdin"] else os.devnull, "rb") as source:
        child = subprocess.Popen(
            job["command"],
            cwd=job["folder"],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **job["environment"]},
            start_new_session=True,
            preexec_fn=_die_with_supervisor,
        )
    out, err = Tail(child.stdout, STDOUT_TAIL), Tail(child.stderr, STDERR_TAIL)
    ended = _watch(child, (out, err), time.monotonic() + job["timeout"], job["limit"])
    if ended:
        _end_all()
    status = child.wait()
    # What the pipes still hold; `|`, so that both are read each time.
    while not ended and (out.read() | err.read()):
        if out.total + err.total > job["limit"]:
            ended = "output"
    texts = {"stdout": out.kept.decode("latin-1"), "stderr": err.kept.decode("latin-1")}
    return {"exit": None if ended else status, "ended": ended, **texts, "written": out.total}


def _ignore_runs(_: str, names: list[str]) -> list[str]:
    """Leave out runs that are kept in the workspace, such as the one this is for."""
    return names if "run.sqlite" in names else []


def _die_with_supervisor() -> None:
    """In the child, before it becomes the program: the kernel ends it when this process ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _watch(
    child: subprocess.Popen[bytes], tails: tuple[Tail, Tail], deadline: float, limit: int
) -> str:
    """Read until the program ends: "", or why it must not go on: "time", "output" or "orphan"."""
    over = os.pidfd_open(child.pid)  # readable when the program has ended
    poll = select.poll()
    by_number = {tail.stream.fileno(): tail for tail in tails}
    for number in (0, over, *by_number):
        poll.register(number, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "time"
        for number, _ in poll.poll(min(left, 3600) * 1000 + 1):
            if number == 0:
                return "orphan"
            if number == over:
                return ""
            if not by_number[number].read():
                poll.unregister(number)
        if sum(tail.total for tail in tails) > limit:
            return "output"


def _end_all() -> None:
    """Kill every process below this one and collect them; what forks meanwhile is found in the next
    round.
    """
    deadline = time.monotonic() + ENDING_SECONDS
    while _has_children() and time.monotonic() < deadline:
        # Stopped first: a fork bomb would breed faster than it is killed.
        stopped: set[int] = set()
        while fresh := _descendants() - stopped:
            _signal(fresh, signal.SIGSTOP)
            stopped |= fresh
        _signal(stopped, signal.SIGKILL)
        time.sleep(0.002)


def _has_children() -> bool:
    """Whether any are left, dead ones collected."""
    try:
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass
    except ChildProcessError:
        return False
    return True


def _descendants() -> set[int]:
    """The living processes below this one, as the kernel's list has them now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    # The name in parentheses may hold anything, even ")"; after it come the state
                    # and the parent.
                    fields = stat.read().rpartition(b")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if fields[0] != b"Z":
                children.setdefault(int(fields[1]), []).append(int(name))
    below: set[int] = set()
    layer = [os.getpid()]
    while layer:
        layer = [child for parent in layer for child in children.get(parent, ())]
        below.update(layer)
    return below


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
