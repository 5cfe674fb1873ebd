"""Files of answers that exist already: our own rows, CSV, and what other programs write.

For: rows one at a time, so that JSON Lines may be larger than memory, with errors that name the
line. Not for: scoring them (answers.py).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.files import open_regular
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
        target: what is right.
        answer: what the model wrote; None where it gave no answer (JSON null, NaN).
        prompt, kind: None where the row has none.
        others: further targets, of which any is right as well.
        is_sample: whether lm-evaluation-harness wrote it.
    """

    fields: Mapping[str, Any]
    where: str
    target: str
    answer: str | None
    prompt: str | None
    kind: str | None
    others: tuple[str, ...] = ()
    is_sample: bool = False

    def examples(self) -> list[Example]:
        """The row as a rule sees it, once for each target; its columns are the fields that are
        text.
        """
        columns = {name: value for name, value in self.fields.items() if isinstance(value, str)}
        prompt = self.prompt or ""
        targets = (self.target, *self.others)
        return [Example(self.where, columns, prompt, target, self.where) for target in targets]


def read_answers(file: Path) -> Iterator[AnswerRow]:
    """The rows of a file, one at a time.

    A row has `target` and `answer`, and `prompt` and `kind` where the rule needs them; numbers and
    lists are taken as the text they are, and an answer that is null is one that was not given. Also
    read are the rows that `evaluate --output` writes and the samples of lm-evaluation-harness
    (`--log_samples`), whose answer is the first of `resps`, as the model wrote it.

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
        with open_regular(file) as stream:
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
    target, answer = _target(numbers, where), _text(numbers, "answer", where)
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
    resps, asked = fields["resps"], _first(fields.get("arguments"))
    if _is_compared(resps, fields.get("arguments")):
        raise DataError(
            f"{where}: a sample of a task that compares log-probabilities (multiple_choice): resps "
            f"holds {_shown(_first(resps))} and no text of an answer",
            "its accuracy is acc in the harness's own results; to score answers, log the samples "
            "of a generate_until task",
        )
    answer = _first(resps)
    answer = None if answer in ([], {}) else answer
    if not (answer is None or isinstance(answer, str)):
        what = f"{where}: resps holds no text but {_shown(answer)}"
        raise DataError(what, "score the samples of a generate_until task")
    target, *others = _harness_targets(fields.get("target"), where)
    prompt = asked if isinstance(asked, str) else None
    return AnswerRow(
        fields,
        where,
        target,
        answer,
        prompt,
        None,
        tuple(others),
        is_sample=True,
    )


def _is_compared(resps: Any, arguments: Any) -> bool:
    """Whether the responses of a sample are log-probabilities.

    Those of a choice are pairs of a log-probability and whether it is the likeliest text, numbers
    or, as the harness writes them to a file, texts. Those of a whole text are asked for without
    anything else.
    """
    first = resps[0] if isinstance(resps, list) and resps else None
    inner = first[0] if isinstance(first, list) and first else first
    if isinstance(inner, (float, int)) or (isinstance(inner, list) and inner):
        return True
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    if not (isinstance(requests, list) and requests):
        return False
    # (context, continuation), or (text,); what is generated comes with its settings.
    request = requests[0]
    parts = list(request.values()) if isinstance(request, dict) else request
    return isinstance(parts, list) and all(isinstance(part, str) for part in parts)


def _harness_targets(target: Any, where: str) -> list[str]:
    """The targets of a sample, of which any is right; a list is written as Python writes it."""
    if isinstance(target, str) and target.startswith("[") and target.endswith("]"):
        try:
            written = ast.literal_eval(target)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            written = target
        target = written if _are_texts(written) else target
    several = target if isinstance(target, list) and target else [target]
    return [_target({"target": one}, where) for one in several]


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _first(value: Any) -> Any:
    """The first of the first ...: the harness nests by request and by repetition."""
    while isinstance(value, (list, dict)) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value


def _target(fields: Mapping[str, Any], where: str) -> str:
    text = _text(fields, "target", where)
    if text is None:
        shown = _shown(fields["target"])
        hint = "a row without a target can't be scored: fill it in or remove the row"
        raise DataError(f"{where}: the field 'target' is {shown}, not text", hint)
    return text


def _text(fields: Mapping[str, Any], name: str, where: str) -> str | None:
    """A field as text; None where it is null or NaN."""
    if name not in fields:
        raise DataError(f"{where}: no field {name!r}", ROW_HINT)
    value = fields[name]
    if isinstance(value, str):
        return value
    try:
        return text_of(value)
    except ValueError as error:
        raise DataError(f"{where}: the field {name!r}: {error}", ROW_HINT) from None


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:60]
