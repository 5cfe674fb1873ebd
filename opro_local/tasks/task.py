"""What a task is: rows in splits, and how its answers are read and scored.

For: the one type that every benchmark module makes. Not for: choosing a benchmark or reading files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opro_local.types import Example, Split

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
    faults: Mapping[str, str] = field(default_factory=dict)
