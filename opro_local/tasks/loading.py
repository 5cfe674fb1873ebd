"""Tasks: rows with an input and a target, divided into splits, with the name of the rule that
scores them.

For: turning the task settings into a `Task`. Not for: parsing files (table.py and one module per
benchmark, which benchmarks.py lists) or scoring answers (scoring/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks import benchmarks, published, table
from opro_local.tasks.benchmarks import names, versions
from opro_local.tasks.division import (
    CAP,
    by_kind_of_target,
    by_target,
    divide,
    folded,
    in_proportion,
)
from opro_local.tasks.rows import Table, TableFormat
from opro_local.tasks.task import SPLITS, Task
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

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
    capped, unreached = _cap(task.splits, settings)
    labelled = task.labelled or tuple(row for rows in task.splits.values() for row in rows)
    notices = (*task.notices, *unreached, *_repeats(capped), *_shared(capped))
    rule = task.rule if settings.rule == "auto" else settings.rule
    return replace(
        task,
        splits=capped,
        labelled=labelled,
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
    notices: list[str] = []
    skipped: list[str] = []
    splits, labelled = _table_splits(settings, (input_column, target_column), notices, skipped)
    return Task(
        "table",
        splits,
        settings.rule,
        input_column,
        target_column,
        notices=tuple(notices),
        labelled=labelled,
        skipped=tuple(skipped),
    )


def _table_splits(
    settings: TaskSettings, names: tuple[str, str], notices: list[str], skipped: list[str]
) -> tuple[Mapping[Split, tuple[Example, ...]], tuple[Example, ...]]:
    """The splits of a user's table, and all rows there are.

    Args:
        settings: which table, and how it is divided.
        names: the columns with inputs and targets.
        notices: what the user should read is added.
        skipped: what is wrong with each row that is left out is added.
    """
    tables, about_tables = _tables(settings)
    notices += about_tables
    # A judge may do without reference answers.
    columns = (*names, settings.rule != "judge")
    skip = settings.bad_rows == "skip"
    splits: dict[Split, Sequence[Example]] = {}
    labelled: list[Example] = []
    for split, rows in tables.items():
        notices += rows.notices
        examples, bad = table.usable_examples(rows, split or "data", *columns)
        if bad and not skip:
            raise table.bad_rows_error(bad, ', or set task.bad_rows = "skip"')
        if bad:
            notices.append(_skipped(rows, examples, bad))
            skipped += [error.message for error in bad]
        labelled += examples
        if split:
            splits[split] = examples
        else:
            strata = _strata(examples, settings)
            splits |= divide(examples, settings.split, settings.split_seed, strata)
    if settings.data and _lacks_validation(splits, settings):
        notices.append(_take_validation(splits, settings))
    named = {split: tuple(examples) for split, examples in splits.items()}
    return named, tuple(labelled)


def _strata(rows: Sequence[Example], settings: TaskSettings) -> list[str] | None:
    """What every split of a table has its share of: targets, of amounts bands; None where the run
    was begun before there were strata.
    """
    if settings.revision >= 3:
        return by_kind_of_target(rows)
    return by_target(rows) if settings.revision >= 2 else None


def _skipped(rows: Table, examples: Sequence[Example], bad: Sequence[DataError]) -> str:
    """The notice about the rows of a table that are left out.

    Raises:
        DataError: they are half of it or more; then it is the file that is read wrongly.
    """
    if len(bad) >= len(examples):
        hint = ": more than task.bad_rows may skip; are delimiter and encoding right?"
        raise table.bad_rows_error(bad, hint)
    listed = "; ".join(error.message for error in bad[: table.LISTED])
    more = "; ..." if len(bad) > table.LISTED else ""
    return f"{rows.where}: {len(bad)} bad rows skipped, {len(examples)} kept: {listed}{more}"


def _lacks_validation(splits: Mapping[Split, Sequence[Example]], settings: TaskSettings) -> bool:
    """Whether the data names train and test and nothing to choose by, and some is wanted."""
    wanted = settings.split[1] > 0 and settings.validation_rows != 0 and settings.revision >= 2
    return wanted and set(splits) == {"train", "test"}


def _take_validation(splits: dict[Split, Sequence[Example]], settings: TaskSettings) -> str:
    """Divide train in the proportion that `task.split` has for it and validation; the notice."""
    train, validation = settings.split[:2]
    shares = (train / (train + validation), validation / (train + validation), 0.0)
    rows, strata = len(splits["train"]), _strata(splits["train"], settings)
    splits |= divide(splits["train"], shares, settings.split_seed, strata)
    taken = len(splits["validation"])
    return f"the data has no validation split: {taken} of its {rows} train rows are taken for it"


def _tables(settings: TaskSettings) -> tuple[dict[Split | Literal[""], Table], list[str]]:
    """The tables by split, and notices; "" means one table that is still to be divided."""
    columns = (settings.input or "input", settings.target or "target")
    file_format = TableFormat(settings.delimiter, settings.encoding, columns)
    files = {split: path for split in SPLITS if (path := getattr(settings, split))}
    if settings.data and files:
        raise UsageError(
            f"task.data and task.{next(iter(files))} exclude each other",
            "give one file or one per split",
        )
    if settings.data:
        return _named_tables(settings.data, file_format)
    if "train" not in files:
        raise UsageError(
            "the task has no data",
            "set task.data to one file, or task.train (and validation, test)",
        )
    return {split: _only_table(path, file_format) for split, path in files.items()}, []


def _only_table(path: str, file_format: TableFormat) -> Table:
    tables = table.read(path, file_format=file_format, keep_bad=True)
    if len(tables) > 1:
        raise DataError(
            f"{path}: holds several splits ({', '.join(tables)})", "give it as task.data"
        )
    return next(iter(tables.values()))


def _named_tables(
    path: str, file_format: TableFormat
) -> tuple[dict[Split | Literal[""], Table], list[str]]:
    """The tables of `task.data`, as `_tables` gives them."""
    tables = table.read(path, file_format=file_format, keep_bad=True)
    if len(tables) == 1:
        return {"": next(iter(tables.values()))}, []
    if "train" not in tables:
        raise DataError(f"{path}: no split is called train", f"its splits are: {', '.join(tables)}")
    known: dict[Split | Literal[""], Table] = {
        split: tables[split] for split in SPLITS if split in tables
    }
    others = ", ".join(name for name in tables if name not in SPLITS)
    return known, [f"{path}: not used: the splits {others}"] if others else []


def _cap(
    splits: Mapping[Split, tuple[Example, ...]], settings: TaskSettings
) -> tuple[dict[Split, tuple[Example, ...]], list[str]]:
    """At most the asked number of rows per split, at random, and notices where there are fewer.

    A cap of 0 drops the split. The rows of a smaller cap are among those of a larger one.
    """
    capped: dict[Split, tuple[Example, ...]] = {}
    notices = []
    for purpose, split in enumerate(SPLITS):
        cap = getattr(settings, f"{split}_rows")
        if split not in splits or cap == 0:
            continue
        rows = splits[split]
        if cap is not None and cap > len(rows):
            notices.append(f"{split}: {cap} rows asked for, {len(rows)} there")
        elif cap is not None:
            stream = np.random.SeedSequence((settings.split_seed, CAP, purpose))
            rng = np.random.default_rng(stream)
            strata = _strata(rows, settings) if settings.name == "table" else None
            order = rng.permutation(len(rows)) if strata is None else in_proportion(strata, rng)
            drawn = order[:cap]
            rows = tuple(rows[index] for index in sorted(drawn))
        capped[split] = rows
    return capped, notices


def _repeats(splits: Mapping[Split, Sequence[Example]]) -> list[str]:
    """A notice for every split in which rows repeat the input of another row."""
    notices = []
    for split, rows in splits.items():
        first: dict[str, Example] = {}
        twins = []
        for row in rows:
            before = first.setdefault(folded(row.input), row)
            if before is not row:
                twins.append((before, row))
        if twins:
            notices.append(f"{split}: {len(twins)} of {len(rows)} rows {_repeated(twins)}")
    return notices


def _repeated(twins: Sequence[tuple[Example, Example]]) -> str:
    other = sum(folded(a.target) != folded(b.target) for a, b in twins)
    contradiction = f", {other} of them with another target" if other else ""
    before, row = twins[0]
    return f"repeat an input{contradiction} ({row.where} repeats {before.where})"


def _shared(splits: Mapping[Split, Sequence[Example]]) -> list[str]:
    """A notice for every two splits that have rows with the same input."""
    notices = []
    seen: dict[str, tuple[Split, Example]] = {}
    for split, rows in splits.items():
        pairs: dict[Split, list[tuple[Example, Example]]] = {}
        for row in rows:
            before, twin = seen.setdefault(folded(row.input), (split, row))
            if before != split:
                pairs.setdefault(before, []).append((twin, row))
        for before, twins in pairs.items():
            twin, row = twins[0]
            notices.append(
                f"{before} and {split} share {len(twins)} rows ({twin.where} and {row.where}): "
                f"the score on {split} is too good"
            )
    return notices
