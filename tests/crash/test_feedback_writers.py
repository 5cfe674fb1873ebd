"""Many processes log at once, and some are killed: every outcome whose `log` returned is there,
once.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from opro_local.feedback import Feedback

WRITERS, EACH = 8, 1000

# Prints an outcome's id when `log` has returned from it.
WRITER = """
import sys
from opro_local.feedback import Feedback
from opro_local.feedback.outcomes import Outcome
path, name, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Feedback(path) as feedback:
    prompt = feedback.register("The prompt")
    for i in range(many):
        feedback.log(Outcome(prompt, i % 2 == 0, input="x" * 200, user=name, id=f"{name}:{i}"))
        print(i, flush=True)
"""


def start(path: Path, name: str, many: int) -> subprocess.Popen:
    arguments = [sys.executable, "-c", WRITER, str(path), name, str(many)]
    with path.with_name(name).open("w") as told:
        return subprocess.Popen(arguments, stdout=told, stderr=subprocess.PIPE, text=True)


def told(path: Path, name: str) -> list[str]:
    """The ids that a writer said are logged; a last line cut by a kill doesn't count."""
    return [f"{name}:{line}" for line in path.with_name(name).read_text().split("\n")[:-1]]


def logged(path: Path) -> list[str]:
    with Feedback(path, new=False) as feedback:
        assert feedback.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert [row["action"] for row in feedback.history()] == ["register"]
        return [row["id"] for row in feedback.rows("SELECT id FROM outcome ORDER BY number")]


def test_eight_writers_that_make_the_store_at_once_lose_nothing(tmp_path):
    path = tmp_path / "f.sqlite"
    writers = [start(path, f"w{i}", EACH) for i in range(WRITERS)]
    for writer in writers:
        _, errors = writer.communicate(timeout=250)
        assert writer.returncode == 0, errors
    found = logged(path)
    assert len(found) == WRITERS * EACH == 8000
    assert set(found) == {f"w{i}:{j}" for i in range(WRITERS) for j in range(EACH)}
    for i in range(WRITERS):
        own = [id for id in found if id.startswith(f"w{i}:")]
        assert own == [f"w{i}:{j}" for j in range(EACH)]  # each writer's own order is kept
    assert not [file.name for file in tmp_path.iterdir() if file.name.endswith(".new")]


def test_killed_writers_lose_nothing_that_log_returned_from(tmp_path):
    path, rng = tmp_path / "f.sqlite", random.Random(3)
    Feedback(path).close()
    acknowledged: set[str] = set()
    for round_ in range(4):
        writers = {f"r{round_}w{i}": start(path, f"r{round_}w{i}", 100_000) for i in range(4)}
        while not all(told(path, name) for name in writers):
            time.sleep(0.02)
        for name, writer in writers.items():
            time.sleep(rng.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
            _, errors = writer.communicate(timeout=30)
            assert writer.returncode == -signal.SIGKILL, errors
            acknowledged |= set(told(path, name))
    found = logged(path)
    assert len(found) == len(set(found)) and acknowledged <= set(found) and len(acknowledged) > 100
    # A writer may have been killed after its commit and before it could say so: one outcome each at
    # most.
    assert len(found) - len(acknowledged) <= 16
