"""Tasks: rows with an input and a target, divided into splits, with the name of the rule that
scores them.

For: turning the task settings into a `Task`. Not for: parsing files (table.py and one module per
benchmark, which benchmarks.py lists) or scoring answers (scoring/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks import benchmarks, published, table
from opro_local.tasks.benchmarks import names, versions
from opro_local.tasks.division import CAP, divide, folded
from opro_local.tasks.task import SPLITS, Task
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.settings import TaskSettings

__all__ = ["SPLITS", "Task", "divide", "folded", "load", "names", "versions"]


def load(settings: TaskSettings, training: bool = True) -> Task:
    """Read the task that the settings describe.

    Args:
        settings: `[task]` of a config.
        training: whether rows to train on are needed. AQuA and MultiArith have none unless
        task.train_rows is set.

    Raises:
        DataError: a file is missing or malformed, or holds too few rows for its splits.
        UsageError: the settings contradict each other, name no data, or leave no rows to train on.
    """
    task = _load_table(settings) if settings.name == "table" else _load_benchmark(settings)
    if training and "train" not in task.splits:
        hint = "set task.train_rows to how many rows to draw for it"
        raise UsageError(f"{task.name} has no rows to train on, as in the paper", hint)
    capped, notices = _cap(task.splits, settings)
    notices = (*task.notices, *notices, *_repeats(capped), *_shared(capped))
    rule = task.rule if settings.rule == "auto" else settings.rule
    return replace(
        task,
        splits=capped,
        rule=rule,
        kind=task.kind if settings.kind == "auto" else settings.kind,
        pattern=task.pattern if rule == task.rule else None,
        notices=notices,
    )


def _load_benchmark(settings: TaskSettings) -> Task:
    benchmark = benchmarks.find(settings.name)
    if benchmark is None:
        known = ["table", *benchmarks.BENCHMARKS, *names()]
        hint = f"task.name is one of: table, {benchmarks.accepted()}"
        raise published.unknown(settings.name, known, hint)
    return benchmark.load(settings)


def _load_table(settings: TaskSettings) -> Task:
    input_column, target_column = settings.input or "input", settings.target or "target"
    if input_column == target_column:
        raise UsageError(
            f"task.input and task.target both name the column {input_column!r}", "name two columns"
        )
    splits, notices = _table_splits(settings, input_column, target_column)
    return Task("table", splits, settings.rule, input_column, target_column, notices=tuple(notices))


def _table_splits(settings: TaskSettings, input_column: str, target_column: str):
    files = {split: getattr(settings, split) for split in SPLITS if getattr(settings, split)}
    if settings.data and files:
        raise UsageError(
            f"task.data and task.{next(iter(files))} exclude each other",
            "give one file or one per split",
        )
    if not settings.data and "train" not in files:
        raise UsageError(
            "the task has no data",
            "set task.data to one file, or task.train (and validation, test)",
        )
    notices: list[str] = []
    if files:
        tables = {split: _only_table(path) for split, path in files.items()}
    else:
        tables, notices = _named_tables(settings.data)
    splits = {}
    for split, rows in tables.items():
        prefix = split or "data"
        splits[split] = table.examples(
            rows, prefix, input_column, target_column, targets=settings.rule != "judge"
        )
    if "" in splits:
        splits = divide(splits[""], settings.split, settings.split_seed)
    return splits, notices


def _only_table(path: str) -> table.Table:
    tables = table.read(path)
    if len(tables) > 1:
        raise DataError(
            f"{path}: holds several splits ({', '.join(tables)})", "give it as task.data"
        )
    return next(iter(tables.values()))


def _named_tables(path: str) -> tuple[dict[str, table.Table], list[str]]:
    """The tables of `task.data` by split name; the name "" means one table that is still to be
    divided.
    """
    tables = table.read(path)
    if len(tables) == 1:
        return {"": next(iter(tables.values()))}, []
    if "train" not in tables:
        raise DataError(f"{path}: no split is called train", f"its splits are: {', '.join(tables)}")
    known = {split: tables[split] for split in SPLITS if split in tables}
    others = ", ".join(name for name in tables if name not in known)
    return known, [f"{path}: not used: the splits {others}"] if others else []


def _cap(splits, settings: TaskSettings) -> tuple[dict[Split, tuple[Example, ...]], list[str]]:
    """At most the asked number of rows per split, at random; 0 drops it, a larger cap contains a
    smaller one's rows.
    """
    capped, notices = {}, []
    for purpose, split in enumerate(SPLITS):
        cap = getattr(settings, f"{split}_rows")
        if split not in splits or cap == 0:
            continue
        rows = splits[split]
        if cap is not None and cap > len(rows):
            notices.append(f"{split}: {cap} rows asked for, {len(rows)} there")
        elif cap is not None:
            stream = np.random.SeedSequence((settings.split_seed, CAP, purpose))
            rows = [
                rows[index]
                for index in sorted(np.random.default_rng(stream).permutation(len(rows))[:cap])
            ]
        capped[split] = tuple(rows)
    return capped, notices


def _repeats(splits: Mapping[Split, Sequence[Example]]) -> list[str]:
    notices = []
    for split, rows in splits.items():
        first: dict[str, Example] = {}
        twins = [(first.setdefault(folded(row.input), row), row) for row in rows]
        twins = [(a, b) for a, b in twins if a is not b]
        if twins:
            other = sum(folded(a.target) != folded(b.target) for a, b in twins)
            contradiction = f", {other} of them with another target" if other else ""
            example = f"{twins[0][1].where} repeats {twins[0][0].where}"
            notices.append(
                f"{split}: {len(twins)} of {len(rows)} rows repeat an input{contradiction} ({example})"
            )
    return notices


def _shared(splits: Mapping[Split, Sequence[Example]]) -> list[str]:
    notices = []
    seen: dict[str, tuple[Split, Example]] = {}
    for split, rows in splits.items():
        pairs: dict[Split, list[tuple[Example, Example]]] = {}
        for row in rows:
            before, twin = seen.setdefault(folded(row.input), (split, row))
            if before != split:
                pairs.setdefault(before, []).append((twin, row))
        for before, found in pairs.items():
            example = f"{found[0][0].where} and {found[0][1].where}"
            notices.append(
                f"{before} and {split} share {len(found)} rows ({example}): the score on {split} is too good"
            )
    return notices
