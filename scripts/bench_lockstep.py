"""Many small runs in lockstep against the same runs one after another.

    python scripts/bench_lockstep.py [--model DIR] [--seeds 8] [--rows 24] [--steps 2] [--candidates
    4] [--engine vllm]
        [--set KEY=VALUE ...]

The same runs with different seeds, as a user would give them: together in one call of
`run_many`, which starts the engine once, and then each by itself, which starts it every time.
`engine s` is the time spent waiting for answers, without starts; the cache between runs is off.
Wanted on a CPU: together in at most half the time. `equal` counts the runs whose trajectories are
the same both ways; a real engine may round otherwise in larger batches.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from opro_local.config.settings import Config
from opro_local.runs import bench
from opro_local.runs.lockstep import run_many

WANTED = 0.5
LINE = "{:<20}{:>10}{:>11}{:>9}"


def configs(given: argparse.Namespace) -> list[Config]:
    """One config for each seed."""
    changes = [
        f"task.train_rows={given.rows}",
        f"search.steps={given.steps}",
        f"search.candidates={given.candidates}",
    ]
    changes += [
        "task.validation_rows=0",
        "task.test_rows=0",
        "run.cache=false",
        f'scorer.engine="{given.engine}"',
    ]
    changes += [f"scorer.model={json.dumps(given.model)}"] if given.model else []
    changes += given.set
    return [bench.embedded([*changes, f"run.seed={seed}"]) for seed in range(given.seeds)]


def timed(groups: list[list[Config]], scratch: Path) -> tuple[float, list[Mapping]]:
    """Wall time of all groups, one after another, each in lockstep; and the results in order."""
    begun, results = time.perf_counter(), []
    for number, group in enumerate(groups):
        found = run_many(
            [(config, scratch / f"{number}-{place}") for place, config in enumerate(group)]
        )
        failed = [one for one in found if not isinstance(one, Mapping)]
        if failed:
            raise SystemExit(f"a run failed: {failed[0]}")
        results += found
    return time.perf_counter() - begun, results


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model's folder or name [default: the embedded one]")
    for name, value in (("seeds", 8), ("rows", 24), ("steps", 2), ("candidates", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--engine", default="vllm")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting; repeatable",
    )
    given = parser.parse_args()
    before, runs = os.getloadavg(), configs(given)
    with tempfile.TemporaryDirectory() as scratch:
        together = timed([runs], Path(scratch) / "together")
        alone = timed([[run] for run in runs], Path(scratch) / "alone")
    print(LINE.format("", "seconds", "engine s", "pairs"))
    for name, (seconds, results) in (("in lockstep", together), ("one after another", alone)):
        engine = sum(result["seconds"] for result in results)
        print(
            LINE.format(
                name, f"{seconds:.1f}", f"{engine:.1f}", sum(result["pairs"] for result in results)
            )
        )
    equal = sum(a["digest"] == b["digest"] for a, b in zip(together[1], alone[1], strict=True))
    print(f"equal: {equal} of {given.seeds}")
    print(
        json.dumps(
            bench.environment() | {"load_average": [before, os.getloadavg()], "asked": vars(given)}
        )
    )
    share = together[0] / alone[0]
    print(f"{share:.2f} of the time; {WANTED} wanted: {'met' if share <= WANTED else 'missed'}")


if __name__ == "__main__":
    main()
