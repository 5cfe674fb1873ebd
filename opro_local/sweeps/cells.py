"""The cells that a sweep's file comes to: one whole config each, with a name and an identity.

For: the product of the axes, exclusions, names and identities. Not for: reading the file (file.py),
or which cells share engines (plan.py).

A cell is known by its config, not by its place: the identity is a digest of what tells two runs
apart, so that a cell keeps its folder when an axis gets more values, loses some or is put elsewhere
in the file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.runs.naming import deciding_settings
from opro_local.sweeps.file import NAME, Settings, SweepFile, is_same, without_secrets

ID_DIGITS = 8
# Of a value in a name, and of a name: a folder's name may have 255 bytes.
MOST_OF_VALUE, MOST_OF_NAME = 24, 100
UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: short, and that of no other cell.
        id: hex digits of what tells it from other cells.
        settings: every setting that varies over the sweep, "section.key" -> its value here.
        tables: the config's tables, with absolute paths; `config` is built from them.
        config: what the cell runs.
    """

    name: str
    id: str
    settings: Settings
    tables: Mapping[str, Any]
    config: Config


def make_cells(file: SweepFile) -> list[Cell]:
    """Every cell of a sweep, in the order of its axes, the last one changing fastest; then those
    with a name.

    Raises:
        UsageError: too many cells, a value that the config refuses, an exclusion that leaves out
            nothing or all, or two cells that are one.
    """
    chosen: list[tuple[str, Settings]] = [
        (_name_of(settings), settings) for settings in _combinations(file)
    ]
    for name, settings in file.cells.items():
        if not NAME.fullmatch(name) or len(name) > MOST_OF_NAME:
            raise UsageError(
                f"{file.path}: cell {name!r:.120}: no file can be called so",
                f"letters, digits and ._+=,- , at most {MOST_OF_NAME}",
            )
        chosen.append((name, settings))
    cells = _Cells(file)
    made = [cells.make(name, settings) for name, settings in chosen]
    _check_distinct(file, made)
    return _with_unique_names(made, set(file.cells))


def _combinations(file: SweepFile) -> list[dict[str, Any]]:
    """What the axes come to, less what is excluded. Raises UsageError."""
    if not file.axes:
        return []
    sizes = [len(next(iter(axis.values()))) for axis in file.axes]
    if math.prod(sizes) > file.max_cells:
        shown = " x ".join(
            f"{' + '.join(axis)} {size}" for axis, size in zip(file.axes, sizes, strict=True)
        )
        raise UsageError(
            f"{file.path}: the axes make {math.prod(sizes):,} cells ({shown}), more than "
            f"max_cells = {file.max_cells:,}",
            "set max_cells if that is meant",
        )
    every = list(_product(file))
    used = [False] * len(file.excluded)
    kept = []
    for settings in every:
        matching = [n for n, one in enumerate(file.excluded) if _matches(settings, one)]
        for number in matching:
            used[number] = True
        if not matching:
            kept.append(settings)
    for number, one in enumerate(file.excluded):
        if not used[number]:
            words = ", ".join(f"{key} = {values!r}" for key, values in one.items())
            raise UsageError(
                f"{file.path}: exclude: no cell has {words}", "correct the values, or remove it"
            )
    if not kept and not file.cells:
        raise UsageError(f"{file.path}: every cell is excluded", "remove an exclusion")
    return kept


def _product(file: SweepFile) -> Iterator[dict[str, Any]]:
    places = [range(len(next(iter(axis.values())))) for axis in file.axes]
    for chosen in itertools.product(*places):
        settings: dict[str, Any] = {}
        for axis, place in zip(file.axes, chosen, strict=True):
            settings |= {key: values[place] for key, values in axis.items()}
        yield settings


def _matches(settings: Settings, exclusion: Mapping[str, Sequence[Any]]) -> bool:
    return all(
        any(is_same(settings[key], value) for value in values) for key, values in exclusion.items()
    )


class _Cells:
    """Makes cells of one file."""

    def __init__(self, file: SweepFile) -> None:
        self._file = file
        self._folder = file.path.resolve().parent
        try:
            self._base: Config | None = reading.build(file.base)
        except UsageError:
            # What the base lacks, every cell may have.
            self._base = None

    def make(self, name: str, own: Settings) -> Cell:
        """One cell. Raises UsageError: the config refuses a setting."""
        tables = {key: _copied(table) for key, table in self._file.base.items()}
        for key, value in own.items():
            reading.put(tables, key, value, "base")
        reading.put(tables, "run.name", name, "base")
        try:
            merged = reading.merge(tables, base=self._folder)
            config = reading.config_of(merged)
        except UsageError as error:
            raise UsageError(
                f"{self._file.path}: cell {name}: {error.message}", error.hint
            ) from None
        settings = {key: self._shown(key, own, config) for key in self._file.keys}
        return Cell(name, self._id(config), settings, merged, config)

    def _shown(self, key: str, own: Settings, config: Config) -> Any:
        """The value of a setting that varies; of a table of secrets its names alone."""
        section, _, rest = key.partition(".")
        if key in own:
            value = own[key]
        elif rest in self._file.base.get(section, {}):
            value = self._file.base[section][rest]
        else:
            value = config.model_dump(mode="json").get(section, {}).get(rest)
        return without_secrets(key, value)

    def _id(self, config: Config) -> str:
        """A digest of what tells this config from others.

        What a run may be continued with is a part of it only where it varies over the sweep and
        differs from the base: a base with more steps continues its cells.
        """
        deciding = deciding_settings(config)
        varying = _values_of(config, self._file.keys)
        usual = {} if self._base is None else _values_of(self._base, self._file.keys)
        for key, value in varying.items():
            if key not in usual or usual[key] != value:
                deciding[key] = value
        return short_digest({key: self._portable(key, one) for key, one in deciding.items()})

    def _portable(self, key: str, value: Any) -> Any:
        """A path as it is from the sweep's folder, so that a project may move."""
        is_path = key in reading.PATHS and isinstance(value, str) and os.path.isabs(value)
        return os.path.relpath(value, self._folder) if is_path else value


def _values_of(config: Config, keys: Collection[str]) -> dict[str, Any]:
    """The values of settings in a config, without those it has no place for ([models.NAME])."""
    dumped = config.model_dump(mode="json")
    values = {}
    for key in keys:
        section, _, rest = key.partition(".")
        if rest in dumped.get(section, {}):
            values[key] = dumped[section][rest]
    return values


def short_digest(value: Any) -> str:
    """The first hex digits of a digest of JSON."""
    text = json.dumps(value, sort_keys=True, default=str)  # TOML has dates
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def _copied(table: Any) -> Any:
    if not isinstance(table, Mapping):
        return table
    return {key: _copied(inner) for key, inner in table.items()}


def _name_of(settings: Settings) -> str:
    """A name of the settings: "seed=0,order=ascending"; the section only where keys are alike."""
    last = [key.rpartition(".")[2] for key in settings]
    parts = []
    for key, short in zip(settings, last, strict=True):
        shown = short if last.count(short) == 1 else key
        parts.append(f"{shown}={_name_of_value(without_secrets(key, settings[key]))}")
    name = ",".join(parts)
    if len(name) <= MOST_OF_NAME:
        return name
    known = {key: without_secrets(key, value) for key, value in settings.items()}
    return f"{name[: MOST_OF_NAME - ID_DIGITS - 1]}-{short_digest(known)}"


def _name_of_value(value: Any) -> str:
    """A value as a part of a file's name: a path by its last part, what is long by its beginning
    and a digest.
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if isinstance(value, str) and "/" in value:
        text = Path(value).name
    safe = UNSAFE.sub("-", text)
    if len(safe) <= MOST_OF_VALUE and safe.strip("-"):
        return safe
    return f"{safe[: MOST_OF_VALUE - ID_DIGITS - 1]}-{short_digest(value)}".lstrip("-")


def _check_distinct(file: SweepFile, cells: Sequence[Cell]) -> None:
    """Refuse two cells that are one run. Raises UsageError."""
    first: dict[str, Cell] = {}
    for cell in cells:
        other = first.setdefault(cell.id, cell)
        if other is not cell:
            raise UsageError(
                f"{file.path}: the cells {other.name} and {cell.name} are the same run",
                "leave one of them out",
            )


def _with_unique_names(cells: Sequence[Cell], reserved: Collection[str]) -> list[Cell]:
    """The cells, with the identity in the names that several have."""
    names = Counter(cell.name for cell in cells)
    unique = []
    for cell in cells:
        is_named = cell.name in reserved
        if names[cell.name] == 1 or (is_named and cell is _last(cells, cell.name)):
            unique.append(cell)
        else:
            unique.append(_renamed(cell, f"{cell.name}-{cell.id}"))
    return unique


def _last(cells: Sequence[Cell], name: str) -> Cell:
    """The last cell of a name: named cells stand at the end."""
    return next(cell for cell in reversed(cells) if cell.name == name)


def _renamed(cell: Cell, name: str) -> Cell:
    tables = {key: _copied(table) for key, table in cell.tables.items()}
    reading.put(tables, "run.name", name, "base")
    renamed = cell.config.run.model_copy(update={"name": name})
    config = cell.config.model_copy(update={"run": renamed})
    return Cell(name, cell.id, cell.settings, tables, config)
