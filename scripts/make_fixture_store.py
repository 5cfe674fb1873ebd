"""Make a small run with the installed opro-local and write its store as SQL text.

For: fixtures that hold what a released schema looked like, so that later versions are tested with
them (tests/crash/stores/). Run it once before a schema changes, with the program that has the old
one:

    python scripts/make_fixture_store.py tests/crash/stores/schema-4.sql

Not for: reading them; `load` in tests/crash/test_old_stores.py does.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from opro_local.config import reading
from opro_local.runs.run import run

ROOT = Path(__file__).resolve().parent.parent
SCRIPTED = {"engine": "scripted", "script": f"{ROOT / 'tests' / 'scripted_model.py'}:answer"}


def write_reviews(path: Path) -> Path:
    """60 rows, half of them "positive"."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(30):
            writer.writerow([f"Number {i} was good", "positive"])
            writer.writerow([f"Number {i} was poor", "negative"])
    return path


def tables(reviews: Path) -> dict:
    """The config of the fixture's run."""
    task = {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"}
    search = {
        "mode": "opro",
        "seeds": ["What is it?"],
        "steps": 2,
        "candidates": 3,
        "metaprompt": "continuation",
    }
    return {
        "task": task,
        "scorer": {**SCRIPTED, "max_tokens": 8},
        "optimizer": SCRIPTED,
        "search": search,
        "run": {"seed": 3, "name": "fixture"},
    }


def dump(store: Path) -> str:
    """The store as SQL, with the marks of its header."""
    with closing(sqlite3.connect(store)) as connection:
        marks = [
            f"PRAGMA {name}={connection.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        return "\n".join([*marks, *connection.iterdump(), ""])


def main() -> None:
    """Make the run in a folder of its own and write what it left."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run(reading.build(tables(write_reviews(folder / "reviews.csv")), []), folder / "run")
        text = dump(folder / "run" / "run.sqlite")
        # No path of this machine stays in it.
        text = text.replace(str(ROOT), "@ROOT@").replace(str(folder), "@FOLDER@")
        Path(sys.argv[1]).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
