"""Tables of text from a user's file: CSV, TSV, JSON Lines, JSON, Parquet, or a folder saved by
`datasets`.

For: reading rows as they are written, and errors that name the line. `007`, `NA` and `None` stay
the text they are; JSON numbers keep their digits. Not for: splits, benchmarks' own formats,
guessing what a malformed line meant, or the kinds of files themselves (csv_file.py, json_file.py,
arrow.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from opro_local.errors import DataError
from opro_local.tasks.arrow import read_parquet, read_saved
from opro_local.tasks.csv_file import read_csv
from opro_local.tasks.json_file import read_json
from opro_local.tasks.rows import BY_ITSELF, SPLIT_NAMES, Table, TableFormat
from opro_local.tasks.text_file import EXPORT, UNPACK
from opro_local.types import Example

KINDS = (
    ".csv, .tsv, .jsonl, .ndjson, .json, .parquet, "
    "or a folder of Parquet files, of files named by split, or saved by datasets"
)
TEXT_KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
ARCHIVES = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar", ".tgz")
# What a file's name begins with, which names its split: "train-00000-of-00002.parquet".
SPLIT_OF_FILE = re.compile("[A-Za-z_]*")
# How many bad rows a message lists.
LISTED = 10
MOST_CELLS = 30_000_000


def read(
    path: str,
    typed: bool = False,
    only: Collection[str] = (),
    file_format: TableFormat = BY_ITSELF,
    keep_bad: bool = False,
) -> dict[str, Table]:
    """Every table in a file or folder, by split name where the data names splits, under "" where it
    doesn't.

    Args:
        path: the file or folder.
        typed: values keep their JSON or Arrow types (lists, numbers, class numbers) instead of
            becoming text.
        only: of a folder with named splits, read these splits; all of them if empty.
        file_format: delimiter and encoding of text files.
        keep_bad: leave rows that can't be used to the caller, in `Table.bad`.

    Raises:
        DataError: the file is missing, of an unknown kind, malformed or without rows, or has a bad
            row that is not kept.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{path}: no such file", "check the path")
    if place.is_dir():
        tables = _read_folder(place, typed, only, file_format)
    else:
        tables = {"": _read_file(place, typed, file_format)}
    for table in tables.values():
        # Where no row can be used, what is wrong with them says more than that there are none.
        if table.bad and not (keep_bad and table.rows):
            raise bad_rows_error(table.bad)
        if not table.rows:
            raise DataError(f"{table.where}: no rows", "the file needs at least one row of data")
    return tables


def _read_file(path: Path, typed: bool, file_format: TableFormat) -> Table:
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        return read_csv(path, file_format)
    if kind in (".jsonl", ".ndjson", ".json"):
        return read_json(path, typed, file_format)
    if kind == ".parquet":
        return read_parquet(path, typed)
    raise DataError(f"{path}: files of kind {kind!r} are not read", _other_kind(kind))


def _other_kind(kind: str) -> str:
    """What to do with a file of a kind that is not read."""
    if kind in SPREADSHEETS:
        return EXPORT
    if kind in ARCHIVES:
        return UNPACK
    if kind in (".pkl", ".pickle"):
        return "write the rows with to_csv or to_json; a pickle is never loaded"
    return f"accepted: {KINDS}"


def bad_rows_error(errors: Sequence[DataError], more: str = "") -> DataError:
    """One error for all rows that can't be used: the first as it is, nine others by line, and how
    many there are.

    Args:
        errors: one a row, not empty.
        more: what can be done besides mending the first.
    """
    first, others = errors[0], errors[1:]
    hint = "".join((first.hint or "correct the row", more))
    if not others:
        return DataError(first.message, hint)
    # The file's name is in the first; "file:7: what" becomes "7: what".
    place = first.message.partition(": ")[0].rpartition(":")[0]
    listed = [error.message.removeprefix(f"{place}:") for error in others[: LISTED - 1]]
    if len(others) > len(listed):
        listed.append("...")
    counted = f"{len(errors)} bad rows, also {'; '.join(listed)}"
    return DataError(f"{first.message}; {counted}", hint)


def examples(
    table: Table, prefix: str, input_column: str, target_column: str, targets: bool = True
) -> list[Example]:
    """The table's rows as examples with the ids `prefix:0`, `prefix:1`, ...

    Without `targets` neither the target column nor anything in it is needed: a missing target is
    "".

    Raises:
        DataError: a column does not exist or is there twice, or there is a bad row: one with no
            input or no target, or one of `table.bad`.
    """
    made, bad = usable_examples(table, prefix, input_column, target_column, targets)
    if bad:
        raise bad_rows_error(bad, ', or set task.bad_rows = "skip"')
    return made


def usable_examples(
    table: Table, prefix: str, input_column: str, target_column: str, targets: bool = True
) -> tuple[list[Example], list[DataError]]:
    """The rows that can be used, as in `examples`, and what is wrong with the others.

    An id counts all rows that were read, so that a row keeps its id when another one is mended.

    Raises:
        DataError: a column does not exist or is there twice, or there are too many fields.
    """
    needed = (input_column, target_column) if targets else (input_column,)
    for column in needed:
        _check_column(table, column)
    cells = len(table.rows) * len(table.columns)
    # JSON rows with a column of their own each are a small file and a large table.
    if cells > MOST_CELLS:
        raise DataError(
            f"{table.where}: {len(table.rows):,} rows of {len(table.columns):,} columns",
            f"at most {MOST_CELLS:,} fields are read: leave columns or rows out",
        )
    made, bad = [], list(table.bad)
    for index, row in enumerate(table.rows):
        columns = {name: row.columns.get(name) or "" for name in table.columns}
        empty = next((column for column in needed if not columns[column].strip()), None)
        if empty is not None:
            what = f"{row.where}: nothing in the column {empty!r}"
            bad.append(DataError(what, "fill it in or remove the row"))
            continue
        target = columns.get(target_column, "")
        made.append(Example(f"{prefix}:{index}", columns, columns[input_column], target, row.where))
    return made, bad


def _check_column(table: Table, column: str) -> None:
    if column in table.repeated:
        raise DataError(
            f"{table.where}: {table.repeated[column]} columns are called {column!r}", "rename them"
        )
    if column not in table.columns:
        raise DataError(f"{table.where}: no column {column!r}", column_hint(column, table.columns))


def column_hint(column: str, columns: Sequence[str]) -> str:
    """What to say after "no column": the columns there are, and the nearest."""
    there = ", ".join(repr(name[:60]) for name in columns[:30])
    if len(columns) > 30:
        there += ", ..."
    if len(columns) == 1 and (sign := re.search("[;\t|,]", columns[0])):
        name = f"{sign[0]!r}: set task.delimiter"
        return f"the only column is {there}: it seems divided by {name}"
    near = difflib.get_close_matches(
        column.casefold(), [name.casefold() for name in columns], 1, 0.5
    )
    for name in columns:
        if near and name.casefold() == near[0]:
            return f"the columns are {there}; did you mean {name!r}?"
    return f"the columns are {there}"


def is_folder_of_rows(place: Path) -> bool:
    """Whether `read` would take the folder: a saved dataset, or one with Parquet files."""
    return place.is_dir() and (_is_saved(place) or any(place.glob("*.parquet")))


def _is_saved(place: Path) -> bool:
    return (place / "dataset_dict.json").is_file() or (place / "dataset_info.json").is_file()


def _read_folder(
    place: Path, typed: bool, only: Collection[str], file_format: TableFormat
) -> dict[str, Table]:
    if _is_saved(place):
        return read_saved(place, typed, only)
    named = _named_files(place)
    if not set(named) & set(SPLIT_NAMES.values()):
        files = [file for part in named.values() for file in part]
        return {"": _joined([_read_file(file, typed, file_format) for file in sorted(files)])}
    return {
        name: _joined([_read_file(file, typed, file_format) for file in files])
        for name, files in named.items()
        if not only or name in only
    }


def _named_files(place: Path) -> dict[str, list[Path]]:
    """The files of a folder, or of its folder data/ as in a repository's snapshot, by split.

    Files of text are taken only where their names say a split: README.json is no data.

    Raises:
        DataError: there are none.
    """
    for folder in (place, place / "data"):
        named: dict[str, list[Path]] = {}
        for file in sorted(folder.glob("*")):
            name = _split_of(file)
            text = file.suffix.lower() in TEXT_KINDS and name in SPLIT_NAMES.values()
            if file.suffix.lower() == ".parquet" or text:
                named.setdefault(name, []).append(file)
        if named:
            _check_kinds(named)
            return named
    raise DataError(
        f"{place}: a folder without Parquet files, files named by split or a saved dataset",
        f"accepted: {KINDS}",
    )


def _split_of(file: Path) -> str:
    """The split that a file's name begins with: "train-00000-of-00002.parquet", "dev.csv"."""
    word = SPLIT_OF_FILE.match(file.name)
    name = word[0].rstrip("_").lower() if word else ""
    return SPLIT_NAMES.get(name, name)


def _check_kinds(named: Mapping[str, Sequence[Path]]) -> None:
    """Refuse train.csv beside train.json: are they the same rows, or more of them?"""
    for files in named.values():
        kinds = {file.suffix.lower() for file in files}
        if len(kinds) > 1:
            raise DataError(
                f"{files[0]}: the same split in files of several kinds, as {files[-1].name}",
                "keep one, or give one file per split: task.train, task.validation, task.test",
            )


def _joined(tables: list[Table]) -> Table:
    for table in tables[1:]:
        if set(table.columns) != set(tables[0].columns):
            there = ", ".join(table.columns)
            raise DataError(
                f"{table.where}: other columns than {tables[0].where}: {there}", "make them agree"
            )
    first = tables[0]
    return Table(
        first.where,
        first.columns,
        [row for table in tables for row in table.rows],
        tuple(error for table in tables for error in table.bad),
        {name: count for table in tables for name, count in table.repeated.items()},
        tuple(notice for table in tables for notice in table.notices),
    )
