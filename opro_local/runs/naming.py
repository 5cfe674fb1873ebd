"""Where a run is kept when nobody says: a folder that the same call or command finds again.

For: the one way to name a run's folder. Not for: making it (store.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opro_local.config.reading import is_at_default, is_free
from opro_local.config.search import PAPERS_LONGEST
from opro_local.config.settings import Config
from opro_local.errors import StoreError
from opro_local.runs.store import FILE, read_store

RUNS = Path("runs")
# Settings that a run may change and that yet tell two commands apart.
IDENTIFYING = frozenset(("scorer.model", "optimizer.model", "task.data", "task.train"))
# What stood in names when these settings had a default; without a value they keep it.
FORMER_DEFAULTS = {"search.max_characters": PAPERS_LONGEST}


def run_folder(config: Config, folder: Path | None, verb: str = "run", metric: str = "") -> Path:
    """The folder asked for, or one that the same command finds again: six hex digits of what
    identifies the run.

    The folder of a benchmark's files tells runs apart as a table's path does. Other verbs than
    `run` have their name in it, so that a search and an evaluation of one config don't meet.
    `metric` is the digest of a function that scores instead of the config's rule.
    """
    if folder is not None:
        return folder
    whole = config.model_dump(mode="json")
    dumped = deciding_settings(config)
    # Told apart where they are given; a name without them is the name it always was.
    parts = {key: whole["task"][key] for key in ("validation", "test") if whole["task"][key]}
    dumped |= parts | ({"metric": metric} if metric else {})
    name = config.run.name if verb == "run" else f"{config.run.name}-{verb}"
    data_dir = whole["task"]["data_dir"]
    former = RUNS / f"{name}-{_short(dumped)}"
    if not data_dir or _is_of(former, data_dir):
        return former
    return RUNS / f"{name}-{_short(dumped | {'data_dir': data_dir})}"


def _short(dumped: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()[:6]


def _is_of(folder: Path, data_dir: str) -> bool:
    """Whether a run is there whose rows come from this folder. Such a run was begun when
    task.data_dir was no part of a name, and goes on.
    """
    if not (folder / FILE).is_file():
        return False
    try:
        store = read_store(folder)
    except StoreError:
        return False  # who opens it in its own name says what is wrong with it
    try:
        config = store.get("config") or {}
    finally:
        store.close()
    return bool(config.get("task", {}).get("data_dir") == data_dir)


def deciding_settings(config: Config) -> dict[str, Any]:
    """The settings that tell two runs apart, by "section.key": what no run may be continued with
    another value of, the models and the data. Those that are newer than a stored run leave no trace
    at their default.
    """
    whole = config.model_dump(mode="json")
    dumped = {}
    for section, table in whole.items():
        for key, value in table.items():
            name = f"{section}.{key}"
            is_newer = is_at_default(name, value)
            if not is_newer and (name in IDENTIFYING or not is_free(name, whole)):
                dumped[name] = FORMER_DEFAULTS.get(name, value) if value is None else value
    return dumped
