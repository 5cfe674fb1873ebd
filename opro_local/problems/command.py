"""Any program that scores a text: what its output says, and what of it identifies a run.

For: the last line of stdout as a number, and a clear reason where there is none. Not for: running
programs (engines/program.py).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import DataError, UsageError
from opro_local.problems.function import file_digest
from opro_local.types import Completion

RUN = "run.sqlite"


def printed(completion: Completion) -> float | str:
    """The score that a run of a command ended with, or why there is none.

    The last line of stdout that is not blank is a number, or a JSON object whose `score` is one.
    """
    told: Mapping[str, Any] = json.loads(completion.text)
    return failure(told) or _last_number(told)


def failure(told: Mapping[str, Any]) -> str:
    """Why a run said nothing, "" if it ended itself with status 0 and wrote text; the kind stands
    before the colon.
    """
    last = _last_line(told["stderr"])[:200]
    if told["ended"]:
        return ENDED.get(told["ended"], told["ended"])
    if told["exit"] < 0:
        return f"killed: the program ended by signal {-told['exit']}{last and f': {last}'}"
    if told["exit"]:
        return f"exit code {told['exit']}{last and f': {last}'}"
    return "not text: stdout is not UTF-8" if told["binary"] else ""


ENDED = {
    "time": "timeout: the program ran longer than allowed",
    "output": "too much output: the program was ended",
    "lost": "lost: the process that watches the program was killed",
}


def _last_number(told: Mapping[str, Any]) -> float | str:
    line = _last_line(told["stdout"])
    if not line:
        return "no number: nothing on stdout"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = _plain_number(line)
    if isinstance(value, dict):
        value = value.get("score")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"no number: the last line of stdout is {line[:80]!r}"
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    return (
        score if math.isfinite(score) else f"not finite: the last line of stdout is {line[:80]!r}"
    )


def _plain_number(line: str) -> float | None:
    """Forms that JSON does not know: nan, .5, +1."""
    try:
        return float(line)
    except ValueError:
        return None


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")


def check_command(command: Sequence[str], folder: Path, where: str) -> None:
    """Find the program before anything is asked.

    Raises:
        UsageError: the command is empty, or its program is nowhere.
    """
    if not command or not command[0].strip():
        raise UsageError(
            f"{where}: the command is empty",
            'give a list such as ["python3", "score.py", "{file}"]',
        )
    program = command[0]
    if "{" in program:
        return
    found = shutil.which(program) if "/" not in program else shutil.which(folder / program)
    if not found:
        raise UsageError(
            f"{where}: there is no program {program!r}",
            "no shell is used: give the program and its arguments as a list, or a path from the working folder",
        )


def check_folder(folder: str, where: str) -> Path:
    """The folder as a path. Raises DataError where there is none."""
    path = Path(folder or ".").expanduser()
    if not path.is_dir():
        raise DataError(f"{where}: there is no folder {folder!r}", "check the path")
    return path


def command_digest(command: Sequence[str], folder: Path) -> str:
    """16 hex digits over the command and the content of every argument that is a file; what those
    load goes unseen.
    """
    digest = hashlib.sha256()
    for position, part in enumerate(command):
        path = folder / part
        own = path.is_file() and (position > 0 or "/" in part)
        digest.update(json.dumps([part, file_digest(path) if own else ""]).encode())
    return digest.hexdigest()[:16]


def folder_digest(folder: Path) -> str:
    """16 hex digits over the names and contents of all files under a folder, links as where they
    point.

    Runs that are kept in it are left out, as they are when it is copied, and so is .git, which
    changes by being read.
    """
    digest = hashlib.sha256()
    for here, folders, names in os.walk(folder):
        if RUN in names:
            folders.clear()
            continue
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name != ".git")
        for path in (Path(here) / name for name in sorted([*names, *links])):
            content = (
                str(path.readlink())
                if path.is_symlink()
                else file_digest(path)
                if path.is_file()
                else ""
            )
            digest.update(json.dumps([str(path.relative_to(folder)), content]).encode())
    return digest.hexdigest()[:16]
