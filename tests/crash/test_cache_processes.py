"""Many processes share one cache, and some are killed: what is found is always what was kept."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from opro_local.runs import cache as caches

WRITERS = 6

# Batches and keeps the same 300 prompts in an order of its own; says how many it found and of any
# that were wrong.
WRITER = """
import random, sys
from opro_local.runs.cache import Cache
from opro_local.types import Completion, Prompt, Request, Sampling
number, rounds, most = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng, hits = random.Random(number), 0
cache = Cache(most_bytes=most, notify=print)
shelf = cache.shelf({"engine": "shared"})
for i in range(rounds):
    texts = rng.sample([f"prompt {i}" for i in range(300)], 20)
    asked = [Request(Prompt(text), Sampling(8)) for text in texts]
    said = [Completion(text.upper() * 20, "stop", 1, 0, 2) for text in texts]
    for found, right in zip(shelf.find(asked), said):
        hits += found is not None
        assert found in (None, right), found
    shelf.keep(asked, said)
    print("round", flush=True)
cache.close()
print("hits", hits)
"""


def start(number: int, rounds: int, most: int = 1 << 30) -> subprocess.Popen:
    arguments = [sys.executable, "-c", WRITER, str(number), str(rounds), str(most)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_sound(folder: Path) -> bool:
    connection = sqlite3.connect(folder / caches.FILE)
    counted = connection.execute(
        "SELECT count(*), sum(length(payload) + 160) FROM completion"
    ).fetchone()
    kept = connection.execute("SELECT completions, bytes FROM total").fetchone()
    check = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return check == [("ok",)] and counted == kept


def test_many_processes_make_and_fill_one_cache(own_cache):
    writers = [start(i, 40) for i in range(WRITERS)]
    hits = 0
    for writer in writers:
        said, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0 and "cache is off" not in said, errors + said
        hits += int(said.split()[-1])
    assert is_sound(own_cache) and caches.stat(own_cache)["completions"] == 300
    assert hits > WRITERS * 40 * 20 // 2
    assert sorted(file.name for file in own_cache.iterdir()) == [caches.FILE]


def test_a_small_cap_holds_among_many(own_cache):
    writers = [start(i, 40, 30_000) for i in range(WRITERS)]
    for writer in writers:
        said, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0 and "cache is off" not in said, errors + said
    assert is_sound(own_cache) and 0 < caches.stat(own_cache)["bytes"] <= 30_000


def test_killed_processes_leave_a_sound_cache(own_cache):
    rng = random.Random(5)
    for number in range(8):
        writer = start(number, 100_000)
        assert writer.stdout.readline() == "round\n"
        time.sleep(rng.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        _, errors = writer.communicate(timeout=30)
        assert writer.returncode == -signal.SIGKILL, errors
        assert is_sound(own_cache)
    last = start(99, 5)
    said, errors = last.communicate(timeout=60)
    assert last.returncode == 0 and int(said.split()[-1]) == 100, errors + said
