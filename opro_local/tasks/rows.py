"""What every reader of tables shares: a row, a table, a value as text, and the names of splits.

For: data. Not for: opening files (table.py, arrow.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opro_local.errors import DataError

# More than the longest context of any model reads; a longer field is a quote that was never closed,
# or no text.
MAX_FIELD = 5_000_000

# The names under which published data sets keep the three splits.
SPLIT_NAMES = dict(
    train="train", validation="validation", valid="validation", val="validation", dev="validation"
)
SPLIT_NAMES["test"] = "test"
# GLUE's MNLI has two of each; the matched ones have the genres of train.
SPLIT_NAMES |= {"validation_matched": "validation", "test_matched": "test"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row as read. A value is None where the file has none (JSON null, an absent key); `where`
    is file:line.

    Values are texts; where the table was read as typed they are what JSON or Arrow hold.
    """

    where: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one file or split.

    Attributes:
        where: what an error about the whole table starts with.
        columns: the names of the columns that can be used.
        rows: as read, in order.
        bad: what is wrong with the rows that can't be used, in order; they are not among `rows`.
        repeated: names that several columns have, and how many; none of these can be used.
        notices: lines a user should read about how the file was taken.
    """

    where: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    bad: tuple[DataError, ...] = ()
    repeated: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFormat:
    """What a user says of a file.

    Attributes:
        delimiter: of its fields; None is by the file itself.
        encoding: None is UTF-8.
        columns: those in use, by which rows are told from columns where a file may be read either
            way.
    """

    delimiter: str | None = None
    encoding: str | None = None
    columns: tuple[str, ...] = ()


BY_ITSELF = TableFormat()


def text_of(value: Any) -> str | None:
    """A JSON or Arrow value as text; None and NaN are missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False, default=str)
    elif isinstance(value, bytes):
        value = value.decode()
    text = str(value)
    if len(text) > MAX_FIELD:
        raise ValueError(f"a field is too large (more than {MAX_FIELD:,} characters)")
    if "\0" in text:
        raise ValueError("a NUL character")
    return text
