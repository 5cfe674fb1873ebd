"""A config for a folder in which a run was begun before: what the run did that there is a setting
for only since.

For: letting older runs go on. Not for: whether the folder belongs to the config (run.py).
"""

from __future__ import annotations

from pathlib import Path

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.runs.concurrency import with_concurrency
from opro_local.runs.store import FILE, read_store


def as_begun(config: Config, folder: Path, alone: bool = True) -> Config:
    """The config as the run in the folder was begun with it; where there is none, the same with
    what this machine can (concurrency.py).

    Args:
        config: what was asked for.
        folder: the run's.
        alone: no other run asks the same engines; of a share of one nothing is known.

    Raises:
        StoreError: the folder's store can't be read.
    """
    if not (folder / FILE).is_file():
        return with_concurrency(config) if alone else config
    store = read_store(folder)
    try:
        stored = store.get("config")
    finally:
        store.close()
    return config if stored is None else reading.as_begun(config, stored)
