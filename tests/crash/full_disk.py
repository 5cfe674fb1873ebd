"""Fills a disk up at every page while something is kept on it, and says what happened.

Run in a mount namespace of its own, by test_full_disk.py: `python full_disk.py KIND FOLDER STEP`. A
small file system in memory is mounted on the folder, larger by STEP pages each time, until
everything fits. After each failure there must be one StoreError with the bytes that are free, no
malformed file, and, once there is space, the end that an undisturbed one comes to. The last line is
JSON: how often the disk was full, and at how many pages it was not any more.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from opro_local import OPRO
from opro_local.errors import StoreError
from opro_local.feedback import Feedback, Outcome
from opro_local.runs.cache import Cache
from opro_local.runs.reading import describe
from opro_local.types import Completion, Prompt, Request, Sampling

PAGE = 4096
REQUESTS = [Request(Prompt(f"What is {n}?"), Sampling(4)) for n in range(30)]
ANSWERS = [Completion(f"It is {n}. " * 40, "stop", n, 0, n) for n in range(30)]


def mount(folder: Path, pages: int) -> None:
    options = f"size={pages * PAGE}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


def grow(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


def search(folder: Path) -> Any:
    """A small run without a model: the longer text wins."""

    def write(prompts: list[str]) -> list[str]:
        return ["word " * (1 + len(prompt) % 7) + "x" * 300 for prompt in prompts]

    opro = OPRO(len_of, write, n_iterations=4, batch_size=3, run=folder / "run")
    opro.optimize("Begin.")
    return describe(folder / "run").digest


def len_of(text: str) -> float:
    return float(len(text))


def log(folder: Path) -> Any:
    with Feedback(folder / "f.sqlite") as feedback:
        feedback.register("Words", "w")
        for n in range(40):
            feedback.log(Outcome("w", n % 2, "asked " * 40, time="2026-01-02T00:00:00Z", id=f"{n}"))
        return feedback.rows("SELECT id, score FROM outcome ORDER BY number")


def keep(folder: Path) -> Any:
    """The cache never fails: it is switched off, which is what is raised here."""
    said: list[str] = []
    cache = Cache(folder / "cache", notify=said.append)
    shelf = cache.shelf({"engine": "x"})
    try:
        for n in range(0, 30, 3):
            shelf.keep(REQUESTS[n : n + 3], ANSWERS[n : n + 3])
        known = shelf.find(REQUESTS)
        assert all(one in (None, right) for one, right in zip(known, ANSWERS, strict=True))
    finally:
        cache.close()
    if said:
        (line,) = said
        raise StoreError(line)
    return len([one for one in known if one])


KINDS: dict[str, Callable[[Path], Any]] = {"run": search, "feedback": log, "cache": keep}


def check_files(folder: Path) -> None:
    """Whatever lies there is whole, and nothing is left over."""
    for path in folder.rglob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",), path
            assert connection.execute("PRAGMA application_id").fetchone() != (0,), path
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    left = [path.name for path in folder.rglob("*") if path.suffix in (".new", ".part")]
    assert not left, left


def main() -> None:
    kind, folder, step = KINDS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3])
    mount(folder, 1 << 14)
    right = kind(folder)
    unmount(folder)
    full, pages = 0, 1
    while True:
        mount(folder, pages)
        try:
            came = kind(folder)
        except StoreError as error:
            text = str(error)
            assert "bytes free there" in text and "\n" not in text and error.exit_code == 4, text
            assert str(folder) in text, text
            full += 1
            grow(folder)
            check_files(folder)
            assert kind(folder) == right, pages
            unmount(folder)
        else:
            assert came == right
            unmount(folder)
            break
        pages += step
    sys.stdout.write(json.dumps({"full": full, "pages": pages}) + "\n")


if __name__ == "__main__":
    main()
