"""How the classes of a labelled task fare, on the terminal.

For: the table of classes under a search's result. Not for: the rest of a result (printing.py).
"""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from opro_local.cli.visible import visible
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.scoring.classes import ClassCounts, ClassFigures

# More classes than these have no line on the terminal; the JSON has them all.
MOST_SHOWN = 20


def classes_table(outcome: SearchOutcome) -> Table | None:
    """The classes on the split that says most of them; None where answers are no classes."""
    if outcome.classified is None:
        return None
    _, sides = outcome.classified
    if sides.baseline.classes is None or sides.best.classes is None:
        return None
    return _table(sides.baseline.classes, sides.best.classes)


def _table(baseline: ClassFigures, best: ClassFigures) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("class", "rows", "right before", "right now", "precision", "F1", "else read as"):
        is_text = name in ("class", "else read as")
        table.add_column(name, justify="left" if is_text else "right")
    for name, own in list(best.classes.items())[:MOST_SHOWN]:
        before = baseline.classes[name].recall
        table.add_row(
            Text(visible(name)),
            str(own.rows),
            f"{100 * before:.1f} %",
            f"{100 * own.recall:.1f} %",
            f"{100 * own.precision:.1f} %",
            f"{100 * own.f1:.1f} %",
            Text(visible(_mistakes(name, own))),
        )
    left_out = len(best.classes) - MOST_SHOWN
    if left_out > 0:
        table.add_row(Text(f"and {left_out} more: --json"))
    return table


def _mistakes(name: str, own: ClassCounts) -> str:
    """What rows of a class were wrongly read as, most frequent first: "negative 3, unread 1"."""
    wrong = {answer: count for answer, count in own.answers.items() if answer != name}
    shown = [f"{answer} {count}" for answer, count in list(wrong.items())[:3]]
    if own.unread:
        shown.append(f"unread {own.unread}")
    return ", ".join(shown)
