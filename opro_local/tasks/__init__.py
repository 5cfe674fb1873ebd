"""Tasks: rows with an input and a target, divided into splits, with the name of the rule that scores them.

For: turning the task settings into a `Task`. Not for: parsing files (table.py and one module per benchmark) or
scoring answers (scoring/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks import gsm8k, table
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config import TaskSettings

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# What a random choice is for, so that no two choices share a stream.
DIVIDE, CAP = 0, 1

BENCHMARKS = {"gsm8k": (gsm8k.load, "number")}


@dataclass(frozen=True, slots=True)
class Task:
    """Examples with a scoring rule.

    Attributes:
        splits: the splits that exist, "train" always among them; rows in the order of their file.
        rule: name of the scoring rule; "auto" lets the targets of train decide (see scoring.make_rule).
        kind: the answers' kind for the rule opro: number, boolean, choice, text, or "auto" (the targets decide).
        labels: the labels the benchmark itself defines, for the rule labels; the user's task.labels go before them.
        pattern: what the rule needs besides its name, where the task's own files say it; the user's goes before it.
        notices: lines a user should read: repeated rows, rows shared between splits, caps that were not reached.
    """

    name: str
    splits: Mapping[Split, tuple[Example, ...]]
    rule: str
    input_column: str
    target_column: str
    kind: str = "auto"
    labels: tuple[str, ...] = ()
    pattern: str | None = None
    notices: tuple[str, ...] = ()


def load(settings: TaskSettings) -> Task:
    """Read the task that the settings describe.

    Raises:
        DataError: a file is missing or malformed, or holds too few rows for its splits.
        UsageError: the settings contradict each other or name no data.
    """
    if settings.name == "table":
        input_column, target_column = settings.input or "input", settings.target or "target"
        if input_column == target_column:
            raise UsageError(f"task.input and task.target both name the column {input_column!r}", "name two columns")
        splits, notices = _load_table(settings, input_column, target_column)
        rule = settings.rule
    elif settings.name in BENCHMARKS:
        read, default_rule = BENCHMARKS[settings.name]
        splits, notices = read(settings)
        input_column, target_column = "question", "answer"
        rule = default_rule if settings.rule == "auto" else settings.rule
    else:
        known = ", ".join(("table", *BENCHMARKS))
        raise UsageError(f"unknown task {settings.name!r}", f"task.name is one of: {known}")
    capped, cap_notices = _cap(splits, settings)
    notices = (*notices, *cap_notices, *_repeats(capped), *_shared(capped))
    return Task(settings.name, capped, rule, input_column, target_column, settings.kind, notices=tuple(notices))


def _load_table(settings: TaskSettings, input_column: str, target_column: str):
    files = {split: getattr(settings, split) for split in SPLITS if getattr(settings, split)}
    if settings.data and files:
        raise UsageError(f"task.data and task.{next(iter(files))} exclude each other", "give one file or one per split")
    if not settings.data and "train" not in files:
        raise UsageError("the task has no data", "set task.data to one file, or task.train (and validation, test)")
    notices: list[str] = []
    if files:
        tables = {split: _only_table(path) for split, path in files.items()}
    else:
        tables, notices = _named_tables(settings.data)
    splits = {}
    for split, rows in tables.items():
        prefix = split or "data"
        splits[split] = table.examples(rows, prefix, input_column, target_column)
    if "" in splits:
        splits = divide(splits[""], settings.split, settings.split_seed)
    return splits, notices


def _only_table(path: str) -> table.Table:
    tables = table.read(path)
    if len(tables) > 1:
        raise DataError(f"{path}: holds several splits ({', '.join(tables)})", "give it as task.data")
    return next(iter(tables.values()))


def _named_tables(path: str) -> tuple[dict[str, table.Table], list[str]]:
    """The tables of `task.data` by split name; the name "" means one table that is still to be divided."""
    tables = table.read(path)
    if len(tables) == 1:
        return {"": next(iter(tables.values()))}, []
    if "train" not in tables:
        raise DataError(f"{path}: no split is called train", f"its splits are: {', '.join(tables)}")
    known = {split: tables[split] for split in SPLITS if split in tables}
    others = ", ".join(name for name in tables if name not in known)
    return known, [f"{path}: not used: the splits {others}"] if others else []


def folded(text: str) -> str:
    """The text with every run of whitespace as one space: what makes two inputs the same row."""
    return " ".join(text.split())


def divide(rows: Sequence[Example], fractions: Sequence[float], seed: int) -> dict[Split, list[Example]]:
    """Divide rows into train, validation and test at random; rows with the same input stay together.

    Args:
        rows: all rows, in file order.
        fractions: shares of train, validation and test in [0, 1], together at most 1.
        seed: equal seeds divide equal rows equally.

    Raises:
        DataError: a split with a share above 0 would get no row.
        UsageError: the fractions are not shares.
    """
    if len(fractions) != 3 or not fractions[0] > 0 or min(fractions) < 0 or sum(fractions) > 1 + 1e-9:
        raise UsageError(f"task.split is {tuple(fractions)}", "give three shares of at least 0, at most 1 together")
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(folded(row.input), []).append(index)
    members = list(groups.values())
    order = np.random.default_rng(np.random.SeedSequence((seed, DIVIDE))).permutation(len(members))
    bounds = np.rint(np.cumsum(fractions) * len(rows)).astype(int)
    chosen: list[list[int]] = [[], [], [], []]
    placed = 0
    for group in order:
        chosen[int(np.searchsorted(bounds, placed, side="right"))] += members[group]
        placed += len(members[group])
    counts = [len(part) for part in chosen[:3]]
    if any(share > 0 and not count for share, count in zip(fractions, counts, strict=True)):
        raise DataError(
            f"{len(rows)} rows ({len(members)} different inputs) are too few for the split {tuple(fractions)}: "
            f"train {counts[0]}, validation {counts[1]}, test {counts[2]}",
            "add rows or change task.split",
        )
    parts = zip(SPLITS, chosen[:3], strict=True)
    return {split: [rows[index] for index in sorted(part)] for split, part in parts if part}


def _cap(splits, settings: TaskSettings) -> tuple[dict[Split, tuple[Example, ...]], list[str]]:
    """At most the asked number of rows per split, at random; 0 drops it, a larger cap contains a smaller one's rows."""
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
            rows = [rows[index] for index in sorted(np.random.default_rng(stream).permutation(len(rows))[:cap])]
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
            notices.append(f"{split}: {len(twins)} of {len(rows)} rows repeat an input{contradiction} ({example})")
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
