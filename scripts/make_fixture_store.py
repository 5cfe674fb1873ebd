"""Make a small run or feedback store with the installed opro-local and write it as SQL text.

For: fixtures that hold what a released schema looked like, so that later versions are tested with
them (tests/crash/stores/). Run it once before a schema changes, with the program that has the old
one:

    python scripts/make_fixture_store.py run tests/crash/stores/schema-4.sql
    python scripts/make_fixture_store.py feedback tests/crash/stores/feedback-schema-1.sql

Not for: reading them; tests/crash/test_old_stores.py and test_damage_shared.py do.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from opro_local.config import reading
from opro_local.feedback import Feedback, Outcome
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


def make_run(folder: Path) -> Path:
    """A finished run's store."""
    run(reading.build(tables(write_reviews(folder / "reviews.csv")), []), folder / "run")
    return folder / "run" / "run.sqlite"


def make_feedback(folder: Path) -> Path:
    """A feedback store with two prompts, an experiment and twelve outcomes."""
    path = folder / "f.sqlite"
    with Feedback(path) as feedback:
        for id in ("old", "new"):
            feedback.register(f"The {id} words", id)
        feedback.challenge("new")
        for n in range(12):
            user = f"user {n}"
            prompt, _ = feedback.assign(user)
            time = "2026-01-02T03:04:05+00:00"
            feedback.log(Outcome(prompt, n % 2, f"asked {n}", "said", time, user, id=f"x{n}"))
    return path


def main() -> None:
    """Make the store in a folder of its own and write what it holds."""
    kind, output = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        text = dump({"run": make_run, "feedback": make_feedback}[kind](folder))
        # No path of this machine stays in it.
        text = text.replace(str(ROOT), "@ROOT@").replace(str(folder), "@FOLDER@")
        Path(output).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
