"""How the classes of a labelled task fare, on the terminal.

For: the table of classes under a search's result. Not for: the rest of a result (printing.py).
"""

from __future__ import annotations

from rich.console import Console

from opro_local.cli.tables import print_table
from opro_local.cli.visible import print_line
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.scoring.classes import ClassCounts, ClassFigures

# More classes than these have no line on the terminal; the JSON has them all.
MOST_SHOWN = 20


def print_classes(console: Console, outcome: SearchOutcome) -> None:
    """Print the classes on the split that says most of them; nothing where answers are no
    classes.
    """
    if outcome.classified is None:
        return
    _, sides = outcome.classified
    if sides.baseline.classes is not None and sides.best.classes is not None:
        _print(console, sides.baseline.classes, sides.best.classes)


def _print(console: Console, baseline: ClassFigures, best: ClassFigures) -> None:
    rows = []
    for name, own in list(best.classes.items())[:MOST_SHOWN]:
        shares = (baseline.classes[name].recall, own.recall, own.precision, own.f1)
        figures = [f"{100 * share:.1f} %" for share in shares]
        rows.append((name, str(own.rows), *figures, _mistakes(name, own)))
    names = ("class", "rows", "right before", "right now", "precision", "F1", "else read as")
    print_table(console, names, rows, {"class", "else read as"})
    left_out = len(best.classes) - MOST_SHOWN
    if left_out > 0:
        print_line(console, f"and {left_out} more: --json")


def _mistakes(name: str, own: ClassCounts) -> str:
    """What rows of a class were wrongly read as, most frequent first: "negative 3, unread 1"."""
    wrong = {answer: count for answer, count in own.answers.items() if answer != name}
    shown = [f"{answer} {count}" for answer, count in list(wrong.items())[:3]]
    if own.unread:
        shown.append(f"unread {own.unread}")
    return ", ".join(shown)
