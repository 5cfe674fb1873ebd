"""How far the cells of a sweep are, by the steps that they tell.

For: the best score so far, and an estimate of the time left. Not for: what cells came to
(records.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from opro_local.sweeps.cells import Cell
from opro_local.sweeps.journal import StepNote


class Progress:
    """The steps of the cells that a process runs.

    Attributes:
        best: the best train score of any cell so far, and the cell; None before there is one.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._begun = time.monotonic()
        # One more for what comes after the last step.
        self._wanted = {cell.id: cell.config.search.steps + 1 for cell in cells}
        self._done = dict.fromkeys(self._wanted, 0)
        self.best: tuple[float, Cell] | None = None

    def take_step(self, cell: Cell, note: StepNote) -> None:
        """A step of a cell is being scored."""
        self._done[cell.id] = max(self._done[cell.id], min(note.step, self._wanted[cell.id] - 1))
        if note.best is not None and (self.best is None or note.best > self.best[0]):
            self.best = (note.best, cell)

    def take_end(self, cell: Cell) -> None:
        """A cell has ended, however it did."""
        if cell.id in self._done:
            self._done[cell.id] = self._wanted[cell.id]

    def seconds(self) -> float:
        """Since this process began."""
        return time.monotonic() - self._begun

    def left(self) -> float | None:
        """By the share of steps that are done; None before there are any, and at the end."""
        done, wanted = sum(self._done.values()), sum(self._wanted.values())
        return self.seconds() * (wanted - done) / done if 0 < done < wanted else None
