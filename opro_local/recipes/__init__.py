"""Configs that come with the program, one TOML file each: the paper's experiments and what people
do with OPRO.

For: finding one by its name. Not for: verbs; `opro-local run NAME` is a run like any other. May
import: config, errors.
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


def names() -> list[str]:
    """The recipes there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str, overrides: Iterable[str] = ()) -> Config:
    """A recipe's config; relative paths in the overrides start from the working directory.

    Raises:
        UsageError: there is no such recipe, or an override is wrong.
    """
    return reading.build(tables(name), overrides)


def tables(name: str) -> dict[str, Any]:
    """A recipe's tables. Raises UsageError: there is no such recipe."""
    if name not in names():
        raise UsageError(
            f"there is no config file and no recipe {name!r}", f"recipes: {', '.join(names())}"
        )
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
