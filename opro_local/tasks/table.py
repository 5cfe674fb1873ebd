"""Tables of text from a user's file: CSV, TSV, JSON Lines, JSON, Parquet, or a folder saved by
`datasets`.

For: reading rows as they are written, and errors that name the line. `007`, `NA` and `None` stay
the text they are; JSON numbers keep their digits. Not for: splits, benchmarks' own formats,
guessing what a malformed line meant, or Arrow itself (arrow.py).
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.tasks.arrow import read_parquet, read_saved
from opro_local.tasks.rows import MAX_FIELD, SPLIT_NAMES, Row, Table, text_of
from opro_local.types import Example

KINDS = (
    ".csv, .tsv, .jsonl, .ndjson, .json, .parquet, "
    "or a folder of Parquet files or saved by datasets"
)
# What a file's name begins with, which names its split: "train-00000-of-00002.parquet".
SPLIT_OF_FILE = re.compile("[A-Za-z]*")
# What JSON takes for space between two values of an array.
SPACE = re.compile(r"[ \t\r\n]*")
QUOTE_HINT = 'double the quotes inside a quoted field ("") and close it with one quote'
LINES_HINT = "write one object a line"


def read(path: str, typed: bool = False, only: Collection[str] = ()) -> dict[str, Table]:
    """Every table in a file or folder, by split name where the data names splits, under "" where it
    doesn't.

    Args:
        path: the file or folder.
        typed: values keep their JSON or Arrow types (lists, numbers, class numbers) instead of
        becoming text.
        only: of a folder with named splits, read these splits; all of them if empty.

    Raises:
        DataError: the file is missing, of an unknown kind, malformed or without rows.
    """
    place = Path(path)
    if place.is_dir():
        return {name: _not_empty(table) for name, table in _read_folder(place, typed, only).items()}
    if not place.exists():
        raise DataError(f"{path}: no such file", "check the path")
    kind = place.suffix.lower()
    if kind in (".csv", ".tsv"):
        table = _read_csv(place, "\t" if kind == ".tsv" else ",")
    elif kind in (".jsonl", ".ndjson", ".json"):
        table = _read_json(place, kind, typed)
    elif kind == ".parquet":
        table = read_parquet(place, typed)
    else:
        raise DataError(f"{path}: files of kind {kind!r} are not read", f"accepted: {KINDS}")
    return {"": _not_empty(table)}


def _not_empty(table: Table) -> Table:
    if not table.rows:
        raise DataError(f"{table.where}: no rows", "the file needs at least one row of data")
    return table


def examples(
    table: Table, prefix: str, input_column: str, target_column: str, targets: bool = True
) -> list[Example]:
    """The table's rows as examples with the ids `prefix:0`, `prefix:1`, ...

    Without `targets` neither the target column nor anything in it is needed: a missing target is
    "".

    Raises:
        DataError: a column does not exist, or a row has no input or no target.
    """
    needed = (input_column, target_column) if targets else (input_column,)
    for column in needed:
        if column not in table.columns:
            raise DataError(
                f"{table.where}: no column {column!r}", column_hint(column, table.columns)
            )
    made = []
    for index, row in enumerate(table.rows):
        columns = {name: row.columns.get(name) or "" for name in table.columns}
        for column in needed:
            if not columns[column].strip():
                raise DataError(
                    f"{row.where}: nothing in the column {column!r}", "fill it in or remove the row"
                )
        target = columns.get(target_column, "")
        made.append(Example(f"{prefix}:{index}", columns, columns[input_column], target, row.where))
    return made


def column_hint(column: str, columns: Sequence[str]) -> str:
    """What to say after "no column": the columns there are, and the nearest."""
    there = ", ".join(repr(name[:60]) for name in columns[:30])
    if len(columns) > 30:
        there += ", ..."
    if len(columns) == 1 and (sign := re.search("[;\t|,]", columns[0])):
        return (
            f"the only column is {there}: it seems divided by {sign[0]!r}, "
            "a .csv by ',' and a .tsv by tabs"
        )
    near = difflib.get_close_matches(
        column.casefold(), [name.casefold() for name in columns], 1, 0.5
    )
    for name in columns:
        if near and name.casefold() == near[0]:
            return f"the columns are {there}; did you mean {name!r}?"
    return f"the columns are {there}"


def read_text(path: Path) -> str:
    """The file as text, without its byte order mark.

    Raises:
        DataError: it can't be read, is no UTF-8 (the byte and the line are named), holds NULs or is
        empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: {(error.strerror or str(error)).lower()}", "check the path"
        ) from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}:1: the file is UTF-16", "save it as UTF-8")
    if (at := data.find(b"\0")) >= 0:
        raise DataError(
            f"{path}:{_line(data, at)}: a NUL byte",
            "the file is damaged or no text; save it as UTF-8",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte, line = error.object[error.start], _line(error.object, error.start)
        raise DataError(
            f"{path}:{line}: the byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8"
        ) from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty", "give a file with rows")
    return text


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def records(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """The records of a CSV file that are not blank, each with the line on which it starts, counted
    from 1.

    Raises:
        DataError: the file can't be read, or a quote is not closed.
    """
    text = read_text(path)
    with _long_fields():
        return list(_csv_records(path, text, delimiter))


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        # The limit belongs to the whole process.
        csv.field_size_limit(before)


def _read_csv(path: Path, delimiter: str) -> Table:
    text = read_text(path)
    with _long_fields():
        return _csv_table(path, _csv_records(path, text, delimiter))


def _csv_table(path: Path, lines: Iterator[tuple[int, list[str]]]) -> Table:
    line, header = next(lines)
    header = [name.strip() for name in header]
    for name in header:
        if header.count(name) > 1:
            raise DataError(
                f"{path}:{line}: {header.count(name)} columns are called {name!r}", "rename them"
            )
    rows = []
    for number, fields in lines:
        if len(fields) != len(header):
            hint = "add what is missing"
            if len(fields) > len(header):
                hint = "quote fields that hold the separator"
            raise DataError(
                f"{path}:{number}: {len(fields)} fields where the header has {len(header)}", hint
            )
        rows.append(Row(f"{path}:{number}", dict(zip(header, fields, strict=True))))
    return Table(f"{path}:{line}", tuple(header), rows)


def _csv_records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # strict: without it a quote that is never closed swallows the rest of the file in silence.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _csv_error(f"{path}:{start}", str(error)) from None
        if fields:
            yield start, fields


def _csv_error(where: str, message: str) -> DataError:
    if "field limit" in message:
        what = f"a field is too large (more than {MAX_FIELD:,} characters)"
        return DataError(f"{where}: {what}", "shorten it, or close the quote it starts with")
    if "unexpected end" in message:
        return DataError(f"{where}: a quoted field is never closed", QUOTE_HINT)
    return DataError(f"{where}: text follows a closing quote", QUOTE_HINT)


def _read_json(path: Path, kind: str, typed: bool) -> Table:
    text = read_text(path)
    is_array = text.lstrip()[0] == "["
    if is_array and kind != ".json":
        raise DataError(
            f"{path}:1: a JSON array, not JSON Lines", f"{LINES_HINT}, or rename the file to .json"
        )
    read_rows = _array_rows if is_array else _line_rows
    rows = list(read_rows(path, text, typed))
    columns = tuple(dict.fromkeys(name for row in rows for name in row.columns))
    return Table(f"{path}:1", columns, rows)


def _line_rows(path: Path, text: str, typed: bool) -> Iterator[Row]:
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
            raise _json_error(where, error) from None


def _array_rows(path: Path, text: str, typed: bool) -> Iterator[Row]:
    decoder = _decoder(typed)
    at = _after_space(text, text.index("[") + 1)
    # Lines are counted up to a place, so that none is counted twice.
    line, counted = 1, 0
    comma = False
    while text[at : at + 1] not in ("]", ""):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
            yield Row(f"{path}:{line}", _json_columns(value, text[at:end], typed))
        except (ValueError, RecursionError) as error:
            raise _json_error(f"{path}:{getattr(error, 'lineno', line)}", error) from None
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
            _check_surrogates(name, item or "")
    return value if typed else columns


def _check_surrogates(name: str, text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in name + text):
        raise ValueError(f"half a surrogate pair in the column {name!a}")


def is_folder_of_rows(place: Path) -> bool:
    """Whether `read` would take the folder."""
    return place.is_dir() and (_is_saved(place) or any(place.glob("*.parquet")))


def _is_saved(place: Path) -> bool:
    return (place / "dataset_dict.json").is_file() or (place / "dataset_info.json").is_file()


def _read_folder(place: Path, typed: bool, only: Collection[str]) -> dict[str, Table]:
    if _is_saved(place):
        return read_saved(place, typed, only)
    files = sorted(place.glob("*.parquet"))
    if not files:
        raise DataError(
            f"{place}: a folder without Parquet files or a saved dataset", f"accepted: {KINDS}"
        )
    named: dict[str, list[Path]] = {}
    for file in files:
        word = SPLIT_OF_FILE.match(file.name)
        name = word[0].lower() if word else ""
        named.setdefault(SPLIT_NAMES.get(name, name), []).append(file)
    if not set(named) & set(SPLIT_NAMES.values()):
        return {"": _joined([read_parquet(file, typed) for file in files])}
    wanted = {name: files for name, files in named.items() if not only or name in only}
    return {
        name: _joined([read_parquet(file, typed) for file in files])
        for name, files in wanted.items()
    }


def _joined(tables: list[Table]) -> Table:
    for table in tables[1:]:
        if set(table.columns) != set(tables[0].columns):
            there = ", ".join(table.columns)
            raise DataError(
                f"{table.where}: other columns than {tables[0].where}: {there}", "make them agree"
            )
    first = tables[0]
    return Table(first.where, first.columns, [row for table in tables for row in table.rows])
