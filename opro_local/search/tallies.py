"""Two tallies that a trajectory keeps as it grows: what each operator gained, and who was wrong on
which example.

For: adding to them, and reading them at a cost that does not grow with a run's length. Not for:
what a gain is, or which entries count (trajectory.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.types import Score


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A proposal whose solution is not scored yet, and where its gain stands."""

    number: int
    operator: str
    place: int


class Gains:
    """Gains by operator, in the order of the proposals.

    Attributes:
        taken: how many proposals were decided; the next one to decide has this number.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Know nothing, as at the start."""
        self.taken = 0
        # Arrays: eight bytes for each, and summed at once.
        self._by_operator: dict[str, array[float]] = {}
        self._waiting: dict[str, list[_Waiting]] = {}

    def leave_out(self) -> None:
        """The next proposal counts for no operator."""
        self.taken += 1

    def settle(self, operator: str, gain: float, waits_for: str | None) -> None:
        """The gain of the next proposal; `waits_for` is the key that it may change with later."""
        own = self._by_operator.setdefault(operator, array("d"))
        if waits_for:
            waiting = _Waiting(self.taken, operator, len(own))
            self._waiting.setdefault(waits_for, []).append(waiting)
        own.append(gain)
        self.taken += 1

    def waiting(self, key: str) -> list[int]:
        """The numbers of the proposals that wait for this solution."""
        return [waiting.number for waiting in self._waiting.get(key, ())]

    def settle_late(self, key: str, gains: Sequence[float]) -> None:
        """What the proposals that waited for this solution gained, in the order of `waiting`."""
        for waiting, gain in zip(self._waiting.pop(key, ()), gains, strict=True):
            self._by_operator[waiting.operator][waiting.place] = gain

    def together_with(self, later: Sequence[tuple[str, float]]) -> Mapping[str, Sequence[float]]:
        """All gains by operator, with those of later proposals that are not to be kept yet."""
        if not later:
            return self._by_operator
        gains = {operator: own[:] for operator, own in self._by_operator.items()}
        for operator, gain in later:
            gains.setdefault(operator, array("d")).append(gain)
        return gains


class WrongCounts:
    """How many solutions were asked each train example, and how many of them were wrong."""

    def __init__(self, examples: int) -> None:
        self._wrong, self._asked = np.zeros(examples), np.zeros(examples)

    def add(self, score: Score) -> None:
        """Count one solution's score."""
        rows = slice(None) if score.rows is None else score.rows
        self._wrong[rows] += score.values < 1
        self._asked[rows] += 1

    def share(self) -> np.ndarray:
        """The share that was wrong; shape (examples,), 0 where none was asked."""
        return self._wrong / np.maximum(self._asked, 1)
