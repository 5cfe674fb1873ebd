"""The config for what a Python caller gives: data of any kind, columns, model, prompts, settings.

For: `optimize`, `evaluate` and `check`; rows in memory are kept as files beside the run. Not for:
what a command line gives (cli/), or rows without targets (given_rows.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.search import prompts_given
from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.files import given_path, make_private_folder, write_whole
from opro_local.runs.naming import RUNS
from opro_local.tasks.in_memory import json_lines
from opro_local.tasks.task import SPLITS


@dataclass(frozen=True, slots=True)
class Given:
    """What a call gives besides its data.

    Attributes:
        input, target: the columns with what is asked and what counts as right; None where the
            data says them, or the settings.
        model: optimizer and scorer.
        prompt: a prompt, or several; None for none.
        set: settings, as a mapping or as texts.
        run: the run's folder.
    """

    input: str | None
    target: str | None
    model: str | Path | None
    prompt: str | Sequence[str] | None
    set: Mapping[str, Any] | Sequence[str] = ()
    run: str | Path | None = None

    def config(self, data: Any) -> Config:
        """The config for this data; rows in memory are written.

        Args:
            data: a path, rows of any kind that tasks/in_memory.py takes, a whole Config, or a
                config's tables.

        Raises:
            UsageError, DataError: what is wrong with it; UsageError also where a whole Config comes
                with more settings.
        """
        prompts = [] if self.prompt is None else prompts_given(self.prompt)
        if self.prompt is not None and not prompts:
            raise UsageError("prompt is an empty list", "leave it out, or give one text or several")
        if self.model is not None:
            given_path(self.model, "model")
        if isinstance(data, Config):
            if self.input or self.target or self.model or self.set or prompts:
                raise UsageError(
                    "a Config is whole: input, target, model, prompt and set change nothing of it",
                    "build it with them",
                )
            return data
        tables, changes = with_settings(_tables(data, self.run), self.set)
        _give(tables, "task", input=self.input, target=self.target)
        _give(tables, "scorer", model=None if self.model is None else str(self.model))
        _give(tables, "search", seeds=prompts)
        return reading.build(tables, changes)


def _tables(data: Any, run: str | Path | None) -> dict[str, Any]:
    """A config's tables for data of any kind; rows in memory are written beside the run."""
    if isinstance(data, (str, Path)):
        return {"task": {"data": str(data)}, "run": {"name": given_path(data, "data").stem}}
    is_config = isinstance(data, Mapping) and all(
        name == "models" or name in reading.SECTIONS for name in data
    )
    if is_config:
        return {name: dict(table) for name, table in data.items()}
    folder = RUNS if run is None else given_path(run, "run").parent
    parts = {split: _kept(lines, folder) for split, lines in json_lines(data).items()}
    unknown = parts.keys() - {"", *SPLITS}
    if unknown:
        raise DataError(f"a split called {min(unknown)!r}", f"accepted: {', '.join(SPLITS)}")
    return {"task": {split or "data": path for split, path in parts.items()}}


def _kept(lines: str, folder: Path) -> str:
    """The path of the rows as a file that is named by what it holds."""
    place = folder / "data" / f"{hashlib.sha256(lines.encode()).hexdigest()[:16]}.jsonl"
    if not place.exists():
        make_private_folder(place.parent)
        write_whole(place, lines)
    return str(place)


def with_settings(
    tables: dict[str, Any], given: Mapping[str, Any] | Sequence[str]
) -> tuple[dict[str, Any], Sequence[str]]:
    """The tables with the settings of a mapping in them, and settings that are texts already.

    Args:
        tables: a config's; changed where the settings are a mapping.
        given: {"section.key": value}, or ["section.key=value"].

    Raises:
        UsageError: it is neither, or a name is no setting's.
    """
    hint = 'for example {"search.steps": 10}, or ["search.steps=10"]'
    if not isinstance(given, Mapping):
        is_list = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
        if not is_list or not all(isinstance(one, str) for one in given):
            raise UsageError(f"set is {given!r:.60}, no settings", hint)
        return tables, given
    for name, value in given.items():
        if not isinstance(name, str):
            raise UsageError(f"set: {name!r:.60} is no setting", hint)
        section, dot, key = name.rpartition(".")
        if not (section and dot and key):
            raise UsageError(f"set: {name!r} is no setting", 'for example {"search.steps": 10}')
        _give(tables, section, **{key: value})
    return tables, ()


def _give(tables: dict[str, Any], section: str, **settings: Any) -> None:
    """Add what is given to a section's table; `section` may name a table in [models]."""
    # Not by ==, which an array answers with an array.
    empty = [key for key, value in settings.items() if value is None or _is_empty(value)]
    given = {key: value for key, value in settings.items() if key not in empty}
    if not given:
        return
    for name in section.split("."):
        tables[name] = dict(tables.get(name, {}))
        tables = tables[name]
    tables.update(given)


def _is_empty(value: Any) -> bool:
    return isinstance(value, list) and not value
