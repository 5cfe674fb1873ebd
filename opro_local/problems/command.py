"""Any program that scores a text: what its output says, and what of it identifies a run.

For: the last line of stdout as a number, and a clear reason where there is none. Not for: running
programs (programs/program.py).
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

RUN = "run.sqlite"  # a folder with this file is a run's own

# What a report's `ended` means: the program did not end by itself.
ENDED = {
    "time": "timeout: the program ran longer than allowed",
    "output": "too much output: the program was ended",
    "lost": "lost: the process that watches the program was killed",
}


def printed(completion: Completion) -> float | str:
    """The score that a run of a command ended with, or why there is none.

    The last line of stdout that is not blank is a number, or a JSON object whose `score` is one.
    """
    report: Mapping[str, Any] = json.loads(completion.text)
    return failure(report) or _last_number(report)


def failure(report: Mapping[str, Any]) -> str:
    """Why a run of a program gave nothing; "" if it ended itself with status 0 and wrote text.

    The kind of failure stands before the colon.

    Args:
        report: `exit`, `ended`, `stdout`, `stderr` and `binary` (see programs/program.py).
    """
    last = _last_line(report["stderr"])[:200]
    detail = f": {last}" if last else ""
    if report["ended"]:
        return ENDED.get(report["ended"], report["ended"])
    if report["exit"] < 0:
        return f"killed: the program ended by signal {-report['exit']}{detail}"
    if report["exit"]:
        return f"exit code {report['exit']}{detail}"
    return "not text: stdout is not UTF-8" if report["binary"] else ""


def _last_number(report: Mapping[str, Any]) -> float | str:
    line = _last_line(report["stdout"])
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
    if not math.isfinite(score):
        return f"not finite: the last line of stdout is {line[:80]!r}"
    return score


def _plain_number(line: str) -> float | None:
    """Forms that JSON does not know: nan, .5, +1."""
    try:
        return float(line)
    except ValueError:
        return None


def _last_line(text: str) -> str:
    """The last line that is not blank, without the whitespace around it; "" where there is none."""
    return text.rstrip().rpartition("\n")[2].strip()


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
    # As subprocess looks for it: a path starts from the working folder, a bare name from PATH.
    if not shutil.which(folder / program if "/" in program else program):
        raise UsageError(
            f"{where}: there is no program {program!r}",
            "no shell is used: give the program and its arguments as a list, "
            "or a path from the working folder",
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
        # The program itself is a file of the user's only where it is given as a path.
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
            content = ""
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file():
                content = file_digest(path)
            digest.update(json.dumps([str(path.relative_to(folder)), content]).encode())
    return digest.hexdigest()[:16]
