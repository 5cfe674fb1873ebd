"""What classical searches reach with as many evaluated points as OPRO had.

For: CMA-ES, coordinate and random search over a grid, and random draws of anything else. Not for:
objectives.

Each counts a point once, as OPRO scores a solution once, and knows OPRO's starting points.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Hashable, Sequence

import numpy as np

Point = tuple[float, float]
DRAWS = 11  # runs of a random baseline; its value is their median
PATIENCE = 10  # asks per allowed evaluation, after which a search that repeats itself has ended


class Spent(Exception):
    """The evaluations or the asks are used up."""


class Counted:
    """A function to be minimized that is asked for at most `limit` distinct points, the starting
    ones included.

    Raises (when called):
        Spent: a further point would be one too many, or the least value there is, `floor`, is
        known.
    """

    def __init__(
        self,
        function: Callable[[Hashable], float],
        limit: int,
        starts: Sequence[Hashable],
        floor: float,
    ) -> None:
        self._function, self._limit, self._floor, self._asks = function, limit, floor, 0
        self.known = {start: function(start) for start in starts[:limit]}

    def __call__(self, point: Hashable) -> float:
        self._asks += 1
        if self._asks > PATIENCE * self._limit or (
            point not in self.known and len(self.known) >= self._limit
        ):
            raise Spent
        if point not in self.known:
            self.known[point] = self._function(point)
            if self.known[point] <= self._floor:
                raise Spent
        return self.known[point]

    def best(self, search: Callable[[Counted], None]) -> float:
        """The least value once a search over this function has ended."""
        with contextlib.suppress(Spent):
            search(self)
        return min(self.known.values())


def drawn(
    function: Callable,
    limit: int,
    starts: Sequence,
    floor: float,
    draw: Callable[[np.random.Generator], Hashable],
) -> float:
    """Random search: the median over DRAWS runs of the best of `starts` and points that `draw`
    gives.
    """

    def search(counted: Counted, rng: np.random.Generator) -> None:
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

    def search(counted: Counted, rng: np.random.Generator) -> None:
        while True:
            strategy = CMAwM(
                mean=np.mean(starts, axis=0),
                sigma=max(0.3 * box.spread, box.unit),
                bounds=np.array([[box.low, box.high]] * 2),
                steps=np.array([box.unit] * 2),
                seed=int(rng.integers(1 << 31)),
            )
            while not strategy.should_stop():
                asked = [strategy.ask() for _ in range(strategy.population_size)]
                strategy.tell([(told, counted(box.point(*shown))) for shown, told in asked])

    return _median(function, limit, starts, floor, search)


def coordinate(
    function: Callable[[Point], float], limit: int, starts: Sequence[Point], floor: float, box: Box
) -> float:
    """Coordinate search from the best start: one step along an axis that helps, else steps of half
    the length.
    """

    def search(counted: Counted) -> None:
        at = min(counted.known, key=counted.known.__getitem__)
        length = max(box.spread, box.unit)
        while length >= box.unit:
            w, b = at
            near = [(w + length, b), (w - length, b), (w, b + length), (w, b - length)]
            better = next(
                (p for p in (box.point(*p) for p in near) if counted(p) < counted(at)), None
            )
            length = length if better else length / 2
            at = better or at

    return Counted(function, limit, starts, floor).best(search)


def _median(
    function: Callable,
    limit: int,
    starts: Sequence,
    floor: float,
    search: Callable[[Counted, np.random.Generator], None],
) -> float:
    def run(seed: int) -> float:
        rng = np.random.default_rng(seed)
        return Counted(function, limit, starts, floor).best(lambda counted: search(counted, rng))

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
        return round(min(max(float(value), self.low), self.high), self.decimals) + 0.0
