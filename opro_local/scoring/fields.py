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
        return whole(target), whole_number(target) if is_number(target) else None

    def verdict(answer: str, gold: tuple[str | None, float | None]) -> float:
        found = extract(answer)
        if found is None:
            return FAILED
        text, number = gold
        if number is None or not is_number(found):
            return float(found == text)
        return float(same_number(whole_number(found), number))

    return Rule("json", extract, gold, verdict)


def field_reader(names: list[str]) -> Callable[[str], str | None]:
    """A function from an answer to the folded text of the field at this path, or None."""

    def read(answer: str) -> str | None:
        value: Any = first_object(answer)
        for name in names:
            if (
                isinstance(value, list)
                and name.isdecimal()
                and len(name) < 9
                and int(name) < len(value)
            ):
                value = value[int(name)]
            elif isinstance(value, dict):
                value = value.get(name)
            else:
                return None
        if isinstance(value, bool):
            return "true" if value else "false"
        return whole(value) if isinstance(value, str) else None

    return read


def first_object(answer: str) -> dict[str, Any] | None:
    """The first valid JSON object in a text; None without one.

    What was read as JSON up to an error is not read again, so that the inner object of a cut-off
    one is not mistaken for the answer. After 1,000 objects that are none it gives up: every error
    costs a look through the whole text.
    """
    found = OPENING.search(answer)
    for _ in range(MOST_ERRORS):
        if not found:
            return None
        try:
            return DECODER.raw_decode(answer, found.start())[0]
        except json.JSONDecodeError as error:
            found = OPENING.search(answer, max(found.end() - 1, error.pos))
        except RecursionError:
            return None
    return None
