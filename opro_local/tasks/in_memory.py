"""Rows that a program holds: a list of dicts, a pandas or polars DataFrame, a `datasets` object, an
Arrow table.

For: making of them what a file would hold, so that a run over them is a run like any other. Not
for: reading files (table.py). None of these libraries is imported here; the objects know how to
become rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opro_local.errors import DataError
from opro_local.tasks.arrow import item_feature
from opro_local.tasks.json_file import check_surrogates
from opro_local.tasks.rows import SPLIT_NAMES, text_of
from opro_local.types import Split

ACCEPTED = "a path, a list of dicts, a DataFrame, a datasets.Dataset or DatasetDict, an Arrow table"


def json_lines(data: Any) -> dict[Split | str, str]:
    """What is to be written for the rows: JSON Lines by split, under "" where there are no splits.

    Values become text as those of a file do (rows.text_of): missing ones (None, NaN, NaT) stay
    missing, and a ClassLabel's number becomes its name.

    Args:
        data: the rows; a mapping of several of these by the names of splits.

    Raises:
        DataError: it is none of these, has no rows, or a value that is no text, number or list.
    """
    if isinstance(data, Mapping):
        return {SPLIT_NAMES.get(str(name), str(name)): _lines(part) for name, part in data.items()}
    return {"": _lines(data)}


def _lines(data: Any) -> str:
    rows = _rows(data)
    if not rows:
        raise DataError("the data has no rows", "give at least one")
    return "".join(f"{_line(number, row)}\n" for number, row in enumerate(rows, 1))


def _rows(data: Any) -> Sequence[Mapping[str, Any]]:
    """The rows as mappings, by what the object offers."""
    if hasattr(data, "to_dicts"):  # polars
        rows = data.to_dicts()
    elif hasattr(data, "to_pylist"):  # Arrow
        rows = data.to_pylist()
    elif hasattr(data, "to_list") and hasattr(data, "features"):  # datasets
        rows = _with_class_names(data)
    elif hasattr(data, "to_dict") and hasattr(data, "columns"):  # pandas
        _check_unique([str(name) for name in data.columns])
        rows = data.to_dict(orient="records")
    else:
        rows = data
    if isinstance(rows, list | tuple):
        _check_mappings(rows)
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        return rows
    raise DataError(f"data of type {type(data).__name__} is not read", f"accepted: {ACCEPTED}")


def _check_mappings(rows: Sequence[Any]) -> None:
    """Raise DataError naming the first row that is no mapping."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(
                f"row {number} is of type {type(row).__name__}, no dict: {row!r:.60}",
                f"accepted: {ACCEPTED}",
            )


def _with_class_names(data: Any) -> list[dict[str, Any]]:
    kinds = {column: item_feature(feature) for column, feature in data.features.items()}
    names = {column: kind.names for column, kind in kinds.items() if hasattr(kind, "names")}
    rows: list[dict[str, Any]] = data.to_list()
    for row in rows:
        for column, labels in names.items():
            row[column] = _named(row[column], labels)
    return rows


def _named(value: Any, labels: Sequence[str]) -> Any:
    """The name of a class, or of each in a list of classes; -1 marks a row without a label."""
    if isinstance(value, list):
        return [_named(one, labels) for one in value]
    return labels[value] if value is not None and value >= 0 else None


def _check_unique(columns: Sequence[str]) -> None:
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{columns.count(twice)} columns are called {twice!r}", "rename them")


def _line(number: int, row: Mapping[Any, Any]) -> str:
    try:
        columns = {str(name): _text(value) for name, value in row.items()}
        for name, text in columns.items():
            check_surrogates(name, text or "")
        return json.dumps(columns, ensure_ascii=False)
    except (ValueError, TypeError) as error:
        raise DataError(f"row {number}: {error}", "give texts, numbers or lists") from None


def _text(value: Any) -> str | None:
    """A value as a file has it; NumPy's scalars and arrays are Python's own first."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if _is_missing(value):
        return None
    if not isinstance(value, (str, bytes, bool, int, float, list, dict)):
        value = str(value)  # dates, decimals, categories
    return text_of(value)


def _is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT, or pandas' NA, of which no comparison says yes or no."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return not isinstance(value, (list, dict)) and bool(value != value)
