"""Numbered things in the order of their cost, kept as they come.

For: the orders that a trajectory is asked for in every step, at a cost that does not grow with the
square of a run's length. Not for: what is ranked, or what it costs (trajectory.py).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

SORTED_AT_ONCE = 64  # more new ones than this are sorted together instead of put in one by one


class Ranking:
    """Places in ascending order of cost; of equals the one that came first stands first.

    Sixteen bytes for each, so that tens of thousands of solutions can be ranked in several ways.

    Attributes:
        taken: for whoever adds, how many of its things were looked at so far.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._costs, self._places = array("d"), array("q")

    def extend(self, places: Sequence[int], costs: Sequence[float]) -> None:
        """Rank further places, ascending and all above those that were added before."""
        if len(places) > SORTED_AT_ONCE:
            self._merge(places, costs)
            return
        for place, cost in zip(places, costs, strict=True):
            at = bisect_right(self._costs, cost)
            self._costs.insert(at, cost)
            self._places.insert(at, place)

    def first(self, count: int) -> Sequence[int]:
        """The first so many places."""
        return self._places[:count]

    def whole(self) -> np.ndarray:
        """All places in order; shape (n,), int64."""
        return np.array(self._places, np.int64)

    def _merge(self, places: Sequence[int], costs: Sequence[float]) -> None:
        whole_costs = np.concatenate([np.array(self._costs), np.array(costs, float)])
        whole_places = np.concatenate([self.whole(), np.array(places, np.int64)])
        # Stable, and new places follow the old ones, so equals stay in the order they came.
        order = np.argsort(whole_costs, kind="stable")
        self._costs = array("d", whole_costs[order].tobytes())
        self._places = array("q", whole_places[order].tobytes())
