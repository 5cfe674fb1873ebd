"""What a task is: rows in splits, and how its answers are read and scored; and what a benchmark is.

For: the two types that every benchmark module makes. Not for: the table of benchmarks
(benchmarks.py) or reading files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Task:
    """Examples with a scoring rule.

    Attributes:
        splits: the splits that exist; rows in the order of their file. "train" is among them unless
            the benchmark is there for evaluation only (see tasks.load).
        rule: name of the scoring rule; "auto" lets the targets of train decide (see
        scoring.make_rule).
        kind: the answers' kind for the rule opro: number, boolean, choice, text, or "auto" (the
        targets decide).
        labels: the labels the benchmark itself defines, for the rule labels; the user's task.labels
        go before them.
        pattern: what the rule needs besides its name, where the task's own files say it; the user's
        goes before it.
        notices: lines a user should read: repeated rows, rows shared between splits, caps that were
        not reached.
        stop: texts that end an answer, where the task's own files say it.
        max_tokens: new tokens per answer, where the task's own files say it.
        version: of the way the benchmark is read and shown; 0 for a user's own data.
        content: digest of what the rows only name, such as databases; "" where they name nothing.
        labelled: all rows there are, in file order, those included that no split or cap has; empty
            where the splits have them all.
        skipped: what is wrong with each row that was left out (task.bad_rows), with its place.
        faults: rows, by id, that are broken as published, and why: no answer to them is right.
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
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    version: int = 0
    content: str = ""
    labelled: tuple[Example, ...] = ()
    skipped: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What a benchmark's module offers to the table of benchmarks.

    Attributes:
        load: reads the task that `[task]` of a config describes. It may raise DataError and
            UsageError.
        version: of the way the benchmark is read and shown.
        parts: the second parts of its name ("bbh/navigate"); empty where the name has none.
        part_label: what messages call such a part ("task"); "" where the name has none.
        paper: whether it is one of the benchmarks of the paper, which `tasks list` lists.
    """

    load: Callable[[TaskSettings], Task]
    version: int
    parts: tuple[str, ...] = ()
    part_label: str = ""
    paper: bool = False
