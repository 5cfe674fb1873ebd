"""What racing saves, and how often it loses the best: recorded scores of a real run, and simulated
races.

    python scripts/bench_racing.py [--orders 1000] [--races 2000] [--block 256] [--seed 0]

Recorded: racing_scores.json, every solution of a full run of SmolLM2-135M on 200 rows; a race is
run in so many random orders of the rows. "best lost" counts races in which the best on all rows, or
any of several equally good, was dropped, unless the incumbent is better. Simulated: 8 new solutions
and the incumbent on 261 rows, scores that hang together over rows (latent correlation 0.6) around
60 %. "points lost" is what the winner of the race has less on all rows than the winner of full
scoring.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from opro_local.search import racing

ALPHA = 0.01
RECORDED = Path(__file__).with_name("racing_scores.json")
SOLUTIONS, ROWS, BASE, CORRELATION = 8, 261, 0.6, 0.6


@dataclass(frozen=True)
class Race:
    """Scores known beforehand: shape (solutions, rows) and (rows,), and the prompts of a block."""

    values: np.ndarray
    incumbent: np.ndarray
    prompts: int


@dataclass(frozen=True)
class Found:
    """What a race did: share of pairs scored, whether its best was lost, points lost, share
    dropped, and blocks.
    """

    share: float
    lost: bool
    points: float
    dropped: float
    blocks: int


def run(race: Race, rng: np.random.Generator) -> Found:
    """Race in a random order of the rows."""
    solutions, total = race.values.shape
    order = rng.permutation(total)
    seen, alive, done, blocks = np.full(race.values.shape, np.nan), np.ones(solutions, bool), 0, 0
    while alive.any() and done < total:
        upto = done + racing.block(int(alive.sum()), total - done, race.prompts)
        seen[alive, done:upto] = race.values[alive][:, order[done:upto]]
        done, blocks = upto, blocks + 1
        if done < total:
            alive &= ~racing.beaten(seen[:, :done], race.incumbent[order[:done]], total, ALPHA)
    means, bar = race.values.mean(axis=1), race.incumbent.mean()
    best = max(means.max(), bar)
    won = max(means[alive].max(initial=0), bar)
    lost = means.max() >= bar and not alive[means == means.max()].all()
    return Found(
        float((~np.isnan(seen)).mean()),
        bool(lost),
        100 * float(best - won),
        float((~alive).mean()),
        blocks,
    )


def recorded(prompts: int) -> Iterator[tuple[str, list[Race]]]:
    """Races over the recorded scores: as the steps of the run were, and of many solutions at once."""
    entries = json.loads(RECORDED.read_text("utf-8"))["solutions"]
    steps = np.array([entry["step"] for entry in entries])
    scores = np.array([[int(mark) for mark in entry["scores"]] for entry in entries], float)
    races = []
    for step in range(1, steps.max() + 1):
        before = scores[steps < step]
        races.append(Race(scores[steps == step], before[before.mean(axis=1).argmax()], prompts))
    yield "its steps, each against the best before", races
    yield (
        f"all {len(scores) - 1} against the starting solution",
        [Race(scores[1:], scores[0], prompts)],
    )
    yield "the first 9 against the starting solution", [Race(scores[1:10], scores[0], prompts)]


def simulated(
    spread: float, earlier: int, races: int, prompts: int, rng: np.random.Generator
) -> Iterator[Race]:
    """Races whose true accuracies have this standard deviation; the incumbent is the best of so
    many earlier ones.
    """
    for _ in range(races):
        accuracy = np.clip(BASE + spread * rng.standard_normal(SOLUTIONS + earlier), 0.02, 0.98)
        own = rng.standard_normal((SOLUTIONS + earlier, ROWS))
        latent = np.sqrt(CORRELATION) * rng.standard_normal(ROWS) + np.sqrt(1 - CORRELATION) * own
        values = (latent < norm.ppf(accuracy)[:, None]).astype(float)
        before = values[:earlier]
        yield Race(values[earlier:], before[before.mean(axis=1).argmax()], prompts)


def equals(races: int, prompts: int, rng: np.random.Generator) -> Iterator[Race]:
    """Races of solutions that are right on equally many rows, each on rows of its own."""
    for _ in range(races):
        values = rng.permuted(
            np.tile(np.arange(ROWS) < BASE * ROWS, (SOLUTIONS + 1, 1)), axis=1
        ).astype(float)
        yield Race(values[1:], values[0], prompts)


def line(name: str, found: list[Found]) -> str:
    """One row of the table."""
    return (
        f"{name:46}{len(found):6,}{100 * np.mean([1 - f.share for f in found]):9.1f}"
        f"{100 * np.mean([f.dropped for f in found]):10.1f}{100 * np.mean([f.lost for f in found]):11.2f}"
        f"{np.mean([f.points for f in found]):13.3f}{np.mean([f.blocks for f in found]):8.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--races", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--block", type=int, default=256, help="prompts of a block, as evaluation.block"
    )
    given = parser.parse_args()
    begun, rng = time.monotonic(), np.random.default_rng(given.seed)
    print(f"alpha = {ALPHA} a race, {given.block} prompts a block")
    print(
        f"{'':46}{'races':>6}{'% saved':>9}{'% dropped':>10}{'% best lost':>11}{'points lost':>13}{'blocks':>8}"
    )
    for name, races in recorded(given.block):
        found = [run(race, rng) for _ in range(given.orders) for race in races]
        print(line(f"recorded: {name}", found), flush=True)
    for earlier, of in ((1, "a chance solution"), (16, "the best of 16")):
        for spread in (0.15, 0.08, 0.03, 0.0):
            drawn = simulated(spread, earlier, given.races, given.block, rng)
            name = f"accuracies +-{100 * spread:.0f} points, against {of}"
            print(line(name, [run(race, rng) for race in drawn]), flush=True)
    drawn = equals(given.races, given.block, rng)
    print(line("all equal on the rows", [run(race, rng) for race in drawn]), flush=True)
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
