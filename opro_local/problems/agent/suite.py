"""A suite: the tasks an agent's instruction file is judged by, from a TOML or JSONL file.

For: reading, checking and dividing tasks. Not for: running them or scoring answers. A task is a
command that succeeds or fails, or a prompt whose answer is checked by a scoring rule
(docs/agent-files.md).
"""

from __future__ import annotations

import difflib
import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opro_local.config.numbers import no_truth_for_a_number
from opro_local.errors import DataError, UsageError
from opro_local.files import read_bytes
from opro_local.scoring import choosing
from opro_local.scoring.rule import Rule
from opro_local.tasks import loading
from opro_local.types import Example, Split

DEFAULTS = ("workspace", "place", "timeout", "rule", "max_tokens")
# Rules whose targets are not answers themselves.
UNCHECKED = ("regex", "python", "json")


class WrittenTask(BaseModel):
    """One task as it is written down."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    _numbers = model_validator(mode="before")(no_truth_for_a_number)

    name: str | None = Field(None, min_length=1)
    split: Literal["train", "validation", "test"] | None = None
    command: tuple[str, ...] | None = None
    prompt: str | None = Field(None, min_length=1)
    rule: str = "contains"
    target: str | None = None
    labels: tuple[str, ...] = ()
    pattern: str | None = None
    max_tokens: int = Field(256, ge=1)
    workspace: str | None = None
    place: str | None = None
    timeout: float | None = Field(None, gt=0)


@dataclass(frozen=True, slots=True)
class AgentTask:
    """One task.

    Attributes:
        example: its name as id, what is asked, what is expected, and where it stands.
        command: the program that succeeds or fails; empty for a prompt.
        rule: how the answer to a prompt is scored; None for a command.
        workspace: the folder it works in a copy of; None for none.
        place: where the instruction file goes in that copy; "" for its own name.
        timeout: seconds; None for the config's.
    """

    example: Example
    command: tuple[str, ...]
    rule: Rule | None
    max_tokens: int
    workspace: Path | None
    place: str
    timeout: float | None

    @property
    def name(self) -> str:
        """What it is called, unique within the suite."""
        return self.example.id


Suite = Mapping[Split, Sequence[AgentTask]]


def read_suite(path: Path, fractions: Sequence[float], seed: int) -> Suite:
    """The tasks of each split: by their `split`, or divided at random where none says.

    Args:
        path: a .toml file with [[task]] tables, or a .jsonl file with one task a line.
        fractions, seed: see tasks.loading.divide.

    Raises:
        DataError: `file:line` or `file: task n`, and what is wrong.
    """
    named: dict[str, tuple[AgentTask, Split | None]] = {}
    for where, table in _tables(path):
        row = _row(where, table)
        task = _task(where, row, row.name or f"task {len(named) + 1}", path.parent)
        if task.name in named:
            raise DataError(
                f"{where}: the name {task.name!r} is {named[task.name][0].example.where}'s",
                "rename one",
            )
        named[task.name] = task, row.split
    if not named:
        raise DataError(f"{path}: no tasks", "write [[task]] tables, or one JSON object per line")
    return _divided(path, list(named.values()), fractions, seed)


def _divided(
    path: Path, listed: list[tuple[AgentTask, Split | None]], fractions: Sequence[float], seed: int
) -> dict[Split, list[AgentTask]]:
    """The tasks of each split. Either all tasks name theirs, or none does."""
    without = [task for task, split in listed if split is None]
    if len(without) == len(listed):
        try:
            rows = loading.divide([task.example for task in without], fractions, seed)
        except DataError as error:
            raise DataError(
                f"{path}: {error.message}", "add tasks, or change problem.split"
            ) from None
        by_name = {task.name: task for task in without}
        divided: dict[Split, list[AgentTask]] = {}
        for split, examples in rows.items():
            divided[split] = [by_name[row.id] for row in examples]
        return divided
    if without:
        raise DataError(
            f"{without[0].example.where}: no split, but other tasks have one",
            "give every task a split",
        )
    named = {split for _, split in listed}
    names = [split for split in loading.SPLITS if split in named]
    if names[0] != "train":
        raise DataError(
            f"{path}: no task has the split train", "the search needs tasks to score files on"
        )
    suite: dict[Split, list[AgentTask]] = {name: [] for name in names}
    for task, own in listed:
        if own is not None:
            suite[own].append(task)
    return suite


def _tables(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each task's place and table."""
    text = read_text(path).removeprefix("\ufeff")
    if path.suffix == ".jsonl":
        lines = [
            (f"{path}:{n}", line) for n, line in enumerate(text.split("\n"), 1) if line.strip()
        ]
        return [(where, _json(where, line)) for where, line in lines]
    if path.suffix != ".toml":
        raise DataError(f"{path}: a suite is a .toml or a .jsonl file", "rename it or give another")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not TOML ({error})") from None
    unknown = next((key for key in table if key not in (*DEFAULTS, "task")), None)
    if unknown:
        raise DataError(f"{path}: unknown key {unknown!r}", _nearest(unknown, (*DEFAULTS, "task")))
    rows = table.pop("task", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: task is no array of tables", "write [[task]]")
    return [(f"{path}: task {n}", _filled(row, table)) for n, row in enumerate(rows, 1)]


def _filled(row: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The file's defaults apply where they can: a rule or a limit of tokens means nothing to a
    command.
    """
    skipped = ("rule", "max_tokens") if "command" in row else ()
    return {**{key: value for key, value in defaults.items() if key not in skipped}, **row}


def _json(where: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: not a JSON object", "write one task per line")
    return row


def _row(where: str, table: dict[str, Any]) -> WrittenTask:
    try:
        row = WrittenTask.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise DataError(
                f"{where}: unknown key {key!r}", _nearest(key, tuple(WrittenTask.model_fields))
            ) from None
        raise DataError(
            f"{where}: {key}: {first['msg'].lower()}, got {first['input']!r:.60}"
        ) from None
    if (row.command is None) == (row.prompt is None):
        both, neither = "both a command and a prompt", "neither a command nor a prompt"
        wrong = neither if row.command is None else both
        raise DataError(f"{where}: {wrong}", "a task has one of them")
    if row.command is not None:
        for key in ("rule", "target", "labels", "pattern", "max_tokens"):
            if key in row.model_fields_set:
                raise DataError(
                    f"{where}: {key} means nothing to a command",
                    "a command succeeds with exit code 0",
                )
    elif row.target is None and row.rule != "python" and ".py:" not in row.rule:
        raise DataError(f"{where}: no target", "say what the answer has to be or contain")
    return row


def _nearest(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"accepted: {', '.join(known)}"


def _task(where: str, row: WrittenTask, name: str, base: Path) -> AgentTask:
    workspace = base / Path(row.workspace).expanduser() if row.workspace else None
    if workspace is not None and not workspace.is_dir():
        raise DataError(
            f"{where}: there is no folder {row.workspace!r}",
            "workspace starts from the suite's folder",
        )
    place = PurePosixPath(row.place or "")
    if place.is_absolute() or ".." in place.parts:
        raise DataError(
            f"{where}: place {row.place!r} is not inside the workspace",
            "give a path relative to it",
        )
    rule = None
    if row.command is not None:
        example = Example(name, {}, shlex.join(row.command), "exit code 0", where)
    else:
        example = Example(name, {}, row.prompt or "", row.target or "", where)
        rule = _rule(where, row, example, base)
    return AgentTask(
        example, row.command or (), rule, row.max_tokens, workspace, row.place or "", row.timeout
    )


def _rule(where: str, row: WrittenTask, example: Example, base: Path) -> Rule:
    """The rule of a prompt; its own target has to satisfy it."""
    pattern = None if row.pattern is None else _own_file(row.pattern, base)
    try:
        rule = choosing.make_rule(
            _own_file(row.rule, base), row.labels, pattern, examples=[example]
        )
    except (UsageError, DataError) as error:
        raise DataError(f"{where}: {error.message}", error.hint) from None
    if rule.name not in UNCHECKED and rule.score([example.target], [example])[0][0] != 1:
        raise DataError(
            f"{where}: the target {example.target[:60]!r} fails its own rule {rule.name}",
            "correct it",
        )
    return rule


def _own_file(spec: str, base: Path) -> str:
    """A "file.py:function" starts from the suite's folder."""
    return str(base / spec) if ".py:" in spec else spec


def read_text(path: Path) -> str:
    """A file's text, every byte of it. Raises DataError, with the line where it is not UTF-8."""
    try:
        data = read_bytes(path)
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})", "check the path") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x})", "save it as UTF-8"
        ) from None
