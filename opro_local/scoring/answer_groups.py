"""The groups in a file of answers: what several prompts, models, tasks or filters each earned.

For: which columns divide the rows, so that no figure is made over rows that don't belong together.
Not for: reading the rows (answer_file.py), or scoring them (answers.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opro_local.errors import UsageError
from opro_local.scoring.answer_file import AnswerRow
from opro_local.tasks.rows import text_of

# Columns that divide a file, in the order in which a group is named.
COLUMNS = ("task", "task_name", "model", "model_name", "prompt", "filter")
# These two say what was done with a row and are never the row's own id.
NO_IDS = ("prompt", "filter")
# So many values of a column are groups even where each has one row only.
FEW = 10
# What `--by` takes for no groups at all.
NONE = "none"

Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The columns that divide a file; none where the rows belong together."""

    by: tuple[str, ...]

    def key(self, row: AnswerRow) -> Key:
        """The row's values of these columns."""
        return tuple(_value(row, name) for name in self.by)

    def named(self, key: Key) -> dict[str, str | None]:
        """A key as column and value."""
        return dict(zip(self.by, key, strict=True))


class Columns:
    """The values of the columns that may divide a file, collected row by row.

    Args:
        by: the columns that the user names; None leaves it to COLUMNS, and "none" alone to none.
    """

    def __init__(self, by: Sequence[str] | None) -> None:
        self._own = by is not None
        asked = COLUMNS if by is None else tuple(dict.fromkeys(by))
        self._values: dict[str, set[str | None]] = {name: set() for name in asked if name != NONE}
        self.rows = 0

    def add(self, row: AnswerRow) -> None:
        """Take a row into account."""
        self.rows += 1
        for name, values in self._values.items():
            values.add(_value(row, name) if self._own else _divides(row, name))

    def grouping(self) -> Grouping:
        """The columns that divide the rows which were added.

        Those of COLUMNS do where they have more than one value and are no ids, which more than
        FEW values with fewer than two rows each are; those that the user names, in any case.

        Raises:
            UsageError: a column that the user names is in no row.
        """
        if not self._own:
            return Grouping(tuple(name for name in self._values if self._is_group(name)))
        for name, values in self._values.items():
            if values <= {None}:
                raise UsageError(f"--by: no row has a column {name!r}", "name a column of the file")
        return Grouping(tuple(self._values))

    def _is_group(self, name: str) -> bool:
        count = len(self._values[name])
        are_few = count <= FEW or 2 * count <= self.rows
        return count > 1 and (are_few or name in NO_IDS)


def _divides(row: AnswerRow, name: str) -> str | None:
    """A row's value of one of COLUMNS; None where the column is something else in this row.

    A prompt that is text is the row's question, unless the question has a column of its own.
    """
    value = row.fields.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    if name == "prompt" and isinstance(value, str) and "input" not in row.fields:
        return None
    return str(value)


def _value(row: AnswerRow, name: str) -> str | None:
    fields: Mapping[str, Any] = row.fields
    try:
        return text_of(fields.get(name))
    except ValueError:
        return None
