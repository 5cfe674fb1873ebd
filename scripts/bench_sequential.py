"""Error rate and power of the test behind `opro-local feedback compare`, looked at after every
single outcome.

    python scripts/bench_sequential.py [--experiments 2000] [--users 10000] [--seed 0]

Simulates experiments with equal arms (A/A) and with better challengers, and counts promotions;
beside it the repeated z-test that this replaces. "median" is the median number of users until
promotion.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from opro_local.feedback import sequential

ALPHA = 0.05
LOOKS = (500, 1000, 2000, 5000, 10000)
CHUNK = 100

# Draws the scores: given a generator, who is in the challenger's arm (experiments, users), and the
# effect.
Draw = Callable[[np.random.Generator, np.ndarray, float], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """One line of the table."""

    name: str
    effect: float
    share: float
    draw: Draw


def binary(rng: np.random.Generator, challenger: np.ndarray, effect: float) -> np.ndarray:
    """0/1 scores with the mean 0.70, for the challenger 0.70 + effect."""
    return (rng.random(challenger.shape) < 0.70 + effect * challenger).astype(float)


def drifting(rng: np.random.Generator, challenger: np.ndarray, effect: float) -> np.ndarray:
    """The same, but the mean of both arms swings between 0.50 and 0.90 with a period of 2,000
    users.
    """
    level = 0.70 + 0.20 * np.sin(2 * np.pi * np.arange(challenger.shape[1]) / 2000)
    return (rng.random(challenger.shape) < level + effect * challenger).astype(float)


def graded(rng: np.random.Generator, challenger: np.ndarray, effect: float) -> np.ndarray:
    """Scores of any size in [0, 1] with the mean 0.70 (beta 2.1, 0.9), for the challenger 0.70 +
    effect.
    """
    mean = 0.70 + effect * challenger
    return rng.beta(3 * mean, 3 * (1 - mean))


SETTINGS = (
    Setting("A/A, 50 % share", 0.0, 0.5, binary),
    Setting("A/A, 10 % share", 0.0, 0.1, binary),
    Setting("A/A, drifting", 0.0, 0.5, drifting),
    Setting("A/A, graded scores", 0.0, 0.5, graded),
    Setting("+2 points", 0.02, 0.5, binary),
    Setting("+5 points", 0.05, 0.5, binary),
    Setting("+5 points, 10 % share", 0.05, 0.1, binary),
    Setting("+5 points, graded", 0.05, 0.5, graded),
    Setting("+10 points", 0.10, 0.5, binary),
)


def simulate(
    setting: Setting, experiments: int, users: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Arms and scores, shape (up to 100, users) each, until there are as many experiments as asked
    for.
    """
    for first in range(0, experiments, CHUNK):
        rng = np.random.default_rng((seed, first))
        challenger = rng.random((min(CHUNK, experiments - first), users)) < setting.share
        yield challenger, setting.draw(rng, challenger, setting.effect)


def promotions(challenger: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """After how many users the sequential test promotes; 0 for never; shape (experiments,)."""
    return sequential.crossing(
        sequential.log_evidence(sequential.gaps(challenger, scores, share), share), ALPHA
    )


def naive(challenger: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The same for a one-sided z-test at the same level, repeated after every user from the 100th
    on.
    """
    n = np.arange(1, scores.shape[1] + 1)
    n1 = np.cumsum(challenger, axis=1)
    n0 = n - n1
    s1 = np.cumsum(scores * challenger, axis=1)
    total, squares = np.cumsum(scores, axis=1), np.cumsum(scores**2, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares / n - (total / n) ** 2
        z = (s1 / n1 - (total - s1) / n0) / np.sqrt(variance * (1 / n1 + 1 / n0))
    reached = (z >= stats.norm.ppf(1 - ALPHA)) & (n >= 100)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 0)


def line(setting: Setting, experiments: int, users: int, seed: int) -> str:
    """One row of the table."""
    found = [
        (promotions(challenger, scores, setting.share), naive(challenger, scores))
        for challenger, scores in simulate(setting, experiments, users, seed)
    ]
    ours, theirs = (np.concatenate(column) for column in zip(*found, strict=True))
    rates = [
        f"{100 * np.mean((ours > 0) & (ours <= look)):8.1f}" for look in LOOKS if look <= users
    ]
    low, high = stats.binomtest(int((ours > 0).sum()), experiments).proportion_ci(method="wilson")
    median = np.median(np.where(ours > 0, ours, np.inf))
    waited = f"{median:8,.0f}" if np.isfinite(median) else f"{'-':>8}"
    interval = f"{100 * low:5.1f} to {100 * high:5.1f}"
    return (
        f"{setting.name:24}{''.join(rates)}  {interval}  {waited}  {100 * np.mean(theirs > 0):8.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        f"{given.experiments:,} experiments each, alpha = {ALPHA}, a look after every user, "
        f"baseline mean 0.70"
    )
    looks = "".join(f"{look:8,}" for look in LOOKS if look <= given.users)
    print(f"{'% promoted within':24}{looks}  95 % interval    median  repeated z-test")
    for setting in SETTINGS:
        print(line(setting, given.experiments, given.users, given.seed), flush=True)


if __name__ == "__main__":
    main()
