"""Where a run is kept when nobody says: a folder that the same call or command finds again.

For: the one way to name a run's folder. Not for: making it (store.py).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from opro_local.config.reading import is_at_default, is_free
from opro_local.config.settings import Config

RUNS = Path("runs")
# Settings that a run may change and that yet tell two commands apart.
IDENTIFYING = frozenset(("scorer.model", "optimizer.model", "task.data", "task.train"))


def run_folder(config: Config, folder: Path | None, verb: str = "run", metric: str = "") -> Path:
    """The folder asked for, or one that the same command finds again: six hex digits of what
    identifies the run.

    Other verbs than `run` have their name in it, so that a search and an evaluation of one config
    don't meet. `metric` is the digest of a function that scores instead of the config's rule.
    """
    if folder is not None:
        return folder
    whole = config.model_dump(mode="json")
    dumped = deciding_settings(config)
    # Told apart where they are given; a name without them is the name it always was.
    parts = {key: whole["task"][key] for key in ("validation", "test") if whole["task"][key]}
    dumped |= parts | ({"metric": metric} if metric else {})
    short = hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()[:6]
    name = config.run.name if verb == "run" else f"{config.run.name}-{verb}"
    return RUNS / f"{name}-{short}"


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
                dumped[name] = value
    return dumped
