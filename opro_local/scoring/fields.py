"""The rule json: one field of the JSON object in an answer.

For: finding the first valid object, bare, in prose or in a ``` fence, and following a path into it.
Not for: schemas, or objects that are almost JSON (single quotes, trailing commas, comments).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from opro_local.errors import UsageError
from opro_local.scoring.reading.labels import whole
from opro_local.scoring.reading.numbers import is_number
from opro_local.scoring.reading.numbers import whole as whole_number
from opro_local.scoring.rule import FAILED, Rule
from opro_local.scoring.rules import same_number
from opro_local.types import Example

# Numbers stay as they are written: an integer of a million digits is no reason to fail or to wait.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
# How an object begins: with its first name, or its end.
OPENING = re.compile(r"\{\s{0,200}[\"}]")
MOST_ERRORS = 1000


def json_field(path: str | None) -> Rule:
    """The field at `path` of the first valid JSON object in the answer equals the target.

    As numbers where the target is a number, otherwise as text in any case; true and false are the
    words. No object, no such field, null, a list or an object there is a failed extraction. The
    target is taken as it is. Not normalised: names in the path (case counts), almost-JSON, numbers
    inside longer texts ("5 apples").

    Args:
        path: names with points between them, such as "answer" or "result.label"; a number picks
        from a list.

    Raises:
        UsageError: no path, or one with an empty name.
    """
    names = (path or "").split(".")
    if not all(names):
        raise UsageError(
            f"the rule json has the pattern {path!r}",
            "set task.pattern to a field, such as result.label",
        )
    extract = field_reader(names)

    def gold(example: Example) -> tuple[str | None, float | None]:
        target = example.target
        return whole(target), _number(target)

    def verdict(answer: str, gold: tuple[str | None, float | None]) -> float:
        field = extract(answer)
        if field is None:
            return FAILED
        text, number = gold
        # The field is read as a number only where the target is one: that takes time.
        value = None if number is None else _number(field)
        return float(field == text if value is None else same_number(value, number))

    return Rule("json", extract, gold, verdict)


def _number(text: str) -> float | None:
    """The number that a text is and nothing else."""
    return whole_number(text) if is_number(text) else None


def field_reader(names: list[str]) -> Callable[[str], str | None]:
    """A function from an answer to the folded text of the field at this path, or None."""

    def read(answer: str) -> str | None:
        value: Any = first_object(answer)
        for name in names:
            if isinstance(value, dict):
                value = value.get(name)
            elif isinstance(value, list) and _is_place(name, value):
                value = value[int(name)]
            else:
                return None
        if isinstance(value, bool):
            return "true" if value else "false"
        return whole(value) if isinstance(value, str) else None

    return read


def _is_place(name: str, values: list[Any]) -> bool:
    """Whether a name is the number of one of these values."""
    return name.isdecimal() and len(name) < 9 and int(name) < len(values)


def first_object(answer: str) -> dict[str, Any] | None:
    """The first valid JSON object in a text; None without one.

    What was read as JSON up to an error is not read again, so that the inner object of a cut-off
    one is not mistaken for the answer. After 1,000 objects that are none it gives up: every error
    costs a look through the whole text.
    """
    opening = OPENING.search(answer)
    for _ in range(MOST_ERRORS):
        if not opening:
            return None
        try:
            value: dict[str, Any] = DECODER.raw_decode(answer, opening.start())[0]
            return value
        except json.JSONDecodeError as error:
            opening = OPENING.search(answer, max(opening.end() - 1, error.pos))
        except RecursionError:
            return None
    return None
