"""What classical searches reach with as many evaluated points as OPRO had.

For: CMA-ES, coordinate and random search over a grid, and random draws of anything else. Not for:
objectives.

Each counts a point once, as OPRO scores a solution once, and knows OPRO's starting points.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np

P = TypeVar("P", bound=Hashable)
Point = tuple[float, float]
DRAWS = 11  # runs of a random baseline; its value is their median
PATIENCE = 10  # asks per allowed evaluation, after which a search that repeats itself has ended


class Spent(Exception):
    """The evaluations or the asks are used up."""


class CountedFunction(Generic[P]):
    """A function to be minimized that is asked for at most `limit` distinct points, the starting
    ones included.

    Args:
        function: what is to be minimized.
        limit: how many points may be evaluated; asking again for a known one is free.
        starts: points that are known from the start, as OPRO's starting solutions are.
        floor: the least value there is; a search that reached it has ended.

    Raises (when called):
        Spent: a further point would be one too many, or `floor` is reached.
    """

    def __init__(
        self, function: Callable[[P], float], limit: int, starts: Sequence[P], floor: float
    ) -> None:
        self._function, self._limit, self._floor = function, limit, floor
        self._asks = 0
        self.known = {start: function(start) for start in starts[:limit]}

    def __call__(self, point: P) -> float:
        self._asks += 1
        if self._asks > PATIENCE * self._limit:
            raise Spent
        if point in self.known:
            return self.known[point]
        if len(self.known) >= self._limit:
            raise Spent
        value = self.known[point] = self._function(point)
        if value <= self._floor:
            raise Spent
        return value

    def best(self, search: Callable[[CountedFunction[P]], None]) -> float:
        """The least value once a search over this function has ended."""
        with contextlib.suppress(Spent):
            search(self)
        return min(self.known.values())


def random_search(
    function: Callable[[P], float],
    limit: int,
    starts: Sequence[P],
    floor: float,
    draw: Callable[[np.random.Generator], P],
) -> float:
    """Random search: the median over DRAWS runs of the best of `starts` and points that `draw`
    gives.
    """

    def search(counted: CountedFunction[P], rng: np.random.Generator) -> None:
        while True:
            counted(draw(rng))

    return _median(function, limit, starts, floor, search)


def cma_es(
    function: Callable[[Point], float], limit: int, starts: Sequence[Point], floor: float, box: Box
) -> float:
    """CMA-ES with margin (Hamano et al. 2022), made for grids, from the middle of the starts;
    median of DRAWS runs.
    """
    from cmaes import CMAwM

    def search(counted: CountedFunction[Point], rng: np.random.Generator) -> None:
        # A strategy that stops before the evaluations are spent is started again.
        while True:
            strategy = CMAwM(
                mean=np.mean(starts, axis=0),
                sigma=max(0.3 * box.spread, box.unit),
                bounds=np.array([[box.low, box.high]] * 2),
                steps=np.array([box.unit] * 2),
                seed=int(rng.integers(1 << 31)),
            )
            while not strategy.should_stop():
                population = [strategy.ask() for _ in range(strategy.population_size)]
                # The point on the grid is evaluated, the one off it is what the strategy learns by.
                strategy.tell([(off, counted(box.point(*on))) for on, off in population])

    return _median(function, limit, starts, floor, search)


def coordinate_search(
    function: Callable[[Point], float], limit: int, starts: Sequence[Point], floor: float, box: Box
) -> float:
    """Coordinate search from the best start: one step along an axis that helps, else steps of half
    the length.
    """

    def search(counted: CountedFunction[Point]) -> None:
        at = min(counted.known, key=counted.known.__getitem__)
        length = max(box.spread, box.unit)
        while length >= box.unit:
            w, b = at
            near = [(w + length, b), (w - length, b), (w, b + length), (w, b - length)]
            for point in near:
                better = box.point(*point)
                if counted(better) < counted(at):
                    at = better
                    break
            else:
                length /= 2

    return CountedFunction(function, limit, starts, floor).best(search)


def _median(
    function: Callable[[P], float],
    limit: int,
    starts: Sequence[P],
    floor: float,
    search: Callable[[CountedFunction[P], np.random.Generator], None],
) -> float:
    def run(seed: int) -> float:
        rng = np.random.default_rng(seed)
        return CountedFunction(function, limit, starts, floor).best(
            lambda counted: search(counted, rng)
        )

    return statistics.median(run(seed) for seed in range(DRAWS))


class Box:
    """The pairs that may be proposed: a grid between two bounds.

    Args:
        low, high: the bounds of either number.
        decimals: of the grid.
        spread: width of the region that the starts come from.
    """

    def __init__(self, low: float, high: float, decimals: int, spread: float) -> None:
        self.low, self.high, self.spread, self.decimals = low, high, spread, decimals
        self.unit = 10.0**-decimals

    def point(self, w: float, b: float) -> Point:
        """The nearest pair on the grid."""
        return self._on(w), self._on(b)

    def draw(self, rng: np.random.Generator) -> Point:
        """A uniformly drawn pair."""
        return self.point(*rng.uniform(self.low - self.unit / 2, self.high + self.unit / 2, 2))

    def _on(self, value: float) -> float:
        # Adding 0 makes -0.0 the 0.0 that it equals, so that one pair is written one way.
        return round(min(max(float(value), self.low), self.high), self.decimals) + 0.0
