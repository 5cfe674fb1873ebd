r"""The rule json: fields of the JSON object in an answer, or the whole of it.

For: which object of an answer counts, following paths into it, and comparing field by field. Not
for: schemas, or objects that are almost JSON (single quotes, trailing commas, comments).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opro_local.errors import UsageError
from opro_local.scoring.amounts import same_number
from opro_local.scoring.reading import marks, turns
from opro_local.scoring.reading.labels import whole
from opro_local.scoring.reading.numbers import is_number
from opro_local.scoring.reading.numbers import whole as whole_number
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without the names that it gives two values."""
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    twice = {name for name, value in pairs if value != values[name]}
    return {name: value for name, value in values.items() if name not in twice}


# Numbers stay as they are written: an integer of a million digits is no reason to fail or to wait.
DECODER = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_object
)
# How an object begins: with its first name, or its end; in single quotes it is almost JSON.
OPENING = re.compile(r"\{\s{0,200}[\"'}]")
LIST_OPENING = re.compile(r"[\[{]")
# What stands between two items of a list.
ITEMS = re.compile(r"\s*,\s*")
MOST_ERRORS = 1000
# Words before an object that make it an example, and after one that take it back.
EXAMPLE = re.compile(
    r"""
    (?: \b (?: for [ ] (?: example | instance ) | e\.g\. | such [ ] as | instead [ ] of | not
          | (?: schema | template ) (?: [ ] is )? | (?: format | structure ) [ ] is
          | (?: would | should | must ) [ ] (?: look [ ] like | be )
        ) [^{}.\n]{0,30}
    )
    \s* (?: ``` (?: json )? )? \s* $
    """,
    re.IGNORECASE | re.VERBOSE,
)
CALLED_WRONG = re.compile(
    r"[\s`.]{0,6}(?:would be|is|was) (?:wrong|incorrect|invalid|not (?:correct|right|valid))\b"
)
REFUSES = re.compile(
    r"\bI(?:'m| am)? (?:cannot|can't|can not|unable to|not able to)"
    r" (?:answer|help|determine|provide|assist|say|tell|comply)\b",
)
LONGEST_LEAD = 80

Path = tuple[str, ...]
Leaves = dict[Path, Any]


@dataclass(frozen=True, slots=True)
class Gold:
    """What a row expects.

    Attributes:
        leaves: every value of the target by its path, or of the fields that are asked for.
        is_list: whether the target is a list and no object.
    """

    leaves: Leaves
    is_list: bool = False


def json_field(pattern: str | None) -> Rule:
    """Fields of the last complete JSON object in the answer equal the target's.

    With one path the target is that field's value: a number, a text in any case, true, false, null,
    or a list or an object in JSON. With several paths, or none, the target is JSON itself, and an
    answer earns the share of its fields that are right: of the paths, or of all values that target
    or answer have. A field counts as a number where both sides are numbers, otherwise as a text in
    any case; lists count in order.

    The last object that has one of the wanted fields is read, in a ``` fence or not. Where an
    object that is cut off or almost JSON follows it, or it is one of several in a list, nothing is
    read. No object, or none of the fields, is a failed extraction. Not normalised: names in paths
    (case counts), numbers inside longer texts ("5 apples").

    Args:
        pattern: names with points between them, such as "answer" or "result.label", a number picks
            from a list; several with commas between; none for the whole target.

    Raises:
        UsageError: a path with an empty name.
    """
    paths = [tuple(path.strip().split(".")) for path in (pattern or "").split(",")]
    if not pattern or not pattern.strip():
        return _whole_rule()
    if not all(name for path in paths for name in path):
        raise UsageError(
            f"the rule json has the pattern {pattern!r}",
            "set task.pattern to a field, such as result.label, or to several with commas between",
        )
    return _field_rule(paths[0]) if len(paths) == 1 else _fields_rule(paths)


def _field_rule(path: Path) -> Rule:
    """One field, whose value the target is."""

    def extract(answer: str) -> str | None:
        value = _answered(answer, [path])
        return None if value is None else _shown(_followed(value, path)[1])

    def gold(example: Example) -> Gold | None:
        return Gold(_leaves(_target(example.target))) if example.target.strip() else None

    def verdict(answer: str, gold: Gold | None) -> float:
        value = _answered(answer, [path])
        field = _followed(value, path)[1]
        if value is None or field == "":
            return FAILED
        return 0.0 if gold is None else _share(gold.leaves, _leaves(field))

    return Rule("json", extract, gold, verdict)


def _fields_rule(paths: Sequence[Path]) -> Rule:
    """Several fields of a target that is an object itself."""

    def picked(value: Any) -> Leaves:
        leaves: Leaves = {}
        for path in paths:
            is_there, part = _followed(value, path)
            if is_there:
                leaves |= {path + rest: leaf for rest, leaf in _leaves(part).items()}
        return leaves

    def extract(answer: str) -> str | None:
        value = _answered(answer, paths)
        if value is None:
            return None
        said = {".".join(path): _followed(value, path)[1] for path in paths}
        return json.dumps(said, ensure_ascii=False)

    def gold(example: Example) -> Gold | None:
        value = _parsed(example.target)
        return Gold(picked(value)) if isinstance(value, dict | list) else None

    def verdict(answer: str, gold: Gold | None) -> float:
        value = _answered(answer, paths)
        if value is None:
            return FAILED
        return 0.0 if gold is None else _share(gold.leaves, picked(value))

    return Rule("json", extract, gold, verdict)


def _whole_rule() -> Rule:
    """Every field of a target that is an object or a list itself."""

    def gold(example: Example) -> Gold | None:
        value = _parsed(example.target)
        if not isinstance(value, dict | list):
            return None
        return Gold(_leaves(value), isinstance(value, list))

    def read(answer: str, gold: Gold | None) -> Any:
        wanted = list({path[:1] for path in gold.leaves if path}) if gold else []
        return _answered(answer, wanted, is_list=bool(gold and gold.is_list))

    def verdict(answer: str, gold: Gold | None) -> float:
        value = read(answer, gold)
        if value is None:
            return FAILED
        return 0.0 if gold is None else _share(gold.leaves, _leaves(value))

    def extract(answer: str, gold: Gold | None = None) -> str | None:
        value = read(answer, gold)
        return None if value is None else json.dumps(value, ensure_ascii=False)

    return Rule("json", extract, gold, verdict, extract_for=extract)


def is_json(target: str) -> bool:
    """Whether a target is a JSON object or list."""
    return target.strip()[:1] in ("{", "[") and isinstance(_parsed(target), dict | list)


def _target(target: str) -> Any:
    """The value that a target of one field stands for; a text where it is no JSON."""
    if target.strip()[:1] in ("{", "["):
        value = _parsed(target)
        return target if value is None else value
    return None if target.strip() == "null" else target


def _parsed(text: str) -> Any:
    """The text as JSON; None where it is none."""
    try:
        return DECODER.decode(text.strip())
    except (json.JSONDecodeError, RecursionError):
        return None


def _share(wanted: Leaves, said: Leaves) -> float:
    """The share of all values, of target or answer, that are the same in both."""
    paths = wanted.keys() | said.keys()
    right = sum(
        path in wanted and path in said and _is_same(said[path], wanted[path]) for path in paths
    )
    return right / len(paths) if paths else 1.0


def _is_same(said: Any, wanted: Any) -> bool:
    """Whether two values without parts are the same."""
    if said is None or wanted is None or isinstance(said, dict | list):
        return bool(said == wanted)
    text, own = _shown(said), _shown(wanted)
    if text == own:
        return True
    # A field is read as a number only where the target is one: that takes time. As it is written,
    # because 5M is not 5m.
    number = _number(wanted if isinstance(wanted, str) else own or "")
    value = None if number is None else _number(said if isinstance(said, str) else text or "")
    return value is not None and same_number(value, number)


def _number(text: str) -> float | None:
    """The number that a text is and nothing else."""
    return whole_number(text) if is_number(text) else None


def _shown(value: Any) -> str | None:
    """A value as folded text; None for an empty one."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return whole(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _leaves(value: Any) -> Leaves:
    """The values without parts in a value, by their paths; an empty list or object is one."""
    leaves: Leaves = {}
    # Not recursive: an answer may be nested as deep as JSON is read.
    left: list[tuple[Path, Any]] = [((), value)]
    while left:
        path, part = left.pop()
        parts = list(enumerate(part)) if isinstance(part, list) else []
        parts = list(part.items()) if isinstance(part, dict) else parts
        left += [((*path, str(name)), inner) for name, inner in parts]
        if not parts:
            leaves[path] = part
    return leaves


def _followed(value: Any, path: Path) -> tuple[bool, Any]:
    """Whether there is something at a path, and what."""
    for name in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _is_place(name, value):
            value = value[int(name)]
        else:
            return False, None
    return True, value


def _is_place(name: str, values: list[Any]) -> bool:
    """Whether a name is the number of one of these values."""
    return name.isdecimal() and len(name) < 9 and int(name) < len(values)


def _answered(answer: str, wanted: Sequence[Path], is_list: bool = False) -> Any:
    """The value that an answer gives: the last complete one that has a wanted field.

    None without one, where one that is cut off or broken follows, or where it is one of several in
    a list.

    Args:
        answer: any text.
        wanted: the fields; none wants any object.
        is_list: whether a list is wanted.
    """
    answer = turns.first(answer)
    from_list = is_list or any(path[0].isdecimal() for path in wanted)
    last: Any = None
    place = (0, 0)
    opening = LIST_OPENING if from_list else OPENING
    for start, end, value in _values(answer, opening):
        if value is None:
            # What is broken is the answer, where it begins as one.
            last = None if _may_be_wanted(answer, start, wanted) else last
            continue
        if is_list and not isinstance(value, list):
            continue
        if not is_list and wanted and not any(_followed(value, path)[0] for path in wanted):
            continue
        if EXAMPLE.search(answer, max(0, start - LONGEST_LEAD), start) or CALLED_WRONG.match(
            answer, end
        ):
            continue
        is_next = last is not None and ITEMS.fullmatch(answer, place[1], start)
        last, place = (None if is_next else value), (start, end)
    # "... Wait, this is wrong."
    is_void = marks.WITHDRAWN.search(answer, place[1]) or REFUSES.search(answer, place[1])
    return None if is_void else last


def _may_be_wanted(answer: str, start: int, wanted: Sequence[Path]) -> bool:
    """Whether a broken value begins with a wanted field, or with any where none is named."""
    if answer[start] != "{" or not OPENING.match(answer, start):
        return False
    head = answer[start : start + 2000]
    names = [path[0] for path in wanted if not path[0].isdecimal()]
    return not names or any(name in head for name in names) or len(answer) - start < 40


def _values(answer: str, opening: re.Pattern[str]) -> Iterator[tuple[int, int, Any]]:
    """Each JSON value in a text with its place; None for one that is broken.

    What was read as JSON up to an error is not read again, so that the inner object of a cut-off
    one is not mistaken for the answer. After 1,000 objects that are none it gives up: every error
    costs a look through the whole text.
    """
    at, errors = 0, 0
    while errors < MOST_ERRORS and (match := opening.search(answer, at)):
        start = match.start()
        try:
            value, at = DECODER.raw_decode(answer, start)
            yield start, at, value
        except json.JSONDecodeError as error:
            errors += 1
            at = max(match.end() - 1, error.pos, start + 1)
            yield start, error.pos, None
        except RecursionError:
            yield start, len(answer), None
            return


def field_reader(names: list[str]) -> Callable[[str], str | None]:
    """A function from an answer to the folded text of the field at this path, or None."""
    return _field_rule(tuple(names)).extract
