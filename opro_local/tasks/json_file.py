"""JSON and JSON Lines files: one object a row, with the places of what is wrong.

For: rows as they are written (numbers keep their digits), and one JSON value of a file. Not for:
encodings (text_file.py), or which columns are needed (table.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.tasks.rows import BY_ITSELF, Row, Table, TableFormat, text_of
from opro_local.tasks.text_file import read_text

LINES_HINT = "write one object a line"
# What JSON takes for space between two values of an array.
SPACE = re.compile(r"[ \t\r\n]*")


def read_json(path: Path, typed: bool, file_format: TableFormat = BY_ITSELF) -> Table:
    """The table in a JSON Lines or JSON file; lines that are no rows are its bad rows.

    A .json file may be an array of objects, one object a line, or what pandas' `to_json` writes
    (columns, index, split or table).

    Args:
        path: the file.
        typed: values keep their JSON types instead of becoming text.
        file_format: its encoding.

    Raises:
        DataError: the file can't be read or is no such JSON.
    """
    kind = path.suffix.lower()
    text = read_text(path, file_format.encoding)
    is_array = text.lstrip()[0] == "["
    if is_array and kind != ".json":
        raise DataError(
            f"{path}:1: a JSON array, not JSON Lines", f"{LINES_HINT}, or rename the file to .json"
        )
    whole = None if is_array or kind != ".json" else _whole_table(path, text, typed, file_format)
    read_rows = _array_rows if is_array else _line_rows
    rows, bad = [], []
    for row in whole or read_rows(path, text, typed):
        if isinstance(row, Row):
            rows.append(row)
        else:
            bad.append(row)
    columns = tuple(dict.fromkeys(name for row in rows for name in row.columns))
    return Table(f"{path}:1", columns, rows, tuple(bad))


def _whole_table(
    path: Path, text: str, typed: bool, file_format: TableFormat
) -> list[Row | DataError] | None:
    """The rows of a file that is one object with a table in it; None where it is no such object."""
    try:
        plain, exact = _decoder(typed=False).decode(text), _decoder(typed=True).decode(text)
    except (ValueError, RecursionError):
        return None  # one object a line, or no JSON at all
    shape = _shape(exact, frozenset(file_format.columns))
    if shape is None:
        return None
    rows: list[Row | DataError] = []
    # Numbers as they are written are in the one, nested values as they are in the other.
    for number, (as_text, as_it_is) in enumerate(zip(shape(plain), shape(exact), strict=True), 1):
        where = f"{path}:{number}"
        try:
            rows.append(Row(where, _cells(as_text, as_it_is, typed)))
        except ValueError as error:
            rows.append(_json_error(where, error))
    return rows


def _cells(as_text: Mapping[str, Any], as_it_is: Mapping[str, Any], typed: bool) -> dict[str, Any]:
    cells = {}
    for name, value in as_it_is.items():
        if isinstance(value, (dict, list)) or typed:
            cells[name] = value
        else:
            cells[name] = as_text[name]
    texts = {name: text_of(value) for name, value in cells.items()}
    for name, text in texts.items():
        check_surrogates(name, text or "")
    return cells if typed else texts


# What makes rows of the object that a file is.
_Shape = Callable[[Any], list[dict[str, Any]]]


def _shape(value: Any, columns: frozenset[str]) -> _Shape | None:
    """How rows lie in an object: pandas' four ways and a single list of objects; None for none of
    them.
    """
    if not isinstance(value, dict):
        return None
    if set(value) >= {"columns", "data"} and set(value) <= {"columns", "index", "data"}:
        return _split_rows if _are_lists(value["data"], len(value["columns"])) else None
    lists = [name for name, item in value.items() if _are_objects(item)]
    if len(lists) == 1 and (len(value) == 1 or lists == ["data"]):
        return lambda whole: whole[lists[0]]
    if not value or not all(isinstance(item, dict) and item for item in value.values()):
        return None
    is_by_row = _is_by_row(value, columns)
    if is_by_row is None:
        return None
    return _row_objects if is_by_row else _column_rows


def _is_by_row(value: Mapping[str, Mapping[str, Any]], columns: frozenset[str]) -> bool | None:
    """Whether an object of objects has rows and not columns in it (`orient="index"`, and not
    `"columns"`); None where it may be either, or neither.

    The names of the columns in use say it, then an index of numbers, then that a table has more
    rows than columns.
    """
    first, *others = (set(item) for item in value.values())
    are_alike = all(names == first for names in others)
    in_rows, in_columns = columns <= first.union(*others), columns <= set(value)
    if columns and in_rows != in_columns:
        # Rows may lack a value, columns have one for every row.
        return in_rows if in_rows or are_alike else None
    if not are_alike:
        return None
    if _are_numbers(first) != _are_numbers(value):
        return _are_numbers(value)
    return None if len(value) == len(first) else len(value) > len(first)


def _split_rows(value: Any) -> list[dict[str, Any]]:
    """`orient="split"`: names in one list, rows in another."""
    return [dict(zip(value["columns"], row, strict=True)) for row in value["data"]]


def _row_objects(value: Any) -> list[dict[str, Any]]:
    """`orient="index"`: a row is an object of the column to the cell."""
    return list(value.values())


def _column_rows(value: Any) -> list[dict[str, Any]]:
    """`orient="columns"`, pandas' default: a column is an object of the index to the cell."""
    index = next(iter(value.values()))
    return [{name: cells[key] for name, cells in value.items()} for key in index]


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _are_lists(value: Any, length: int) -> bool:
    are = isinstance(value, list) and all(isinstance(row, list) for row in value)
    return are and all(len(row) == length for row in value)


def _are_numbers(names: Iterable[str]) -> bool:
    return all(name.isdecimal() for name in names)


def _line_rows(path: Path, text: str, typed: bool) -> Iterator[Row | DataError]:
    # Only \n ends a line: JSON strings may hold the other characters that str.splitlines takes for
    # line ends.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = _decoder(typed).decode(line)
            yield Row(where, _json_columns(value, line, typed))
        except (ValueError, RecursionError) as error:
            yield _json_error(where, error)


def _array_rows(path: Path, text: str, typed: bool) -> Iterator[Row | DataError]:
    decoder = _decoder(typed)
    at = _after_space(text, text.index("[") + 1)
    # Lines are counted up to a place, so that none is counted twice.
    line, counted = 1, 0
    comma = False
    while text[at : at + 1] not in ("]", ""):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _json_error(f"{path}:{getattr(error, 'lineno', line)}", error) from None
        try:
            yield Row(f"{path}:{line}", _json_columns(value, text[at:end], typed))
        except (ValueError, RecursionError) as error:
            yield _json_error(f"{path}:{line}", error)
        at = _after_space(text, end)
        comma = text[at : at + 1] == ","
        if not comma:
            break
        at = _after_space(text, at + 1)
    closed = text[at : at + 1] == "]" and not comma
    rest = _after_space(text, at + 1) if closed else at
    if not closed or rest < len(text):
        expected = (
            "an object expected after ','" if comma else "a ',' or the end of the array expected"
        )
        raise DataError(
            f"{path}:{text.count(chr(10), 0, rest) + 1}: no JSON: {expected}", "correct the file"
        )


def _after_space(text: str, at: int) -> int:
    space = SPACE.match(text, at)
    # It matches everywhere, if only no space at all.
    return space.end() if space else at


def document(path: Path) -> Any:
    """The one JSON value that a file holds. Raises DataError with the line where it is no JSON."""
    text = read_text(path)
    try:
        return _decoder(typed=True).decode(text.strip())
    except (ValueError, RecursionError) as error:
        raise _json_error(f"{path}:{getattr(error, 'lineno', 1)}", error) from None


def _decoder(typed: bool) -> json.JSONDecoder:
    if typed:
        return json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
    # Numbers stay the text they are: 1 is "1", 1.0 is "1.0", and 2000 digits are no error.
    return json.JSONDecoder(
        object_pairs_hook=_pairs, parse_int=str, parse_float=str, parse_constant=_constant
    )


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} appears twice")
    return values


def _constant(name: str) -> None:
    """NaN, which Python writes where a value is missing, is null; infinities are nothing."""
    if name != "NaN":
        raise ValueError(f"{name} is not JSON; write null or a number")


def _json_error(where: str, error: Exception) -> DataError:
    if isinstance(error, json.JSONDecodeError):
        return DataError(
            f"{where}: no JSON: {error.msg.lower()} at column {error.colno}", LINES_HINT
        )
    if isinstance(error, RecursionError):
        return DataError(f"{where}: nested too deep", LINES_HINT)
    return DataError(f"{where}: {error}", "correct the row")


def _json_columns(value: Any, raw: str, typed: bool) -> dict[str, Any]:
    if not isinstance(value, dict):
        plain = dict.fromkeys((str, int, float), "a string or a number")
        kind = {list: "an array", bool: "true or false", **plain}.get(type(value), "null")
        raise ValueError(f"{kind} where an object with named columns is expected")
    nested = [name for name, item in value.items() if isinstance(item, (dict, list))]
    if nested and not typed:
        # Nested values become JSON text; parsed again, because the first pass made strings of their
        # numbers.
        again = json.loads(raw)
        value |= {name: again[name] for name in nested}
    columns = {name: text_of(item) for name, item in value.items()}
    if "\\u" in raw:
        for name, item in columns.items():
            check_surrogates(name, item or "")
    return value if typed else columns


def check_surrogates(name: str, text: str) -> None:
    """Raise ValueError where a column's name or value holds half a character, which no file in
    UTF-8 has.
    """
    if any("\ud800" <= character <= "\udfff" for character in name + text):
        raise ValueError(f"half a surrogate pair in the column {name!a}")
