"""JSON read back into frozen dataclasses: whether what came has the types that they say.

For: results and progress read from a store, which anybody may have made, with digests that fit.
What passes can be formatted, multiplied and written as JSON. Not for: settings (pydantic, in
config/), or whether figures are true: `verify --deep` derives them.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

# SQLite's and every reader's whole numbers; Python reads longer ones, which no float holds.
MOST = (1 << 63) - 1
DEEPEST = 64  # levels; settings may have 32 and stand within a config

PLACES = 5  # decimals of a stored log-probability: what rounding differs in between two batches


def log_probability_text(scores: Mapping[str, float]) -> str:
    """What a completion says that has read labels: a JSON object from each label to its natural
    log-probability, in the labels' order.
    """
    return json.dumps({label: round(score, PLACES) for label, score in scores.items()})


def log_probabilities(text: str, labels: Sequence[str]) -> tuple[float, ...] | None:
    """What `log_probability_text` wrote, in the order of the labels; None where a text is none
    such, as that of a prompt that was too long.
    """
    try:
        scores = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(scores, dict) or set(scores) != set(labels):
        return None
    values = tuple(scores[label] for label in labels)
    are_logs = all(type(value) in (int, float) and -math.inf < value <= 0 for value in values)
    return values if are_logs else None


def entries(value: Any) -> tuple[Any, ...]:
    """A list of JSON as a tuple. Raises ValueError where it is none, as a text or an object."""
    if not isinstance(value, list | tuple):
        raise ValueError("no list where there must be one")
    return tuple(value)


def require_types(value: Any) -> None:
    """Compare every field of a dataclass with its annotation, and those within it.

    Whole numbers are counts, places and steps: 0 to 2**63 - 1. Other numbers are finite. `Any` is
    JSON of such numbers, nested at most 64 deep.

    Raises:
        ValueError: a value of another type or range; the message names its place.
    """
    _require(value, type(value), "")


def require_json(value: Any, place: str, depth: int = 0) -> None:
    """Raise ValueError where a value holds a number that is not finite or out of range, or is
    nested more than 64 deep.
    """
    if depth > DEEPEST:
        raise ValueError(f"{place} is nested too deep")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            require_json(inner, _joined(place, name), depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            require_json(inner, place, depth + 1)
    elif isinstance(value, int | float):
        _require_finite(value, place)


def _require(value: Any, expected: Any, place: str) -> None:
    origin = get_origin(expected)
    if expected is Any:
        require_json(value, place)
    elif dataclasses.is_dataclass(expected):
        _require_fields(value, expected, place)
    elif origin in (Union, types.UnionType):
        _require(value, _member(value, expected, place), place)
    elif origin is tuple:
        _require_entries(value, get_args(expected), place)
    elif origin is not None and issubclass(origin, Mapping):
        _require_values(value, get_args(expected)[1], place)
    else:
        _require_plain(value, expected, place)


@functools.cache
def _fields_of(kind: type) -> Mapping[str, Any]:
    """The annotations of a dataclass' fields, by name."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _require_fields(value: Any, kind: Any, place: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{place} is no {kind.__name__}")
    for name, expected in _fields_of(kind).items():
        _require(getattr(value, name), expected, _joined(place, name))


def _member(value: Any, union: Any, place: str) -> Any:
    """The type of a union that a value is held to: None where it is None, else its own class where
    that is one of them, else the first.
    """
    members = get_args(union)
    if value is None and types.NoneType in members:
        return types.NoneType
    others = [member for member in members if member is not types.NoneType]
    return next((member for member in others if member is type(value)), others[0])


def _require_entries(value: Any, expected: Sequence[Any], place: str) -> None:
    if not isinstance(value, tuple):
        raise ValueError(f"{place} is no list")
    if expected[-1] is not Ellipsis and len(value) != len(expected):
        raise ValueError(f"{place} has {len(value)} entries, not {len(expected)}")
    for number, entry in enumerate(value):
        kind = expected[0] if expected[-1] is Ellipsis else expected[number]
        _require(entry, kind, f"{place}[{number}]")


def _require_values(value: Any, expected: Any, place: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} is no object")
    for name, inner in value.items():
        if not isinstance(name, str):
            raise ValueError(f"{place} has a key that is no text")
        _require(inner, expected, _joined(place, name))


def _require_plain(value: Any, expected: Any, place: str) -> None:
    accepted = (int, float) if expected is float else (expected,)
    # By the class itself: to Python true is a number.
    if type(value) not in accepted:
        raise ValueError(f"{place} is no {_WORDS.get(expected, expected.__name__)}")
    if isinstance(value, int | float):
        _require_finite(value, place)
    if expected is int and value < 0:
        raise ValueError(f"{place} is negative")


_WORDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    types.NoneType: "null",
}


def _require_finite(value: float, place: str) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place} is not finite")
    elif abs(value) > MOST:
        raise ValueError(f"{place} is a number of more than 64 bits")


def _joined(place: str, name: str) -> str:
    # A name may be as long as somebody made it.
    return f"{place}.{name[:40]}" if place else name[:40]
