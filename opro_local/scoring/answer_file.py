"""Files of answers that exist already: our own rows, CSV, and what other programs write.

For: rows one at a time, so that JSON Lines may be larger than memory, with errors that name the
line. Not for: scoring them (answers.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.tasks import table
from opro_local.tasks.rows import text_of
from opro_local.types import Example

ROW_HINT = (
    'a row is {"target": "...", "answer": "..."}, '
    'with "kind" and "prompt" where the rule needs them'
)
TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One row of the file.

    Attributes:
        fields: the row as it was read.
        where: file:line.
        target, answer: what is right, and what the model wrote.
        prompt, kind: None where the row has none.
    """

    fields: Mapping[str, Any]
    where: str
    target: str
    answer: str
    prompt: str | None
    kind: str | None

    def example(self) -> Example:
        """The row as a rule sees it; its columns are the fields that are text."""
        columns = {name: value for name, value in self.fields.items() if isinstance(value, str)}
        return Example(self.where, columns, self.prompt or "", self.target, self.where)


def read_answers(file: Path) -> Iterator[AnswerRow]:
    """The rows of a file, one at a time.

    A row has `target` and `answer`, and `prompt` and `kind` where the rule needs them; numbers and
    lists are taken as the text they are. Also read are the rows that `evaluate --output` writes and
    the samples of lm-evaluation-harness (`--log_samples`), whose answer is the first of `resps`.

    Args:
        file: JSON Lines (any other ending than .csv, .tsv and .parquet), a regular file in UTF-8;
            blank lines are skipped.

    Raises:
        DataError: the file can't be read, or a row lacks a field that it needs.
    """
    if not file.is_file():
        what = "is no regular file" if file.exists() else "no such file"
        raise DataError(f"{file}: {what}", "give JSON Lines, CSV, TSV or Parquet")
    if file.suffix.lower() in TABLES:
        (rows,) = table.read(str(file), typed=True).values()
        for row in rows.rows:
            yield _row(dict(row.columns), {}, row.where)
        return
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _row_of_line(line, f"{file}:{number}")
    except OSError as error:
        raise DataError(
            f"{file}: {(error.strerror or str(error)).lower()}", "check the file"
        ) from None


def _row_of_line(line: bytes, where: str) -> AnswerRow:
    try:
        text = line.decode("utf-8-sig")
        fields = json.loads(text)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(
            f"{where}: the byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: no JSON: {error}", "write one object a line") from None
    if not isinstance(fields, dict):
        raise DataError(f"{where}: {_shown(fields)} is no JSON object", ROW_HINT)
    written = {}
    if any(isinstance(fields.get(name), float) for name in ("target", "answer")):
        # 1.50 is "1.50", as in a table.
        written = json.loads(text, parse_float=str)
    return _row(fields, written, where)


def _row(fields: Mapping[str, Any], written: Mapping[str, Any], where: str) -> AnswerRow:
    """A row of any of the kinds; `written` has numbers as they are written."""
    if "resps" in fields and "doc" in fields:
        return _harness_sample(fields, where)
    numbers = {name: written.get(name, value) for name, value in fields.items()}
    target, answer = _text(numbers, "target", where), _text(numbers, "answer", where)
    prompt, kind = fields.get("prompt"), fields.get("kind")
    if "instruction" in fields and "input" in fields and isinstance(prompt, int):
        # A row of `evaluate --output`, where `prompt` counts the instructions.
        prompt = fields["input"]
    for name, value in (("prompt", prompt), ("kind", kind)):
        if not (value is None or isinstance(value, str)):
            shown = _shown(value)
            raise DataError(f"{where}: the field {name!r} is {shown}, not text", "put it in quotes")
    return AnswerRow(fields, where, target, answer, prompt, kind)


def _harness_sample(fields: Mapping[str, Any], where: str) -> AnswerRow:
    """A line that lm-evaluation-harness writes with `--log_samples`."""
    answer = _first(fields["resps"])
    if not isinstance(answer, str):
        raise DataError(
            f"{where}: resps holds no text but {_shown(answer)}",
            "samples of log-probabilities are no answers; score those of a generate_until task",
        )
    target = fields.get("target")
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    text = _text({"target": target}, "target", where)
    prompt = _first(fields.get("arguments"))
    return AnswerRow(fields, where, text, answer, prompt if isinstance(prompt, str) else None, None)


def _first(value: Any) -> Any:
    """The first of the first ...: the harness nests by request and by repetition."""
    while isinstance(value, (list, dict)) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    if name not in fields:
        raise DataError(f"{where}: no field {name!r}", ROW_HINT)
    value = fields[name]
    if isinstance(value, str):
        return value
    try:
        text = text_of(value)
    except ValueError as error:
        raise DataError(f"{where}: the field {name!r}: {error}", ROW_HINT) from None
    if text is None:
        raise DataError(
            f"{where}: the field {name!r} is {_shown(value)}, not text", "put it in quotes"
        )
    return text


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:60]
