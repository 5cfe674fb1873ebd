"""The config of a run that is there, to ask something else with its data, rule and model.

For: `evaluate RUN`. Not for: going on with a run (continued.py), or predicting (prediction.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import StoreError, UsageError
from opro_local.runs.named_code import named_with_models
from opro_local.runs.store import read_store
from opro_local.runs.store_file import FILE


def is_run(place: Path) -> bool:
    """Whether a run's store is there."""
    return (place / FILE).exists()


def config_of_run(folder: Path, changes: Sequence[str] = (), trust_code: bool = False) -> Config:
    """The config that a run keeps, with changes.

    Args:
        folder: the run's.
        changes: "section.key=value".
        trust_code: whether code that the config names may run.

    Raises:
        StoreError: the store can't be read, or holds no config.
        UsageError: a change is none; or the config names code, which somebody else may have put
            there.
    """
    store = read_store(folder)
    try:
        kept = store.get("config")
    finally:
        store.close()
    if not isinstance(kept, dict):
        raise StoreError(f"{folder}: keeps no config", "name a run that was begun")
    config = reading.stored(kept, changes)
    named = named_with_models(config, [config.scorer, config.judge])
    if named and not trust_code:
        raise UsageError(
            f"{folder}: its config names {named[0]}, which would be run",
            "add --trust-code if you know what it does",
        )
    return config
