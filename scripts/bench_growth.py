"""What a run costs besides the engine as it grows: 1x, 10x and 100x the examples, and the resume of
the largest.

    python scripts/bench_growth.py [--rows 261] [--candidates 8]

Runs of 2, 20 and 200 steps with the scripted engine of bench_host.py, each in a process of its own
after a tiny run that loads what every run needs (a third of a second): plan, search, prompts,
digests, store, rule, trajectory, result. `host s` is the search's CPU time without the engine's,
because other work on the machine is no part of it, `host us` the same per scored example, and `ends
s` what stands before and after the search once (plan, opening and closing the store, result);
`seconds` is wall time with the engine. Then the largest run is given again: every completion comes
from the store. Wanted: host time per example that differs by less than 20 %, the largest run in
under 60 s and 500 MB, its resume in under 15 s.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_host

from opro_local.config import reading
from opro_local.runs import bench, result
from opro_local.runs.driver import drive
from opro_local.runs.plans import make_plan
from opro_local.runs.store import open_store
from opro_local.search.trajectory import Trajectory

# Steps of a run, and how often it is made: short ones are noisy, and the median of their host time
# counts.
STEPS = {2: 5, 20: 3, 200: 1}
LINE = "{:<20}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}"


class Timed(bench_host.Timed):
    """The engine with a clock that counts this process's CPU time."""

    def generate(self, requests, progress=None):
        begun = time.process_time()
        try:
            return self.engine.generate(requests, progress)
        finally:
            self.seconds += time.process_time() - begun


def one(folder: Path, data: Path, steps: int, candidates: int) -> dict:
    """Run, or resume, a search in a folder; its costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    config = reading.build(
        {
            "task": {"train": str(data), "input": "question", "target": "answer", "rule": "number"},
            "scorer": {
                "engine": "scripted",
                "script": f"{bench_host.__file__}:answer",
                "max_tokens": 1024,
            },
            "search": {"steps": steps, "candidates": candidates, "metaprompt": "continuation"},
        }
    )
    engine, trajectory = Timed(), Trajectory()
    ready = make_plan(config)
    store = open_store(folder)
    begun = time.process_time()
    outcome = drive(
        ready.search(trajectory), {"optimizer": engine, "scorer": engine}, trajectory, store
    )
    ended = time.process_time()
    store.put(result=result.summarize(trajectory, outcome, 0.05).to_json())
    store.close()
    return {
        "examples": sum(entry.score.n for entry in trajectory.entries),
        "seconds": time.perf_counter() - wall,
        "ends": begun - cpu + time.process_time() - ended,
        "host": ended - begun - engine.seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "digest": trajectory.digest(),
    }


def alone(*arguments: object) -> dict:
    """`one` in a process of its own, so that memory is its own too."""
    told = subprocess.run(
        [sys.executable, __file__, "--one", *map(str, arguments)],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(told.stdout)


def each(found: dict) -> float:
    """Microseconds per example."""
    return 1e6 * found["host"] / found["examples"]


def line(name: str, found: dict) -> str:
    """A line of the table."""
    seconds = (f"{found['seconds']:.1f}", f"{found['ends']:.2f}", f"{found['host']:.2f}")
    return LINE.format(
        name, f"{found['examples']:,}", *seconds, f"{each(found):.1f}", f"{found['megabytes']:.0f}"
    )


def write_rows(data: Path, count: int) -> None:
    """Write a table of so many questions."""
    with data.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["question", "answer"])
        story = "a store sells pens in boxes. "
        writer.writerows([f"Question {i}: {story * (i % 9 + 3)}", i % 7] for i in range(count))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=261)
    parser.add_argument("--candidates", type=int, default=8)
    given = parser.parse_args()
    before = os.getloadavg()
    print(LINE.format("", "examples", "seconds", "ends s", "host s", "host us", "MB"))
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "rows.csv"
        write_rows(data, given.rows)
        grown = []
        for steps, times in STEPS.items():
            found = [
                alone(Path(scratch) / f"{steps}-{i}", data, steps, given.candidates)
                for i in range(times)
            ]
            grown.append(sorted(found, key=lambda one: one["host"])[times // 2])
            print(line(f"{steps} steps", grown[-1]), flush=True)
        again = alone(Path(scratch) / f"{steps}-0", data, steps, given.candidates)
        print(line(f"{steps} steps, resumed", again))
    costs = [each(found) for found in grown]
    print(
        json.dumps(
            bench.environment() | {"load_average": [before, os.getloadavg()], "asked": vars(given)}
        )
    )
    print(f"resumed run equal: {'yes' if again['digest'] == grown[-1]['digest'] else 'NO'}")
    print(
        f"host time per example differs by {100 * (max(costs) / min(costs) - 1):.0f} % "
        f"(under 20 wanted)"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        with tempfile.TemporaryDirectory() as tiny:
            write_rows(Path(tiny) / "rows.csv", 5)
            one(Path(tiny) / "run", Path(tiny) / "rows.csv", 2, 2)
        print(
            json.dumps(
                one(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
            )
        )
    else:
        main()
