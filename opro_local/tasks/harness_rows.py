"""What a harness task makes of a row: the text that is asked, the targets, the choices.

For: columns, Jinja templates and, where the user allowed it, functions of the task's own. Not for:
where rows come from (harness.py) or what the YAML may say (harness_yaml.py).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.programs.template import Unrendered, render_all
from opro_local.tasks import published
from opro_local.tasks.rows import Row, Table, text_of
from opro_local.types import Example

# Columns that a rendered row has beside its own: what else is right, and the choices, as JSON.
OTHER_TARGETS, CHOICES = "other targets", "choices of the task"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A short last line such as "Answer:", before which options are listed.
CUE = re.compile(r"\n[^\n]{0,20}:\s*\Z")
Parts = tuple[dict[str, str], str, str]


def processed(path: Path, said: Mapping[str, Any], table: Table) -> Table:
    """The table after the task's own `process_docs`, which may drop, change and add rows."""
    function = said.get("process_docs")
    if function is None:
        return table
    import datasets

    try:
        before = datasets.Dataset.from_list([dict(row.columns) for row in table.rows])
        after = list(function(before))
    # The boundary to the task's own code: whatever it raises is the user's to read, in one line.
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{path}: process_docs raised {what}", "correct the function") from error
    rows = [Row(f"{table.where}:{number}", row) for number, row in enumerate(after, 1)]
    if not rows:
        raise DataError(f"{path}: process_docs leaves no rows", "correct the function")
    return Table(table.where, tuple(rows[0].columns), rows)


def examples(path: Path, said: Mapping[str, Any], split: str, rows: Sequence[Row]) -> list[Example]:
    """The rows of a split as the task asks them, each with the first of its targets.

    Raises:
        DataError: a template is none, or a row does not render.
    """
    keys = ("doc_to_text", "doc_to_target", "doc_to_choice", "gen_prefix")
    made = [_made(path, key, said.get(key), rows) for key in keys]
    parts = (_parts(*one) for one in zip(rows, *made, strict=True))
    return published.examples(split, rows, lambda row: next(parts))


def _parts(row: Row, question: Any, target: Any, choices: Any, prefix: Any) -> Parts:
    """A row's columns, what is asked and what is right."""
    try:
        columns = {name: text_of(value) or "" for name, value in row.columns.items()}
    except ValueError as error:
        raise DataError(f"{row.where}: {error}", "correct the row") from None
    shown = _text(question)
    if choices is not None:
        listed = _choices(choices, row.where)
        shown, target = _with_options(shown or "", listed), _chosen(target, listed, row.where)
        columns[CHOICES] = json.dumps(listed, ensure_ascii=False)
    elif isinstance(target, list):
        target, *others = [text_of(one) or "" for one in target] or [""]
        columns[OTHER_TARGETS] = json.dumps(others, ensure_ascii=False)
    if prefix and shown:
        shown = f"{shown} {prefix}"
    what = f"{row.where}: doc_to_"
    return (
        columns,
        published.a_text(shown, f"{what}text"),
        published.a_text(_text(target), f"{what}target"),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _made(path: Path, key: str, source: Any, rows: Sequence[Row]) -> list[Any]:
    """What the harness makes of each row: a function's value, the column of this name, or else a
    Jinja template of the columns; a list or number is itself.
    """
    if callable(source):
        return [_called(path, key, source, row) for row in rows]
    if not isinstance(source, str):
        return [source] * len(rows)
    templated = [row for row in rows if source not in row.columns]
    names, filters = [row.columns for row in templated], {"regex_replace": _regex_replace}
    try:
        texts = render_all(source, names, filters=filters) if names else []
    except Unrendered as error:
        if error.row is None:
            hint = "supported: a column's name or a Jinja template"
            raise DataError(f"{path}: {key}: {error}", hint) from None
        row = templated[error.row]
        raise DataError(
            f"{row.where}: {key}: {error}", f"the columns are {', '.join(row.columns)}"
        ) from None
    lists = key in ("doc_to_target", "doc_to_choice")
    rendered = map(_as_list, texts) if lists else iter(texts)
    return [row.columns[source] if source in row.columns else next(rendered) for row in rows]


def _called(path: Path, key: str, function: Callable[[Mapping[str, Any]], Any], row: Row) -> Any:
    try:
        return function(dict(row.columns))
    # The boundary to the task's own code, as in `processed`.
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{row.where}: {key} of {path} raised {what}", "correct it") from error


def _regex_replace(text: str, pattern: str, repl: str, count: int = 0) -> str:
    return re.sub(pattern, repl, text, count=count)


def _as_list(text: str) -> Any:
    """The harness reads a target that looks like a Python list as one."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text
    return text


def _choices(value: Any, where: str) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        raise DataError(f"{where}: doc_to_choice gives {value!r:.60}", "supported: a list of texts")
    choices = [str(one).strip() for one in value]
    if not all(choices) or len(set(choices)) < len(choices):
        raise DataError(f"{where}: doc_to_choice gives {value!r:.60}", "supported: distinct texts")
    return choices


def _chosen(right: Any, choices: Sequence[str], where: str) -> str:
    """The right choice's text, from its index or its text."""
    if isinstance(right, str) and right.strip() in choices:
        return right.strip()
    text = str(right).strip()
    if isinstance(right, bool) or not text.isdecimal() or int(text) >= len(choices):
        raise DataError(
            f"{where}: doc_to_target gives {right!r:.60}, which is none of the "
            f"{len(choices)} choices",
            "supported: the number of a choice, from 0, or its text",
        )
    return choices[int(text)]


def are_letters(choices: str) -> bool:
    """Whether choices, as JSON, are A, B, C ...: then the question lists what they stand for."""
    return [choice.strip("() .") for choice in json.loads(choices)] == list(
        LETTERS[: len(json.loads(choices))]
    )


def _with_options(shown: str, choices: Sequence[str]) -> str:
    """The question with its options where it shows none: who is to answer must see them."""
    if are_letters(json.dumps(choices)) or all(choice in shown for choice in choices):
        return shown
    listed = "".join(f"\n({letter}) {one}" for letter, one in zip(LETTERS, choices, strict=False))
    cue = CUE.search(shown)
    if cue is None:
        return f"{shown}{listed}"
    return f"{shown[: cue.start()]}{listed}{shown[cue.start() :]}"
