"""What worked examples drawn at random are worth, and what choosing among few or many of them by
few rows finds.

    python scripts/bench_draws.py [--orders 200] python scripts/bench_draws.py --record FILE
    [--tasks reviews,...] [--seeds 3] [--first-seed 20] [--draws 64]

The first reads draw_scores.json, recorded by the second on one H200 (SmolLM2-135M, vLLM, bfloat16):
for each task and seed of bench_search.py 64 draws as the search makes them, 24 as `random-demos`
makes them, and changes of the eight best of all these, every one scored on all 24 train, 24
validation and 100 test rows (the file's test rows are the same for all seeds, as bench_search.py's
were then). From that it simulates choices: of so many draws, and changes where they are named,
those that halving on train leaves, then the finalists by train, then the best of them by both
splits; each in so many random orders. `oracle` is the best by the test rows themselves.

The last table is about the baseline: which share of the runs keeps it, and ends below it, where a
finalist must be ahead of it on validation with a one-sided p-value of at most `doubt`. Its own
answers are drawn anew for every order.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bench_search
import numpy as np

from opro_local import stats
from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.problems.prompt.moves import MOVES, DemonstrationPool
from opro_local.runs.driver import drive
from opro_local.search import racing
from opro_local.search.trajectory import Trajectory
from opro_local.tasks.division import in_proportion
from opro_local.types import Solution

RECORDED = Path(__file__).with_name("draw_scores.json")
SPLITS = ("train", "validation", "test")
RIVALS, BEST, FINALISTS = 24, 8, 5
ABOUT = (
    "0/1 scores of worked examples for scripts/bench_draws.py; each line of scores and shown is "
    "bits in hex"
)
CHANGES = (("alter", 4), ("cross", 3), ("correct", 2))


@dataclass(frozen=True)
class Recording:
    """One task and seed: by split which rows each solution got right, shape (solutions, rows); how
    each was made.
    """

    task: str
    ways: np.ndarray
    shown: np.ndarray  # which train rows each solution shows, shape (solutions, train rows)
    labels: list[str]  # of the train rows
    scores: dict[str, np.ndarray]

    def made(self, *ways: str) -> np.ndarray:
        """The positions of the solutions made in these ways."""
        return np.flatnonzero(np.isin(self.ways, ways))


def packed(bits: np.ndarray) -> str:
    return np.packbits(bits.astype(bool)).tobytes().hex()


def unpacked(text: str, count: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(float)


def read(path: Path) -> list[Recording]:
    """The recordings in a file."""
    found = []
    for one in json.loads(path.read_text())["recordings"]:
        sizes = dict(zip(SPLITS, one["rows"], strict=True))
        scores = {
            split: np.array([unpacked(line, sizes[split]) for line in one["scores"][split]])
            for split in SPLITS
        }
        shown = np.array([unpacked(line, sizes["train"]) for line in one["shown"]]).astype(bool)
        found.append(Recording(one["task"], np.array(one["ways"]), shown, one["labels"], scores))
    return found


def record(given: argparse.Namespace) -> None:
    """Score the solutions of every task and seed with the model."""
    settings = EngineSettings(
        given.model, "vllm", max_model_len=2048, gpu_memory=0.5, max_num_seqs=given.max_num_seqs
    )
    engine, _ = start_engine(settings, "vllm")
    found = []
    try:
        for name in given.tasks.split(","):
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                found.append(recorded(name, seed, given, engine))
                print(f"{name} {seed}: {len(found[-1]['ways'])} solutions", flush=True)
                given.record.write_text(json.dumps({"about": ABOUT, "recordings": found}) + "\n")
    finally:
        engine.close()


def recorded(name: str, seed: int, given: argparse.Namespace, engine: Any) -> dict[str, Any]:
    """One task and seed; see Recording."""
    task = bench_search.load(name)
    task = replace(task, test=bench_search.TEST)
    with tempfile.TemporaryDirectory() as folder:
        problem = bench_search.planned(
            task, seed, "joint", given.model, Path(folder), bench_search.Budget()
        ).problem
    rng, text = np.random.default_rng((seed, 99)), problem.seeds()[0].text
    known = problem.demonstrations.available()
    solutions: dict[Solution, str] = {}

    def pool(wrong: list[str]) -> DemonstrationPool:
        return DemonstrationPool(known, 8, 10**6, wrong, rng)

    def scored(first: int) -> dict[str, np.ndarray]:
        fresh = list(solutions)[first:]
        parts = {
            split: drive(problem.evaluate(fresh, split, split), {"scorer": engine}, Trajectory())
            for split in SPLITS
        }
        return {
            split: np.array([score.values for score in scores]) for split, scores in parts.items()
        }

    for _ in range(given.draws):
        solutions.setdefault(Solution(text, MOVES["draw"](pool([]), (), ())), "draw")
    for _ in range(RIVALS):
        rows = rng.choice(len(known), int(rng.integers(2, 9)), replace=False)
        solutions.setdefault(Solution(text, tuple(known[int(row)].id for row in rows)), "random")
    first = scored(0)
    drawn = list(solutions)
    best = np.argsort(
        -np.hstack([first["train"], first["validation"]]).mean(axis=1), kind="stable"
    )[:BEST]
    for place in map(int, best):
        parent = drawn[place]
        wrong = [mistake.id for mistake in problem.demonstrations.mistakes(parent)]
        for way in (way for way, count in CHANGES for _ in range(count)):
            other = drawn[int(rng.choice(best[best != place]))]
            ids = MOVES[way](pool(wrong), parent.demonstrations, other.demonstrations)
            solutions.setdefault(Solution(text, ids), way)
    then = scored(len(drawn))
    train = [row.id for row in problem.rows["train"]]
    return {
        "task": name,
        "seed": seed,
        "rows": [len(problem.rows[split]) for split in SPLITS],
        "labels": [row.target for row in problem.rows["train"]],
        "ways": list(solutions.values()),
        "shown": [packed(np.isin(train, solution.demonstrations)) for solution in solutions],
        "scores": {
            split: [packed(row) for row in (*first[split], *then[split])] for split in SPLITS
        },
    }


def halved(one: Recording, among: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Which of these halving on train leaves, as in a step, and how many pairs it scores."""
    order, total = in_proportion(one.labels, rng), len(one.labels)
    left, done = among, 0
    while (rows := racing.part(done, total)) and done + rows < total:
        done += rows
        table = one.scores["train"][left][:, order[:done]]
        left = left[~racing.halved(table.mean(axis=1))]
    return left, racing.cost(len(among), total)


def choice(
    one: Recording, groups: list[np.ndarray], rng: np.random.Generator, shown: bool = True
) -> tuple[int, int]:
    """The solution chosen from groups that are halved one after the other, and the pairs scored.

    `shown`: whether train rows that a solution shows count, scored with stand-ins, among the rest.
    """
    parts = [halved(one, group, rng) for group in groups]
    left = np.concatenate([part for part, _ in parts])
    counted = np.ones_like(one.shown[left]) if shown else ~one.shown[left]
    right = one.scores["train"][left] * counted
    finalists = np.argsort(-right.sum(1) / counted.sum(1), kind="stable")[:FINALISTS]
    held_out = one.scores["validation"][left[finalists]]
    both = right[finalists].sum(1) + held_out.sum(1)
    best = finalists[np.argmax(both / (counted[finalists].sum(1) + held_out.shape[1]))]
    return int(left[best]), sum(cost for _, cost in parts) + FINALISTS * held_out.shape[1]


Chooser = Callable[[Recording, np.random.Generator], tuple[int, int]]


def choosers() -> Iterator[tuple[str, Chooser]]:
    """What is compared: a name, and a function that gives the chosen solution and the pairs that it
    took.
    """

    def drawn(one: Recording, rng: np.random.Generator, count: int) -> np.ndarray:
        return rng.permutation(one.made("draw"))[:count]

    def some(one: Recording, rng: np.random.Generator, ways: tuple[str, ...]) -> np.ndarray:
        return rng.permutation(one.made(*ways))[:14]

    def rival(one: Recording, rng: np.random.Generator) -> tuple[int, int]:
        own, rows = one.made("random"), one.scores["validation"].shape[1]
        return int(own[np.argmax(one.scores["validation"][own].mean(1))]), len(own) * rows

    def everything(one: Recording, rng: np.random.Generator, count: int) -> tuple[int, int]:
        own = drawn(one, rng, count)
        both = np.hstack([one.scores["train"][own], one.scores["validation"][own]])
        return int(own[np.argmax(both.mean(1))]), both.size

    def oracle(one: Recording, rng: np.random.Generator, count: int) -> tuple[int, int]:
        own = drawn(one, rng, count)
        return int(own[np.argmax(one.scores["test"][own].mean(1))]), 0

    yield "24 as random-demos draws, by validation", rival
    for count in (24, 38, 64):
        yield f"{count} draws", lambda one, rng, n=count: choice(one, [drawn(one, rng, n)], rng)
        yield (
            f"{count} draws, shown rows left out",
            lambda one, rng, n=count: choice(one, [drawn(one, rng, n)], rng, shown=False),
        )
        yield (
            f"{count} draws, all on all 48 rows",
            lambda one, rng, n=count: everything(one, rng, n),
        )
        yield f"{count} draws, oracle", lambda one, rng, n=count: oracle(one, rng, n)
    for ways in (("alter",), ("cross",), ("correct",), ("alter", "cross", "correct")):
        yield (
            f"24 draws, then 14 changes of the eight best of all: {', '.join(ways)}",
            lambda one, rng, ways=ways: choice(
                one, [drawn(one, rng, 24), some(one, rng, ways)], rng
            ),
        )


def compare(recordings: list[Recording], orders: int) -> None:
    """Print what each way to choose comes to on test."""
    names = list(dict.fromkeys(one.task for one in recordings))
    print("| chosen from | " + " | ".join(names) + " | mean | pairs |")
    print("|---" * (len(names) + 3) + "|")
    for name, choose in choosers():
        found = [[choose(one, rng) for rng in generators(orders)] for one in recordings]
        means = [
            np.mean([one.scores["test"][chosen].mean() for chosen, _ in runs])
            for one, runs in zip(recordings, found, strict=True)
        ]
        cells = [
            np.mean([m for m, one in zip(means, recordings, strict=True) if one.task == task])
            for task in names
        ]
        pairs = np.mean([cost for runs in found for _, cost in runs])
        print(
            f"| {name} | "
            + " | ".join(f"{100 * m:.1f}" for m in (*cells, np.mean(means)))
            + f" | {pairs:.0f} |"
        )


def guard(recordings: list[Recording], orders: int) -> None:
    """Print what the baseline's right to stay costs and saves."""
    print(
        "\n| baseline | doubt | mean | baseline kept | more than 2 points below | more than 5 |\n"
        + "|---" * 6
        + "|"
    )
    for base in (0.74, 0.84):
        for doubt in (0.1, 0.25, 0.5):
            ends = [
                guarded(one, base, doubt, rng) for one in recordings for rng in generators(orders)
            ]
            under = [
                100 * np.mean([end < base - less - 1e-9 for end in ends]) for less in (0.02, 0.05)
            ]
            kept = 100 * np.mean([end == base for end in ends])
            print(
                f"| {100 * base:.0f} | {doubt} | {100 * np.mean(ends):.1f} | {kept:.0f} % | "
                f"{under[0]:.1f} % "
                f"| {under[1]:.1f} % |"
            )


def guarded(one: Recording, base: float, doubt: float, rng: np.random.Generator) -> float:
    """Test accuracy of what a run chooses whose baseline is right on each row with the chance
    `base`.
    """
    changes = rng.permutation(one.made(*(way for way, _ in CHANGES)))[:12]
    best, _ = choice(one, [rng.permutation(one.made("draw"))[:24], changes], rng)
    held_out = one.scores["validation"][best]
    own = rng.random(len(held_out)) < base
    gain = stats.paired_difference(held_out, own.astype(float))
    return (
        float(one.scores["test"][best].mean())
        if gain.value > 0 and gain.p_value / 2 <= doubt
        else base
    )


def generators(orders: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng(number) for number in range(orders))


def main() -> None:
    """Print the tables, or record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--recorded", type=Path, default=RECORDED)
    parser.add_argument(
        "--record", type=Path, help="score the draws with the model and write them here"
    )
    parser.add_argument("--tasks", default=",".join(bench_search.RUN_TASKS_BY_DEFAULT))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=20)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--model", default=bench_search.MODEL)
    parser.add_argument("--max-num-seqs", type=int)
    given = parser.parse_args()
    if given.record:
        record(given)
        return
    recordings = read(given.recorded)
    compare(recordings, given.orders)
    guard([one for one in recordings if one.task == "reviews"], given.orders)


if __name__ == "__main__":
    main()
