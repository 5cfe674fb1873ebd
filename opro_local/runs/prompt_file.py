"""Instructions from a file, for `evaluate --prompts`.

For: reading them as entries of `search.seeds`. Not for: checking them against a task's rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from opro_local.config.search import SeedSettings
from opro_local.errors import DataError
from opro_local.files import read_text
from opro_local.runs.winner_files import WORKED_EXAMPLES

# A run's winner as text: one prompt, however many lines it has.
WINNER = "best.txt"


def read_prompts(path: Path) -> list[str | SeedSettings]:
    """Instructions from a file: one a line; where it ends in .json, a list of texts or a run's
    best.json; the whole text where it is a run's best.txt. A best.txt that shows worked examples is
    to be read, and is refused.

    Returns:
        entries of `search.seeds`.

    Raises:
        DataError: the file can't be read or holds none.
    """
    hint = "one instruction a line, a .json file with a list of texts, or a run's best.json"
    try:
        text = read_text(path)
        seeds = [item if isinstance(item, str) else _seed(item) for item in _items(path, text)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = str(error)
        if isinstance(error, ValidationError):
            what = "an entry is neither a text nor a best.json"
        raise DataError(f"{path}: can't be read ({what})", hint) from None
    if not seeds:
        raise DataError(f"{path}: no instructions", hint)
    return seeds


def _items(path: Path, text: str) -> list[Any]:
    if text.startswith(WORKED_EXAMPLES):
        raise ValueError("it shows worked examples: give best.json of the same run")
    if path.suffix == ".json":
        value = json.loads(text)
        return [value] if isinstance(value, dict) else value
    if path.name == WINNER:
        return [text.removesuffix("\n")] if text.strip() else []
    return [line for line in text.splitlines() if line.strip()]


def _seed(best: Any) -> SeedSettings:
    """What of a run's best.json a seed needs."""
    rows = best.get("demonstrations", ()) if isinstance(best, dict) else ()
    return SeedSettings(
        text=best["text"],
        demonstrations=tuple(row["id"] for row in rows),
        answers=tuple(row["answer"] for row in rows),
    )
