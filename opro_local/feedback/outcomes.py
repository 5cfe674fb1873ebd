"""Outcomes: what a production service tells of one use of a prompt, checked; and their JSON Lines.

For: the record, its ranges, and errors that name file and line. Not for: keeping outcomes
(log.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.files import open_regular

LINES_HINT = "write one JSON object a line, as docs/feedback.md shows"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One use of a prompt in production and what it was worth.

    Attributes:
        prompt: id of a registered prompt.
        score: in [0, 1], or True and False for 1 and 0.
        input, output: what was asked and what the model answered.
        time: when; ISO 8601 or a datetime, without an offset taken as UTC; None for now.
        user: the key that was given to `assign`. Outcomes without it don't count in an experiment.
        target: the right answer, where it became known; such outcomes can be searched on.
        metadata: anything that JSON can hold.
        id: the service's own id of this outcome; the same id again is not stored again, so a retry
        is safe.
    """

    prompt: str
    score: float
    input: str = ""
    output: str = ""
    time: str | datetime | None = None
    user: str | None = None
    target: str | None = None
    metadata: Mapping[str, Any] | None = None
    id: str | None = None

    def row(self) -> tuple[Any, ...]:
        """Its values in the order of COLUMNS. Raises DataError, saying which field is wrong."""
        texts = {
            name: _text(name, getattr(self, name))
            for name in ("id", "prompt", "user", "input", "output")
        }
        return (
            *texts.values(),
            _score(self.score),
            _text("target", self.target),
            stamp(self.time),
            _metadata(self.metadata),
        )


COLUMNS = ("id", "prompt", "user", "input", "output", "score", "target", "time", "metadata")
FIELDS = frozenset(field.name for field in dataclasses.fields(Outcome))
OPTIONAL = frozenset(("id", "user", "target"))


def prompt_id(text: str) -> str:
    """The id of a prompt that was given none: the first 12 hex digits of its text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def stamp(time: str | datetime | None = None) -> str:
    """A time as it is stored: UTC, ISO 8601, microseconds. None is now. Raises DataError."""
    if time is None:
        time = datetime.now(UTC)
    elif isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            raise _wrong("time", time, "ISO 8601, such as 2026-03-01T12:30:00+01:00") from None
    elif not isinstance(time, datetime):
        raise _wrong("time", time, "ISO 8601 text, such as 2026-03-01T12:30:00+01:00")
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC).isoformat(timespec="microseconds")
    except OverflowError:
        raise _wrong(
            "time", time.isoformat(), "a time between the years 1 and 9999 in UTC"
        ) from None


def clean(text: str) -> str:
    """The text with lone surrogates, which SQLite can't hold, as replacement characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def read_lines(path: Path) -> Iterator[tuple[str, Outcome | DataError]]:
    """The outcomes of a JSON Lines file in order, each with its `file:line`; a line that is wrong
    gives its error.

    Raises:
        DataError: the file itself can't be read.
    """
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    where = f"{path}:{number}"
                    yield where, _parsed(where, line)
    except OSError as error:
        raise DataError(
            f"{path}: {(error.strerror or str(error)).lower()}", "give a JSON Lines file"
        ) from None


def read_record(score: str, prompt: str, record: str) -> Outcome:
    """An outcome as the command line gives it: a score as text, a prompt id, the other fields as a
    JSON object.

    Raises:
        DataError: the record is not JSON, or a field is wrong.
    """
    found = _parsed(
        "the outcome",
        record.encode("utf-8", "surrogateescape"),
        {"score": _scored(score), "prompt": prompt},
    )
    if isinstance(found, DataError):
        raise found
    return found


def _scored(text: str) -> Any:
    """A score as typed: true, false or a number; all else stays text and is refused as such."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _parsed(where: str, line: bytes, given: Mapping[str, Any] | None = None) -> Outcome | DataError:
    try:
        outcome = _outcome(line.decode("utf-8-sig"), given or {})
        outcome.row()
        return outcome
    except DataError as error:
        return DataError(f"{where}: {error.message}", error.hint)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return DataError(f"{where}: the byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8")
    except json.JSONDecodeError as error:
        return DataError(
            f"{where}: not JSON: {error.msg.lower()} at column {error.colno}", LINES_HINT
        )
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number of thousands of digits, brackets of thousands of levels
        return DataError(f"{where}: not usable JSON: {error}", LINES_HINT)


def _outcome(line: str, given: Mapping[str, Any]) -> Outcome:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise DataError("not a JSON object", LINES_HINT)
    value |= given
    for name in ("prompt", "score"):
        if name not in value:
            raise DataError(f"no {name}", "every outcome has at least a prompt and a score")
    unknown = sorted(set(value) - FIELDS)
    if unknown:
        raise DataError(f"unknown field {unknown[0]!r}", f"accepted: {', '.join(sorted(FIELDS))}")
    return Outcome(**value)


def _score(score: Any) -> float:
    hint = "a number in [0, 1], or true or false"
    if isinstance(score, str):
        raise _wrong("score", score, hint)
    try:
        value = float(score)
    except (TypeError, ValueError, OverflowError):
        raise _wrong("score", score, hint) from None
    if math.isnan(value) or not 0 <= value <= 1:
        raise _wrong("score", score, hint)
    return value


def _text(name: str, value: Any) -> str | None:
    if value is None and name in OPTIONAL:
        return None
    if not isinstance(value, str):
        raise _wrong(name, value, "text")
    if not value and name not in ("input", "output"):
        raise _wrong(name, value, "text that is not empty")
    if name == "target" and not value.strip():
        raise _wrong(name, value, "the right answer, or none where it is not known")
    if name in ("input", "target") and "\0" in value:
        raise _wrong(name, value, "text without NUL, since it becomes a row of a search")
    return clean(value)


def _metadata(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong("metadata", value, "a JSON object")
    try:
        return json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _wrong("metadata", value, "a JSON object without NaN or infinity") from None


def _wrong(name: str, value: Any, accepted: str) -> DataError:
    return DataError(f"{name} is {repr(value)[:80]}", f"accepted: {accepted}")
