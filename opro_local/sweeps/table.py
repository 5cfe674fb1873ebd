"""`sweep.csv`: a row for each cell of a sweep, for spreadsheets and data frames.

For: the same figures as sweep.json, flat. Not for: statistics over cells (summary.py).

A spreadsheet runs a text that begins with `=`, `+`, `-` or `@`, and models, data and names of
others are texts: such a text gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any

TABLE = "sweep.csv"
BEFORE = ("name", "id", "state", "error", "task", "model", "optimizer", "seed")
COUNTS = ("steps", "pairs", "seconds")
SUMS = {"calls": ("optimizer", "scorer"), "tokens": ("prompt", "completion")}
AFTER = ("digest", "path", "best_text")
SPLITS = ("train", "validation", "test")
FORMULA = re.compile(
    r"""
    [\s\x00-\x20\u200b\ufeff]*    # what a spreadsheet may strip
    [=+\-@|%\uff1d\uff0b\uff0d\uff20]  # begins a formula; the last four are the wide forms
    | [\t\r\n]                    # or is taken for the end of a field
    """,
    re.VERBOSE,
)


def table_of(sweep: Mapping[str, Any]) -> str:
    """The text of sweep.csv.

    Args:
        sweep: as sweep.json has it.
    """
    stream = io.StringIO()
    writer = csv.writer(stream)  # its \r\n has a lone \r in a text quoted
    keys = [key for key in sweep["keys"] if key != "run.seed"]
    figures = [name for split in SPLITS for name in _figures(split, {})]
    sums = [f"{name}_{part}" for name, parts in SUMS.items() for part in parts]
    head = (*BEFORE, *keys, *figures, "verdict", *COUNTS, *sums, *AFTER)
    writer.writerow([safe(name) for name in head])
    for cell in sweep["cells"]:
        values = [cell.get(name) for name in BEFORE]
        values += [cell["settings"].get(key) for key in keys]
        for split in SPLITS:
            values += _figures(split, cell.get(split) or {}).values()
        values += [cell.get("verdict"), *(cell.get(name) for name in COUNTS)]
        for name, parts in SUMS.items():
            values += [(cell.get(name) or {}).get(part) for part in parts]
        values += [cell.get(name) for name in AFTER]
        writer.writerow([safe(value) for value in values])
    return stream.getvalue()


def safe(value: Any) -> Any:
    """A value that a spreadsheet takes for a value."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if FORMULA.match(text) else text


def _figures(split: str, sides: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a split with their values."""
    columns: dict[str, Any] = {}
    for side in ("baseline", "best"):
        figures = sides.get(side) or {}
        own = figures.get("metric") or figures
        low, high = own.get("interval") or (None, None)
        name = f"{split}_{side}"
        columns |= {name: own.get("value", own.get("accuracy"))}
        columns |= {f"{name}_low": low, f"{name}_high": high, f"{name}_n": figures.get("n")}
    if split == "test":
        difference = sides.get("difference") or {}
        low, high = difference.get("interval") or (None, None)
        columns |= {"test_difference": difference.get("value")}
        columns |= {"test_difference_low": low, "test_difference_high": high}
        columns |= {"test_difference_p_value": difference.get("p_value")}
    return columns
