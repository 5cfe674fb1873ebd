"""New rows for a prediction, from a file or from a program, and as text with what was predicted.

For: reading rows that need no target, and showing them. Not for: the rows of a task
(tasks/loading.py), or predicting (prediction.py).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import DataError, UsageError
from opro_local.tasks import table
from opro_local.tasks.in_memory import json_lines
from opro_local.tasks.rows import Row, Table

PREDICTION = "prediction"
KINDS = (".csv", ".tsv", ".jsonl", ".ndjson")


def given_rows(rows: Any, column: str) -> Table:
    """Rows that a program gives: a path, a list of texts, or what tasks/in_memory.py reads.

    Args:
        rows: the rows.
        column: what the texts of a list are called.

    Raises:
        DataError: they are none of these.
    """
    if isinstance(rows, (str, Path)):
        return read_rows(Path(rows))
    if isinstance(rows, list | tuple) and any(isinstance(row, str) for row in rows):
        rows = _named(rows, column)
    lines = json_lines(rows)
    if list(lines) != [""]:
        raise DataError(f"the rows are in {len(lines)} splits", "give those of one")
    columns = [json.loads(line) for line in lines[""].splitlines()]
    names = tuple(dict.fromkeys(name for row in columns for name in row))
    made = [Row(f"row {number}", row) for number, row in enumerate(columns, 1)]
    return Table("the rows", names, made)


def _named(rows: Sequence[Any], column: str) -> list[dict[str, str]]:
    """A list of texts as rows. Raises DataError naming the first that is none."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, str):
            raise DataError(
                f"row {number} is of type {type(row).__name__}, others are texts: {row!r:.60}",
                "give a list of texts, or of dicts",
            )
    return [{column: row} for row in rows]


def read_rows(path: Path, typed: bool = False) -> Table:
    """The rows of a file, as texts or as JSON and Parquet have them. Raises DataError."""
    tables = table.read(str(path), typed=typed)
    if len(tables) > 1:
        raise DataError(f"{path}: holds several splits ({', '.join(tables)})", "give one of them")
    (only,) = tables.values()
    return only


def check_output(path: Path) -> None:
    """Raise UsageError where rows can't be written to a file of this name."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(
            f"--output {path}: of unknown kind {path.suffix!r}", f"accepted: {', '.join(KINDS)}"
        )


def check_columns(rows: Table) -> None:
    """Raise DataError where the rows can't get a column `prediction`."""
    if PREDICTION in rows.columns:
        raise DataError(f"{rows.where}: there is a column {PREDICTION!r} already", "rename it")
    if rows.repeated:
        name = next(iter(rows.repeated))
        raise DataError(f"{rows.where}: several columns are called {name!r}", "rename them")


def is_lines(path: Path) -> bool:
    """Whether a file of this name holds JSON Lines."""
    return path.suffix.lower() in (".jsonl", ".ndjson")


def as_lines(rows: Table, predicted: Sequence[str | None]) -> str:
    """The rows as JSON Lines, each with its prediction, "" where there is none.

    Args:
        rows: typed; types stay, what JSON has no type for becomes text.
        predicted: a value for each row.
    """
    made = [
        {**row.columns, PREDICTION: value or ""}
        for row, value in zip(rows.rows, predicted, strict=True)
    ]
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in made)


def as_table(rows: Table, predicted: Sequence[str | None], delimiter: str) -> str:
    """The rows as CSV or TSV, each with its prediction; fields are quoted where they have to be,
    and nothing else is done to them.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow([*rows.columns, PREDICTION])
    for row, value in zip(rows.rows, predicted, strict=True):
        writer.writerow([*(row.columns.get(name) or "" for name in rows.columns), value or ""])
    return stream.getvalue()
