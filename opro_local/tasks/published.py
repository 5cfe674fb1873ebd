"""What the benchmarks share: where their files may lie, what a field must be, and the paper's way
to draw rows.

For: both layouts (google-deepmind/opro's `data` folder, Hugging Face's folders) and the reference's
row indices. Not for: any one benchmark, or a user's own tables.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks import table
from opro_local.tasks.rows import Row, Table
from opro_local.tasks.task import SPLITS
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings


class NotFound(DataError):
    """A benchmark's files are not in the folder."""


def unknown(name: str, known: Iterable[str], accepted: str) -> UsageError:
    """The error for a name that no task has, with the nearest that one has."""
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    return UsageError(f"unknown task {name!r}", f"{guess}{accepted}")


def places(settings: TaskSettings, names: Iterable[str], expected: str) -> list[Path]:
    """The folders to look in: `data_dir` itself, its `data` folder, and in both of them the folders
    of these names.

    Raises:
        UsageError: `data_dir` is not set; the hint says which files are expected there.
        DataError: it is no folder.
    """
    if not settings.data_dir:
        hint = (
            "set task.data_dir (--set task.data_dir=DIR, or --data-dir) to their folder: "
            f"{expected}"
        )
        raise UsageError(f"{settings.name} needs its files", hint)
    folder, names = existing(settings.data_dir), tuple(names)
    return [root / name for root in (folder, folder / "data") for name in ("", *names)]


def existing(folder: str) -> Path:
    """The folder, if it is one. Raises DataError otherwise."""
    if not Path(folder).is_dir():
        raise DataError(f"{folder}: no such folder", "task.data_dir is the folder with the files")
    return Path(folder)


def file_in(folders: Iterable[Path], name: str) -> Path | None:
    """The first file of this name in these folders."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def unnamed(settings: TaskSettings) -> tuple[Path, Path]:
    """The folders among `places` that bear no benchmark's name."""
    return Path(settings.data_dir or ""), Path(settings.data_dir or "") / "data"


def hub_tables(
    folders: Iterable[Path],
    splits: Sequence[Split],
    columns: Sequence[str],
    also: Sequence[Split] = (),
    shared: Collection[Path] = (),
) -> dict[Split, Table] | None:
    """The tables of the first folder that holds Parquet files or a saved dataset with these splits,
    by split.

    Values keep their types. A dataset without named splits counts as the last one of `splits`.
    Splits of `also` are read where they exist.

    Args:
        folders: where to look.
        splits: those that are needed.
        columns: those that each split must have.
        also: further splits.
        shared: folders that may hold another benchmark: if a column is missing there, the search
        goes on.

    Raises:
        DataError: a split lacks one of the columns; NotFound if that was in a shared folder only.
    """
    foreign = None
    for folder in folders:
        if not table.is_folder_of_rows(folder):
            continue
        tables = table.read(str(folder), typed=True, only=(*splits, *also))
        if set(tables) == {""}:
            tables = {splits[-1]: tables[""]}
        if not set(splits) <= set(tables):
            continue
        try:
            for rows in tables.values():
                need_columns(rows, columns)
        except DataError as error:
            if folder not in shared:
                raise
            foreign = foreign or NotFound(error.message, error.hint)
            continue
        return {split: tables[split] for split in (*splits, *also) if split in tables}
    if foreign:
        raise foreign
    return None


def asked_beside_test(settings: TaskSettings) -> dict[Split, int]:
    """How many rows the user asks for in train and validation, for a benchmark that is a test set
    in the paper; only the splits that are asked for.
    """
    asked: dict[Split, int] = {}
    if settings.train_rows:
        asked["train"] = settings.train_rows
    if settings.validation_rows:
        asked["validation"] = settings.validation_rows
    return asked


def drawn_from_test(
    splits: Mapping[Split, tuple[Example, ...]], settings: TaskSettings
) -> dict[Split, tuple[Example, ...]]:
    """The splits, with the train and validation that are asked for and not there drawn from test.

    Raises:
        DataError: test has too few rows.
    """
    own: dict[Split, tuple[Example, ...]] = {
        split: rows for split, rows in splits.items() if split != "test"
    }
    asked = asked_beside_test(settings)
    train, validation = (
        0 if split in own else asked.get(split, 0) for split in ("train", "validation")
    )
    return {**own, **divided(splits["test"], train, validation)}


def need_columns(rows: Table, columns: Sequence[str]) -> None:
    """Raise DataError for the first of these columns that the table does not have."""
    for column in columns:
        if column not in rows.columns:
            raise DataError(
                f"{rows.where}: no column {column!r}", table.column_hint(column, rows.columns)
            )


def text(where: str, columns: Mapping[str, Any], name: str) -> str:
    """The text in this field, as it is written. Raises DataError unless it is a text with something
    in it.
    """
    return a_text(columns.get(name), f"{where}: {name}")


def a_text(value: Any, what: str) -> str:
    """The value, if it is a text with something in it; `what` starts the DataError if it is not."""
    if value is None:
        raise DataError(f"{what} is missing", "restore the file")
    if not isinstance(value, str):
        raise DataError(f"{what} is {value!r:.40}, not a text", "restore the file")
    if not value.strip():
        raise DataError(f"{what} is empty", "restore the file")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"{what} holds a NUL or half a surrogate pair", "restore the file")
    return value


def examples(
    prefix: str, rows: Iterable[Row], read: Callable[[Row], tuple[Mapping[str, str], str, str]]
) -> list[Example]:
    """One example per row, with the ids `prefix:0`, `prefix:1`, ...

    Args:
        prefix: what the ids start with.
        rows: as `table.read` gives them.
        read: a function from a row to (columns, input, target).
    """
    return [Example(f"{prefix}:{index}", *read(row), row.where) for index, row in enumerate(rows)]


def paper_split(
    rows: int, train: int, validation: int = 0
) -> tuple[list[int], list[int], list[int]]:
    """Sorted indices of train, validation and test, as google-deepmind/opro draws them
    (optimize_instructions.py).

    Train is drawn first, validation from what is left with the same stream, and test is the rest;
    so a larger validation never changes train.

    Args:
        rows: how many there are.
        train: how many of them to train on.
        validation: how many of the others to keep for validation; all of them if there are fewer.
    """
    stream = np.random.RandomState(0)
    chosen = np.sort(stream.choice(rows, size=train, replace=False))
    others = np.setdiff1d(np.arange(rows), chosen)
    kept = others[:0]
    if validation:
        kept = np.sort(stream.choice(others, size=min(validation, len(others)), replace=False))
    return chosen.tolist(), kept.tolist(), np.setdiff1d(others, kept).tolist()


def divided(
    rows: Sequence[Example], train: int, validation: int = 0
) -> dict[Split, tuple[Example, ...]]:
    """The rows by split, drawn as in `paper_split`; a split without rows does not exist.

    Raises:
        DataError: the rows are too few for `train` of them.
    """
    if train > len(rows):
        raise DataError(
            f"{rows[0].where}: {len(rows)} rows, {train} wanted for train",
            "set task.train_rows lower",
        )
    parts = zip(SPLITS, paper_split(len(rows), train, validation), strict=True)
    return {split: tuple(rows[index] for index in part) for split, part in parts if part}
