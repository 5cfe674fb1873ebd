"""Kills a run before and after every commit, link, rename, fsync and note, and resumes it.

Run by test_kill_points.py: `python kill_points.py FOLDER STEP`. Each kill happens in a forked child
of its own, at every STEP-th call of the named point, until a child gets to its end. The last line
is JSON: kills by point. An assertion fails where something acknowledged was lost, a digest differs,
or more than one engine call was repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opro_local import OPRO
from opro_local.runs import database, lock, store
from opro_local.runs.reading import describe
from opro_local.runs.store import read_store

# Where: what holds the function, and its name.
POINTS: dict[str, tuple[Any, str]] = {
    "link": (os, "link"),
    "rename": (os, "replace"),
    "fsync": (os, "fsync"),
    "lock": (fcntl, "flock"),
    "note": (lock.Lock, "note"),
    "seal": (store, "write_seal"),
    "schema": (database, "write_schema"),
    "journal": (database, "set_journal"),
    "commit": (store, "transaction"),
}


def length(text: str) -> float:
    return float(len(text))


def search(folder: Path) -> None:
    """A small run without a model, which notes each engine call before it answers."""

    def write(prompts: list[str]) -> list[str]:
        with (folder / "asked").open("a") as stream:
            stream.write("call\n")
        return ["word " * (1 + len(prompt) % 7) for prompt in prompts]

    OPRO(length, write, n_iterations=3, batch_size=2, run=folder / "run").optimize("Begin.")


def killing(point: str, number: int, before: bool) -> None:
    """Have this process kill itself at the call with that number."""
    place, name = POINTS[point]
    whole: Callable[..., Any] = getattr(place, name)
    calls = 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        came = whole(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return came

    setattr(place, name, counted)


def died(folder: Path, point: str, number: int, before: bool) -> bool:
    """Whether a child that runs the search was killed at this point."""
    child = os.fork()
    if child == 0:
        killing(point, number, before)
        search(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, (point, number, before)
    return os.WIFSIGNALED(status)


def answered(folder: Path) -> int:
    """How many calls are acknowledged."""
    if not (folder / "run" / "run.sqlite").exists():
        return 0
    opened = read_store(folder / "run")
    calls = len(opened.calls())
    opened.close()
    return calls


def main() -> None:
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    search(folder)
    right = describe(folder / "run").digest
    asked = (folder / "asked").read_text().count("call")
    kills = dict.fromkeys(POINTS, 0)
    for point in POINTS:
        for before in (True, False):
            number = 1
            while True:
                shutil.rmtree(folder)
                folder.mkdir()
                if not died(folder, point, number, before):
                    break
                kills[point] += 1
                there = answered(folder)
                search(folder)
                assert describe(folder / "run").digest == right, (point, number, before)
                assert answered(folder) >= there
                again = (folder / "asked").read_text().count("call")
                assert asked <= again <= asked + 1, (point, number, before, again)
                left = [path.name for path in folder.rglob("run.sqlite-*")]
                assert not left, (point, number, before, left)
                number += step
    sys.stdout.write(json.dumps(kills) + "\n")


if __name__ == "__main__":
    main()
