"""Tables and lines on stdout that lose no word, however narrow the terminal is.

For: what verbs print for people. Not for: JSON. A table that is wider than the terminal is printed
a row at a time, each value with the name of its column.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console

from opro_local.cli.visible import visible

GAP = "  "


def stdout_console() -> Console:
    """stdout, where lines break between words on a terminal and stay whole elsewhere."""
    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal
    return console


def print_table(
    console: Console,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Collection[str] = (),
) -> None:
    """Print rows under the names of their columns, with what does not print as an escape.

    Args:
        console: where to.
        names: of the columns.
        rows: a text for each column.
        left: columns that stand at the left of their place; figures stand at the right.
    """
    table = [[visible(cell, kept="") for cell in row] for row in (names, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    most = _width(console)
    if most is not None and sum(widths) + len(GAP) * (len(widths) - 1) > most:
        for row in table[1:]:
            _print_row(console, table[0], row, most)
        return
    for number, row in enumerate(table):
        line = GAP.join(
            _padded(cell, width, name in left)
            for cell, width, name in zip(row, widths, names, strict=True)
        )
        style = None if number else "bold"
        console.print(line.rstrip(), markup=False, style=style, soft_wrap=True)


def _width(console: Console) -> int | None:
    """The columns that there are; None where output goes to a file that has none."""
    return console.width if console.is_terminal or "COLUMNS" in os.environ else None


def _padded(cell: str, width: int, is_left: bool) -> str:
    space = " " * (width - cell_len(cell))
    return cell + space if is_left else space + cell


def _print_row(console: Console, names: Sequence[str], row: Sequence[str], most: int) -> None:
    """A row as text: its first value, then the others with their names."""
    values = zip(names[1:], row[1:], strict=True)
    parts = [f"{name} {value}" for name, value in values if value]
    lines = wrap(", ".join(parts), max(most - 2, 10), break_on_hyphens=False)
    for line in (row[0] or names[0], *(f"  {line}" for line in lines)):
        console.print(line, markup=False, soft_wrap=True)
