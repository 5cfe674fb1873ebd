"""Refuses true and false where a number is wanted.

For: every table that pydantic reads, the config's and others: it takes true for 1, and a setting
that is a number then means something that nobody wrote. Not for: a number's range, which its field
says; nor texts: a shell's "3" is a number still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

# What pydantic says of a value of another kind, by the number's type.
COMPLAINTS: dict[type, str] = {int: "int_type", float: "float_type"}


def no_truth_for_a_number(cls: type, given: Any) -> Any:
    """A validator of a table before its fields: pydantic's own complaint, with the place in a list.

        _numbers = model_validator(mode="before")(no_truth_for_a_number)

    Args:
        cls: a model, or a dataclass that pydantic checks.
        given: its table; what is no table is not looked at.

    Returns:
        what was given.

    Raises:
        ValidationError: true or false stands where a number is wanted.
    """
    wrong = list(_truths(_complaints(cls), given)) if isinstance(given, Mapping) else []
    if wrong:
        raise ValidationError.from_exception_data(cls.__name__, wrong)
    return given


def _truths(complaints: Mapping[str, str], given: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    """What is wrong with each true or false in the place of a number."""
    for name, complaint in complaints.items():
        for place, value in _placed(given.get(name)):
            if _is_truth(value):
                yield InitErrorDetails(type=complaint, loc=(name, *place), input=value)


def _is_truth(value: Any) -> bool:
    """Whether a value is true or false, Python's or NumPy's, or an array of these."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"


def _placed(value: Any) -> Sequence[tuple[tuple[int, ...], Any]]:
    """A value, or those of a list, with the place of each."""
    if isinstance(value, (list, tuple)):
        return [((place,), inner) for place, inner in enumerate(value)]
    return [((), value)]


@cache
def _complaints(table: type) -> Mapping[str, str]:
    """What is said of a truth, by the fields that are a number, or a list of numbers."""
    complaints: dict[str, str] = {}
    for name, annotation in _annotations(table).items():
        types = set(_types(annotation))
        numbers = [number for number in COMPLAINTS if number in types]
        if numbers and not types & {bool, Any}:
            complaints[name] = COMPLAINTS[numbers[0]]
    return complaints


def _annotations(table: type) -> Mapping[str, Any]:
    """The types of the fields of a model, or of a dataclass that pydantic checks."""
    if issubclass(table, BaseModel):
        return {name: field.annotation for name, field in table.model_fields.items()}
    return get_type_hints(table)


def _types(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of, `tuple[int | None, ...]` of int and None."""
    origin = get_origin(annotation)
    if origin is Literal:
        return
    if origin is None:
        yield annotation
    for inner in get_args(annotation):
        yield from _types(inner)
