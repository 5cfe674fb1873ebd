"""Configs that come with the program, one TOML file each: the paper's experiments and what people
do with OPRO. In sweeps/ are those of many runs: the paper's tables and ablations.

For: finding one by its name. Not for: verbs; `opro-local run NAME` is a run like any other, and
`opro-local sweep NAME` a sweep like any other. May import: config, errors.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import UsageError

FOLDER = Path(__file__).parent
SWEEPS = FOLDER / "sweeps"


def names() -> list[str]:
    """The recipes there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str, overrides: Iterable[str] = ()) -> Config:
    """A recipe's config; relative paths in the overrides start from the working directory.

    Raises:
        UsageError: there is no such recipe, or an override is wrong.
    """
    return reading.build(tables(name), overrides)


def sweep_names() -> list[str]:
    """The sweeps there are."""
    return sorted(path.stem for path in SWEEPS.glob("*.toml"))


def sweep_file(path: Path) -> Path:
    """The file of a sweep: the path, or, where there is none of it, the sweep of that name.

    Raises:
        UsageError: there is neither.
    """
    if path.exists() or path.suffix or path.parent != Path():
        return path
    if path.name not in sweep_names():
        raise UsageError(
            f"there is no file and no sweep {str(path)!r}", f"sweeps: {', '.join(sweep_names())}"
        )
    return SWEEPS / f"{path.name}.toml"


def tables(name: str) -> dict[str, Any]:
    """A recipe's tables. Raises UsageError: there is no such recipe."""
    if name not in names():
        raise UsageError(
            f"there is no config file and no recipe {name!r}", f"recipes: {', '.join(names())}"
        )
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
