"""Which class was answered with which, as a table that a page can show.

For: the confusion matrix of one prompt. Not for: counting answers (scoring/classes.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from opro_local.scoring.classes import ClassFigures

MOST_CLASSES = 12  # in one table; the smaller ones are summed up


@dataclass(frozen=True, slots=True)
class Cell:
    """How many rows of a class got an answer, and their share of the class, in tenths from 0."""

    count: int
    tenth: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """A class: how many rows it has, the answers by column, and the share that was right."""

    name: str
    rows: int
    cells: tuple[Cell, ...]
    recall: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        columns: the classes, "other" where further answers were given, and "unread".
        rows: the largest classes.
        left_out: how many smaller classes are not shown.
    """

    columns: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]
    left_out: int


def confusion(figures: ClassFigures) -> Confusion:
    """The matrix of a prompt's answers."""
    names = list(figures.classes)[:MOST_CLASSES]
    rows = [_row(figures, name, names) for name in names]
    return Confusion((*names, "other", "unread"), tuple(rows), len(figures.classes) - len(names))


def _row(figures: ClassFigures, name: str, names: list[str]) -> ConfusionRow:
    own = figures.classes[name]
    counts = [own.answers.get(answer, 0) for answer in names]
    counts += [sum(own.answers.values()) - sum(counts), own.unread]
    cells = [
        Cell(count, round(10 * count / own.rows), place < len(names) and names[place] == name)
        for place, count in enumerate(counts)
    ]
    return ConfusionRow(name, own.rows, tuple(cells), own.recall)
