"""Seconds that a step's scoring takes on a GPU, by schedule: full, halving, racing in blocks, and
racing in a window inside one call.

    python scripts/simulate_scoring.py [--steps 20] [--running 1024] [--seed 0]

No GPU and no model: an engine that gives every running request a token a pass, in
`BASE + EACH * running` seconds, with at most so many running at once. The two constants stand for an
8B model in 16 bits on an H100 with vLLM in the worker's own process: 7 ms to read the weights and to
schedule, and 45 us a sequence (21.7 us of host time a token, measured on a CPU, and the cache that a
token reads, computed). Whatever these are, the comparison is between schedules on one engine.

Lengths of replies are log-normal with mean 150 tokens, and a share of them loops to the limit of
1024 (`loops`), or is a label of 5. Scores are those of scripts/bench_racing.py: simulated solutions
whose accuracies spread by so many points, or the recorded ones of a real run.

A window asks in row order, one row's solutions after the other's, `window` requests in flight. When
all rows of a block are in, it decides as the race of blocks does, on these rows alone; requests of
solutions that are out and were not started are not asked; those that run already run on, and what
they say is discarded. The decisions, and so the results, are those of the race in blocks; that is
asserted for every race.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from bench_racing import ALPHA, Race, recorded, simulated

from opro_local.search import racing

BASE, EACH = 7e-3, 45e-6
LIMIT, MEAN, SIGMA, LABEL = 1024, 150, 0.6, 5


@dataclass(frozen=True)
class Outcome:
    """Seconds, pairs asked, and who was left at the end."""

    seconds: float
    asked: int
    alive: tuple[int, ...]


class Engine:
    """A clock that runs requests of known lengths, `running` at once, in the order they come."""

    def __init__(self, running: int) -> None:
        self.running, self.seconds, self.passes = running, 0.0, 0
        self._ends: list[tuple[int, int]] = []  # (the pass that ends it, the request)

    @property
    def busy(self) -> int:
        return len(self._ends)

    def start(self, request: int, tokens: int) -> None:
        heapq.heappush(self._ends, (self.passes + tokens, request))

    def advance(self) -> list[int]:
        """Run until the next request ends; which ended then."""
        end = self._ends[0][0]
        self.seconds += (end - self.passes) * (BASE + EACH * self.busy)
        self.passes = end
        ended = []
        while self._ends and self._ends[0][0] == end:
            ended.append(heapq.heappop(self._ends)[1])
        return ended

    def call(self, tokens: Sequence[int]) -> None:
        """All of these in one call, and wait for the last."""
        waiting = list(range(len(tokens)))[::-1]
        while waiting or self.busy:
            while waiting and self.busy < self.running:
                request = waiting.pop()
                self.start(request, tokens[request])
            self.advance()


def full(race: Race, lengths: np.ndarray, order: np.ndarray, running: int) -> Outcome:
    engine = Engine(running)
    engine.call(lengths.ravel().tolist())
    return Outcome(engine.seconds, lengths.size, tuple(range(len(lengths))))


def halving(race: Race, lengths: np.ndarray, order: np.ndarray, running: int) -> Outcome:
    engine, alive, done, asked = Engine(running), np.arange(len(lengths)), 0, 0
    total = lengths.shape[1]
    while done < total:
        upto = done + racing.part(done, total)
        part = lengths[alive][:, order[done:upto]]
        engine.call(part.ravel().tolist())
        asked, done = asked + part.size, upto
        if done < total:
            means = race.values[alive][:, order[:done]].mean(axis=1)
            alive = alive[~racing.halved(means)]
    return Outcome(engine.seconds, asked, tuple(alive.tolist()))


def blocks(race: Race, lengths: np.ndarray, order: np.ndarray, running: int) -> Outcome:
    engine, asked = Engine(running), 0
    solutions, total = race.values.shape
    seen, alive, done = np.full(race.values.shape, np.nan), np.ones(solutions, bool), 0
    while alive.any() and done < total:
        upto = done + racing.block(int(alive.sum()), total - done, race.prompts)
        part = lengths[alive][:, order[done:upto]]
        engine.call(part.ravel().tolist())
        asked += part.size
        seen[alive, done:upto] = race.values[alive][:, order[done:upto]]
        done = upto
        if done < total:
            alive &= ~racing.beaten(seen[:, :done], race.incumbent[order[:done]], total, ALPHA)
    return Outcome(engine.seconds, asked, tuple(np.flatnonzero(alive).tolist()))


class Window:
    """A race inside one call; see the file's beginning."""

    def __init__(
        self, race: Race, lengths: np.ndarray, order: np.ndarray, running: int, window: int
    ) -> None:
        self.race, self.lengths, self.order = race, lengths, order
        self.solutions, self.total = race.values.shape
        self.engine, self.window = Engine(running), min(window, running)
        self.alive = np.ones(self.solutions, bool)
        self.arrived = np.zeros((self.solutions, self.total), bool)  # by place in the order
        self.seen = np.full(race.values.shape, np.nan)
        self.done = self.next = self.asked = 0
        self.upto = racing.block(self.solutions, self.total, race.prompts)

    def fill(self) -> None:
        """Start what comes next in row order, without those that are out."""
        while self.engine.busy < self.window and self.next < self.solutions * self.total:
            row, solution = divmod(self.next, self.solutions)
            self.next += 1
            if self.alive[solution]:
                request = row * self.solutions + solution
                self.engine.start(request, int(self.lengths[solution, self.order[row]]))
                self.asked += 1

    def decide(self) -> None:
        """Decide every block whose rows are all in, by these rows alone."""
        while self.alive.any() and self.done < self.total:
            if not self.arrived[self.alive, self.done : self.upto].all():
                return
            rows = self.order[self.done : self.upto]
            self.seen[self.alive, self.done : self.upto] = self.race.values[self.alive][:, rows]
            self.done = self.upto
            if self.done < self.total:
                before = self.race.incumbent[self.order[: self.done]]
                self.alive &= ~racing.beaten(self.seen[:, : self.done], before, self.total, ALPHA)
            if self.alive.any() and self.done < self.total:
                left = self.total - self.done
                own = int(self.alive.sum())
                self.upto = self.done + racing.block(own, left, self.race.prompts)

    def run(self) -> Outcome:
        while self.alive.any() and self.done < self.total:
            self.fill()
            for request in self.engine.advance():
                row, solution = divmod(request, self.solutions)
                self.arrived[solution, row] = True
            self.decide()
        # What runs for nobody is aborted.
        return Outcome(self.engine.seconds, self.asked, tuple(np.flatnonzero(self.alive).tolist()))


def lengths_of(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Tokens of every reply: "label", or worked solutions of which a share loops, such as
    "loops 0.02"; "cut 0.02" ends a loop at 250 tokens.
    """
    if kind == "label":
        return np.full(shape, LABEL)
    what, share = kind.split()
    drawn = rng.lognormal(np.log(MEAN) - SIGMA**2 / 2, SIGMA, shape)
    looping = rng.random(shape) < float(share)
    longest = LIMIT if what == "loops" else 250
    return np.where(looping, longest, np.clip(drawn, 5, LIMIT)).astype(int)


Schedule = Callable[[Race, np.ndarray, np.ndarray, int], Outcome]


def compare(
    races: Sequence[Race], kind: str, running: int, in_flight: int, rng: np.random.Generator
) -> str:
    """One row of the table: mean seconds, and the windows' share of pairs asked."""
    seconds: dict[str, list[float]] = {
        name: [] for name in ("full", "halve", "blocks 256", "blocks running", "window")
    }
    asked = []
    for race in races:
        lengths = lengths_of(kind, race.values.shape, rng)
        order = rng.permutation(race.values.shape[1])
        wide = Race(race.values, race.incumbent, running)
        small = blocks(race, lengths, order, running)
        window = Window(race, lengths, order, running, in_flight).run()
        # The decisions are those of the blocks, whatever finished when.
        assert window.alive == small.alive
        seconds["full"].append(full(race, lengths, order, running).seconds)
        seconds["halve"].append(halving(race, lengths, order, running).seconds)
        seconds["blocks 256"].append(small.seconds)
        seconds["blocks running"].append(blocks(wide, lengths, order, running).seconds)
        seconds["window"].append(window.seconds)
        asked.append(window.asked / lengths.size)
    means = {name: float(np.mean(each)) for name, each in seconds.items()}
    best = min(value for name, value in means.items() if name != "window")
    cells = " | ".join(f"{value:.1f}" for value in means.values())
    return f"{cells} | {np.mean(asked):.2f} | {best / means['window']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="races a row")
    parser.add_argument("--running", type=int, default=1024, help="requests that run at once")
    parser.add_argument("--window", type=int, default=400, help="requests in flight of a window")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{given.running} requests at once, a window of {given.window}; seconds a step")
    print(
        "| races | replies | full | halve | blocks of 256 | blocks of all that run | window "
        "| asked in the window | the best of the others / window |\n" + "|---" * 9 + "|"
    )
    for kind in ("label", "loops 0", "loops 0.02", "cut 0.02"):
        sets = {
            "8 x 261, +-8 points": list(
                simulated(0.08, 16, given.steps, 256, np.random.default_rng(given.seed))
            ),
            "8 x 1044, +-8 points": [
                Race(np.tile(r.values, 4), np.tile(r.incumbent, 4), 256)
                for r in simulated(0.08, 16, given.steps, 256, np.random.default_rng(given.seed))
            ],
            "recorded, 17 x 200": [dict(recorded(256))["all 17 against the starting solution"][0]]
            * given.steps,
        }
        for name, races in sets.items():
            rng = np.random.default_rng((given.seed, 1))
            print(
                f"| {name} | {kind} | {compare(races, kind, given.running, given.window, rng)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
