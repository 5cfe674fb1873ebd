"""SWEEP.toml as it is written: the base, axes, zipped axes, named cells and exclusions.

For: reading it, and one line about the first thing that is wrong. Not for: which cells it comes to
(cells.py), or whether a config takes a value (config/reading.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opro_local import recipes
from opro_local.config import reading
from opro_local.config.numbers import no_truth_for_a_number
from opro_local.config.wording import in_words
from opro_local.errors import UsageError

# "section.key" -> its values, in order.
Axis = Mapping[str, Sequence[Any]]
# "section.key" -> one value.
Settings = Mapping[str, Any]
RANGE = {"from", "to", "step"}
# More values than this on one axis are a slip, and none are made.
MOST_VALUES = 100_000
# Digits to which the values of a range are rounded, so that 0.1 + 2 * 0.1 is 0.3.
RANGE_DIGITS = 12
# What a folder may be called.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=,-]*")
TABLES = (*reading.SECTIONS, "models")


class _Written(BaseModel):
    """The tables of the file, each value as it stands there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _numbers = model_validator(mode="before")(no_truth_for_a_number)

    name: str | None = Field(None, min_length=1, max_length=80)
    base: str | dict[str, Any]
    max_cells: int = Field(1000, ge=1, le=1_000_000)
    axes: dict[str, Any] = {}
    zip: list[dict[str, Any]] = []
    cell: list[dict[str, Any]] = []
    exclude: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class SweepFile:
    """What a sweep's file says.

    Attributes:
        path: the file.
        name: of the sweep.
        base: the config's tables that every cell starts from, with absolute paths.
        max_cells: the most cells that the axes may make.
        axes: every axis alone, then the zipped ones: an axis of several keys takes their first
            values together, then their second ones.
        cells: the named cells, by name.
        excluded: settings of cells that are left out, each with all values that it stands for.
    """

    path: Path
    name: str
    base: dict[str, Any]
    max_cells: int
    axes: tuple[Axis, ...]
    cells: Mapping[str, Settings]
    excluded: tuple[Axis, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Every setting that some axis or named cell sets, in the file's order."""
        named = [key for cell in self.cells.values() for key in cell]
        return tuple(dict.fromkeys([*(key for axis in self.axes for key in axis), *named]))


def read_sweep_file(path: Path, overrides: Sequence[str] = ()) -> SweepFile:
    """Read a sweep's file.

    Args:
        path: the file. Paths in it start from its folder, those of a base file from that one's.
        overrides: changes of the base, each "section.key=value", paths from the working directory.

    Raises:
        UsageError: it is missing, no TOML, or says what can't be meant.
    """
    written = _validated(path, reading.read_tables(path))
    if written.name is not None and not NAME.fullmatch(written.name):
        raise UsageError(
            f"{path}: name {written.name!r}: no file can be called so",
            "letters, digits and ._+=,-",
        )
    keys = [_flat(f"{path}: axes", written.axes)]
    keys += [_flat(f"{path}: zip", table) for table in written.zip]
    alone = tuple({key: _values(f"{path}: axes", key, value)} for key, value in keys[0].items())
    zipped = tuple(_zipped(f"{path}: zip", table) for table in keys[1:])
    sweep = SweepFile(
        path=path,
        name=written.name or path.stem,
        base=_base(path, written.base, overrides),
        max_cells=written.max_cells,
        axes=(*alone, *zipped),
        cells=_named_cells(path, written.cell),
        excluded=tuple(_exclusion(path, table) for table in written.exclude),
    )
    _check_keys(sweep, overrides)
    return sweep


def _validated(path: Path, tables: Mapping[str, Any]) -> _Written:
    try:
        return _Written.model_validate(tables, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"][:1] == ("base",):
            what = "is missing" if first["type"] == "missing" else "is neither"
            raise UsageError(
                f"{path}: base {what}",
                'give base = "config.toml", a recipe\'s name, or tables [base.task] and so on',
            ) from None
        where = [str(part) for part in first["loc"]]
        words = in_words(first, where, _Written.model_fields)
        raise UsageError(f"{path}: {words}") from None


def _base(path: Path, base: str | dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The base's tables, with the overrides and every path absolute."""
    if isinstance(base, dict):
        return reading.merge(base, overrides, path.resolve().parent)
    file = path.parent / Path(base).expanduser()
    if not file.suffix and not file.exists():
        return reading.merge(recipes.tables(base), overrides)
    return reading.merge(reading.read_tables(file), overrides, file.resolve().parent)


def _flat(where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A table by "section.key": TOML reads an unquoted `run.seed = 1` as a table in a table."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if name in TABLES and isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    for name in flat:
        section, dot, key = name.partition(".")
        if not (dot and key and section in TABLES):
            raise UsageError(
                f"{where}: {name!r} is no setting",
                f'write "section.key", for example "run.seed"; sections: {", ".join(TABLES)}',
            )
    return flat


def _values(where: str, key: str, value: Any) -> Sequence[Any]:
    """The values of an axis: a list's, or those of a range. Raises UsageError."""
    if isinstance(value, dict) and "from" in value and value.keys() <= RANGE:
        value = _range(where, key, value)
    if not isinstance(value, list):
        raise UsageError(
            f"{where}: {key}: a list of values is wanted, got {_shown(key, value)}",
            "write [1, 2], or { from = 0, to = 9, step = 1 }",
        )
    if not value:
        raise UsageError(f"{where}: {key} has no values", "give at least one, or leave it out")
    if len(value) > MOST_VALUES:
        raise UsageError(f"{where}: {key} has {len(value):,} values", f"at most {MOST_VALUES:,}")
    for number, one in enumerate(value):
        if any(is_same(one, earlier) for earlier in value[:number][-1000:]):
            raise UsageError(
                f"{where}: {key} has {_shown(key, one)} twice", "leave one of them out"
            )
    return value


def _range(where: str, key: str, table: Mapping[str, Any]) -> list[Any]:
    """{ from = 0, to = 1, step = 0.25 }: both ends included. Raises UsageError."""
    first, last, step = table["from"], table.get("to", ""), table.get("step", 1)
    numbers: tuple[Any, ...] = (first, last, step)
    if not all(map(_is_number, numbers)):
        raise UsageError(f"{where}: {key}: from, to and step of a range must be numbers")
    if step == 0 or (last - first) / step < 0:
        raise UsageError(
            f"{where}: {key}: no values from {first} to {last} by {step}",
            "let step lead from the one to the other",
        )
    # Half a digit more than the rounding below: 0.3 / 0.1 is a little under 3.
    count = math.floor((last - first) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise UsageError(f"{where}: {key} has {count:,} values", f"at most {MOST_VALUES:,}")
    values = [first + place * step for place in range(count)]
    return [round(one, RANGE_DIGITS) if isinstance(one, float) else one for one in values]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _zipped(where: str, table: Mapping[str, Any]) -> Axis:
    """Axes that advance together. Raises UsageError where one is longer than another."""
    if not table:
        raise UsageError(f"{where}: a table without keys", "give the settings that go together")
    axes: dict[str, Sequence[Any]] = {}
    for key, value in table.items():
        # A value may come again here: it is the pair that must not.
        listed = value if isinstance(value, list) and value else _values(where, key, value)
        axes[key] = listed
    sizes = {key: len(values) for key, values in axes.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise UsageError(
            f"{where}: the axes differ in length: {counts}", "give each as many values"
        )
    return axes


def _named_cells(path: Path, tables: Sequence[Mapping[str, Any]]) -> dict[str, Settings]:
    """The cells by name. Raises UsageError for one without a name, or two of one name."""
    cells: dict[str, Settings] = {}
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"{path}: cell {number} has no name", 'give name = "..."')
        if name in cells:
            raise UsageError(f"{path}: two cells are called {name!r}", "give each its own name")
        rest = {key: value for key, value in table.items() if key != "name"}
        cells[name] = _flat(f"{path}: cell {name}", rest)
    return cells


def _exclusion(path: Path, table: Mapping[str, Any]) -> Axis:
    """What to leave out: a value, or any of a list. Raises UsageError for an empty table."""
    flat = _flat(f"{path}: exclude", table)
    if not flat:
        raise UsageError(f"{path}: exclude: a table without keys would leave out every cell")
    return {key: value if isinstance(value, list) else [value] for key, value in flat.items()}


def _check_keys(sweep: SweepFile, overrides: Sequence[str]) -> None:
    """Refuse a key on two axes, one that both an axis and an override set, and a cell's own name.

    Raises:
        UsageError: names the key.
    """
    keys = [key for axis in sweep.axes for key in axis]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{sweep.path}: {key} is on two axes", "give it one")
    named = {override.partition("=")[0].strip() for override in overrides}
    for key in sweep.keys:
        if key == "run.name":
            raise UsageError(f"{sweep.path}: run.name can't vary: cells have names of their own")
        if key in named:
            raise UsageError(
                f"{sweep.path}: {key} varies over the sweep, so that --set, --seed and --engine "
                "can't set it",
                "change it in the file",
            )
    if not sweep.keys and not sweep.cells:
        raise UsageError(f"{sweep.path}: a sweep without cells", "give [axes] or [[cell]]")
    for exclusion in sweep.excluded:
        for key in exclusion.keys() - set(keys):
            raise UsageError(
                f"{sweep.path}: exclude: {key} is on no axis", f"axes: {', '.join(keys) or 'none'}"
            )


def without_secrets(key: str, value: Any) -> Any:
    """A value as it may be shown and kept: of a table of secrets its names alone."""
    if key not in reading.SECRET:
        return value
    return sorted(value) if isinstance(value, dict) else "..."


def _shown(key: str, value: Any) -> str:
    return f"{without_secrets(key, value)!r:.60}"


def is_same(one: Any, other: Any) -> bool:
    """Whether two values of TOML are the same: true is not 1, and 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)
