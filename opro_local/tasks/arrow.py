"""Tables from Parquet files and from folders saved by `datasets`.

For: Arrow values as text, with the names of classes instead of their numbers, or as they are. Not
for: choosing among the files of a folder (table.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opro_local.errors import DataError
from opro_local.models.offline import switch_off_network
from opro_local.tasks.rows import SPLIT_NAMES, Row, Table, text_of

if TYPE_CHECKING:
    import pyarrow


def read_saved(place: Path, typed: bool = False, only: Collection[str] = ()) -> dict[str, Table]:
    """The splits of a saved dataset, under "" where it has none; only these, if some are given.

    Raises DataError where `datasets` can't load it.
    """
    switch_off_network()
    import datasets
    import pyarrow

    try:
        saved = datasets.load_from_disk(str(place))
        parts = saved if isinstance(saved, datasets.DatasetDict) else {"": saved}
        if only:
            parts = {
                name: part
                for name, part in parts.items()
                if not name or SPLIT_NAMES.get(name, name) in only
            }
        tables = {name: part.with_format("arrow")[:] for name, part in parts.items()}
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        pyarrow.ArrowException,
    ) as error:
        raise DataError(
            f"{place}: no readable dataset: {_first_line(error)}", "save it again"
        ) from None
    read = {}
    for name, part in parts.items():
        names = {
            column: feature.names
            for column, feature in part.features.items()
            if hasattr(feature, "names")
        }
        read[SPLIT_NAMES.get(name, name)] = _arrow_table(
            tables[name], str(place / name), None if typed else names
        )
    return read


def read_parquet(path: Path, typed: bool = False) -> Table:
    """One Parquet file. Raises DataError where it can't be read."""
    import pyarrow
    import pyarrow.parquet

    try:
        # One file, as it is: no columns guessed from the names of its folders.
        table = pyarrow.parquet.ParquetFile(path).read()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{path}: no readable Parquet file: {_first_line(error)}", "write it again"
        ) from None
    return _arrow_table(
        table, str(path), None if typed else _class_names(table.schema.metadata or {})
    )


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of the ClassLabel columns in what `datasets` notes in a Parquet file."""
    try:
        features = (
            json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        )
        return {name: kind["names"] for name, kind in features.items() if "names" in kind}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _arrow_table(
    table: pyarrow.Table, where: str, names: Mapping[str, Sequence[str]] | None
) -> Table:
    """Rows of an Arrow table, as text with the names of classes instead of their numbers; without
    `names` as it is.
    """
    columns = tuple(table.column_names)
    for name in columns:
        if columns.count(name) > 1:
            raise DataError(
                f"{where}: {columns.count(name)} columns are called {name!r}", "rename them"
            )
    if names is None:
        values = [table.column(name).to_pylist() for name in columns]
    else:
        values = [
            _cells(table.column(name), f"{where}: column {name!r}", names.get(name))
            for name in columns
        ]
    rows = zip(*values, strict=True)
    return Table(
        where,
        columns,
        [
            Row(f"{where}:{i}", dict(zip(columns, row, strict=True)))
            for i, row in enumerate(rows, 1)
        ],
    )


def _cells(
    column: pyarrow.ChunkedArray, where: str, names: Sequence[str] | None
) -> list[str | None]:
    import pyarrow

    cells: list[str | None] = []
    try:
        for value in column.to_pylist():
            # -1 marks a row without a label.
            label = names[value] if names and value is not None and value >= 0 else None
            cells.append(label if names else text_of(value))
    except (ValueError, LookupError, TypeError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{where}: row {len(cells) + 1}: {_first_line(error)}", "write it as text"
        ) from None
    return cells
