"""Where a file goes that is made of a run: never over what the run was made from.

For: the outputs of `export`, `predict`, `report` and `evaluate`. Not for: the run's own files
(winner_files.py), or outputs that no run stands behind (files.place_of_output).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.files import place_of_output
from opro_local.runs.store import read_store


def place_for_run(
    folder: Path, output: Path, given: Sequence[Path] = (), changes: Sequence[str] = ()
) -> Path:
    """Where an output goes that is made of a stored run.

    Args:
        folder: the run's.
        output: the name that the user gave.
        given: what the command reads besides.
        changes: settings that the command changes, as "section.key=value".

    Raises:
        UsageError: a change is none, or a file is there that the run's config names (rows, a
            script, a template), that the command reads, or that belongs to a run.
        StoreError: there is no run, or the output is a link that leads elsewhere.
    """
    store = read_store(folder)
    try:
        config = store.get("config") or {}
    finally:
        store.close()
    inputs = [*given, *files_named(config)]
    if changes:
        inputs += files_named(reading.stored(config, changes).model_dump(mode="json"))
    return place_of_output(output, inputs)


def files_named(config: Any) -> Iterator[Path]:
    """Every text of a config's tables as a path, and what stands before the function in
    "file.py:function". Most are no file's name: whoever asks looks whether the file is there.
    """
    if isinstance(config, dict):
        for value in config.values():
            yield from files_named(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from files_named(value)
    elif isinstance(config, str) and config:
        yield Path(config)
        file, colon, _ = config.rpartition(":")
        if colon and file:
            yield Path(file)
