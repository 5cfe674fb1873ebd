"""What a bench writes: one row for each seed, task and mode, in FILE as soon as it is there.

For: the rivals of bench_search.py in its form, which bench_search_table.py reads. Not for: what a
row says, or the engine that is asked; those are the bench's own.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

Row = dict[str, Any]


def cells(
    seeds: Sequence[int], tasks: Sequence[str], modes: Sequence[str]
) -> Iterator[tuple[str, int, str]]:
    """(task, seed, mode) of every row: all of a seed before the next, all of a task before the next.

    Args:
        seeds, tasks, modes: in order.
    """
    for seed, task, mode in itertools.product(seeds, tasks, modes):
        yield task, seed, mode


def write_rows(
    file: Path,
    wanted: Iterable[tuple[str, int, str]],
    measured: Callable[[str, int, str], Row],
    before: Sequence[Row] = (),
    further: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Measure every cell that has no row yet, and write all rows after each.

    Args:
        file: JSON, a list of rows; what was in it is written over.
        wanted: see `cells`.
        measured: makes the row of a cell; it has "task", "seed", "mode" and "test".
        before: rows that are there already.
        further: what every new row has besides.
    """
    rows = list(before)
    known = {(row["task"], row["seed"], row["mode"]) for row in before}
    for task, seed, mode in wanted:
        if (task, seed, mode) in known:
            continue
        rows.append({**measured(task, seed, mode), **further})
        file.write_text(json.dumps(rows, indent=1))
        print(f"{task} {seed} {mode}: {100 * rows[-1]['test']:.1f}", flush=True)
