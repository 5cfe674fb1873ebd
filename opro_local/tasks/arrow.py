"""Tables from Parquet files and from folders saved by `datasets`.

For: Arrow values as text, with the names of classes instead of their numbers, or as they are. Not
for: choosing among the files of a folder (table.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opro_local.errors import DataError
from opro_local.files import open_regular
from opro_local.network import switch_off_network
from opro_local.tasks.rows import SPLIT_NAMES, Row, Table, text_of
from opro_local.tasks.text_file import MOST_BYTES, check_kind, check_size, too_large

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

MOST_ROWS = 10_000_000


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
        sizes = {str(place / name): part.data.nbytes for name, part in parts.items()}
        for where, size in sizes.items():
            if size > MOST_BYTES:
                raise too_large(where, size)
        tables = {
            name: _plain(part.with_format("arrow")[:], str(place / name))
            for name, part in parts.items()
        }
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
        kinds = {column: item_feature(feature) for column, feature in part.features.items()}
        names = {column: kind.names for column, kind in kinds.items() if hasattr(kind, "names")}
        read[SPLIT_NAMES.get(name, name)] = _arrow_table(
            tables[name], str(place / name), None if typed else names
        )
    return read


def item_feature(feature: Any) -> Any:
    """The feature of a column's values, in a list that of its items."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    return getattr(feature, "feature", feature)


def read_parquet(path: Path, typed: bool = False) -> Table:
    """One Parquet file. Raises DataError where it can't be read."""
    import pyarrow
    import pyarrow.parquet

    check_size(path)
    check_kind(path, _start(path))
    try:
        # One file, as it is: no columns guessed from the names of its folders.
        file = pyarrow.parquet.ParquetFile(path, read_dictionary=_texts_of(path))
        size, rows = _unpacked(file.metadata), file.metadata.num_rows
        if size > MOST_BYTES:
            raise too_large(str(path), size)
        if rows > MOST_ROWS:
            raise DataError(f"{path}: {rows:,} rows", f"at most {MOST_ROWS:,} are read")
        table = _plain(file.read(), str(path))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{path}: no readable Parquet file: {_first_line(error)}", "write it again"
        ) from None
    return _arrow_table(
        table, str(path), None if typed else _class_names(table.schema.metadata or {})
    )


def _start(path: Path) -> bytes:
    """The first bytes of a file that is not Parquet; nothing of one that is, or can't be read."""
    try:
        with open_regular(path) as stream:
            start = stream.read(64)
    except OSError:
        return b""  # reading it says why
    return b"" if start.startswith(b"PAR1") else start


def _texts_of(path: Path) -> list[str]:
    """The columns of a Parquet file that hold texts. Each different text is then kept once, so that
    a text of a megabyte in every row, which is a small file, stays small until it was measured.
    """
    import pyarrow.parquet
    from pyarrow import types

    schema = pyarrow.parquet.read_schema(path)
    kinds = (types.is_string, types.is_large_string, types.is_binary)
    return [field.name for field in schema if any(kind(field.type) for kind in kinds)]


def _unpacked(metadata: pyarrow.parquet.FileMetaData) -> int:
    """Bytes of a Parquet file's rows without compression, as the file says."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return sum(group.total_byte_size for group in groups)


def _plain(table: pyarrow.Table, where: str) -> pyarrow.Table:
    """The table with every text in its row. Raises DataError where that takes too much."""

    kinds = [field.type for field in table.schema]
    coded = [number for number, kind in enumerate(kinds) if _is_coded_text(kind)]
    size = sum(_characters(chunk) for number in coded for chunk in table.column(number).chunks)
    if size > MOST_BYTES:
        raise too_large(where, size)
    for number in coded:
        field = table.schema.field(number).with_type(kinds[number].value_type)
        table = table.set_column(number, field, table.column(number).cast(field.type))
    return table


def _is_coded_text(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if not types.is_dictionary(kind):
        return False
    value = kind.value_type
    return types.is_string(value) or types.is_large_string(value) or types.is_binary(value)


def _characters(column: pyarrow.DictionaryArray) -> int:
    """Bytes of all texts of a column, each counted as often as a row has it."""
    from pyarrow import compute

    lengths = compute.take(compute.binary_length(column.dictionary), column.indices)
    return int(compute.sum(compute.cast(lengths, "int64")).as_py() or 0)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of the ClassLabel columns in what `datasets` notes in a Parquet file."""
    try:
        features = (
            json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        )
        kinds = {name: _innermost(kind) for name, kind in features.items()}
        return {name: kind["names"] for name, kind in kinds.items() if "names" in kind}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _innermost(kind: Any) -> Any:
    """The kind of a column's values, in a list the kind of its items."""
    if isinstance(kind, list):
        return kind[0] if kind else {}
    return kind.get("feature", kind)


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


def _named(value: Any, names: Sequence[str]) -> str | None:
    """The class, or the list of classes, that a cell names by number."""
    if isinstance(value, list):
        return text_of([names[one] for one in value])
    # -1 marks a row without a label.
    return names[value] if value is not None and value >= 0 else None


def _cells(
    column: pyarrow.ChunkedArray, where: str, names: Sequence[str] | None
) -> list[str | None]:
    import pyarrow

    cells: list[str | None] = []
    try:
        for value in column.to_pylist():
            cells.append(_named(value, names) if names else text_of(value))
    except (ValueError, LookupError, TypeError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{where}: row {len(cells) + 1}: {_first_line(error)}", "write it as text"
        ) from None
    return cells
