"""What a run costs besides the engine: 20 steps x 8 solutions x 261 examples with a scripted
engine.

Everything is on: prompts, request digests, the store with its commits, extraction, the trajectory,
the result. The engine's own time is measured and taken off. Run it with `python
scripts/bench_host.py`; the last line is the figure.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from pathlib import Path

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.runs import result
from opro_local.runs.driver import drive
from opro_local.runs.plans import make_plan
from opro_local.runs.store import open_store
from opro_local.search.trajectory import Trajectory

STEPS, CANDIDATES, ROWS = 20, 8, 261
ROUNDS = 5
WORDED = (
    "Let us work through it. There are {n} boxes, and every box holds three pens, so we "
    "multiply and then add.\n" * 4
)


def answer(request):
    """A proposal that depends on the seed, or a worked solution of some 450 characters."""
    if request.sampling.seed is not None:
        return "Solve it " + " ".join(
            ["calmly", "slowly", "wisely", "boldly", "neatly"][int(d) % 5]
            for d in str(request.sampling.seed)
        )
    n = len(request.prompt.text)
    return WORDED.replace("{n}", str(n)) + f"#### {n % 7}"


class Timed:
    """The engine with a clock around it."""

    def __init__(self) -> None:
        self.engine, self.seconds = ScriptedEngine.of(answer), 0.0

    def generate(self, requests, progress=None):
        begun = time.perf_counter()
        try:
            return self.engine.generate(requests, progress)
        finally:
            self.seconds += time.perf_counter() - begun


def measure(folder: Path, data: Path) -> tuple[float, int]:
    """Host seconds and scored examples of one run."""
    config = reading.build(
        {
            "task": {"train": str(data), "input": "question", "target": "answer", "rule": "number"},
            "scorer": {"engine": "scripted", "script": f"{__file__}:answer", "max_tokens": 1024},
            "search": {"steps": STEPS, "candidates": CANDIDATES, "metaprompt": "continuation"},
        }
    )
    engine, trajectory = Timed(), Trajectory()
    begun = time.perf_counter()
    ready = make_plan(config)
    store = open_store(folder)
    asks = ready.search(trajectory)
    outcome = drive(asks, {"optimizer": engine, "scorer": engine}, trajectory, store)
    store.put(result=result.summarize(trajectory, outcome, 0.05).to_json())
    store.close()
    host = time.perf_counter() - begun - engine.seconds
    return host, sum(entry.score.n for entry in trajectory.entries)


def main() -> None:
    """Print one line per round and the median."""
    figures = []
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "rows.csv"
        with data.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["question", "answer"])
            writer.writerows(
                [f"Question {i}: " + "a store sells pens in boxes. " * (i % 9 + 3), i % 7]
                for i in range(ROWS)
            )
        for number in range(ROUNDS):
            host, examples = measure(Path(scratch) / str(number), data)
            figures.append(1e6 * host / examples)
            sys.stdout.write(
                f"{json.dumps({'examples': examples, 'host_seconds': round(host, 3)})}\n"
            )
    sys.stdout.write(f"{sorted(figures)[ROUNDS // 2]:.1f} us per scored example\n")


if __name__ == "__main__":
    main()
