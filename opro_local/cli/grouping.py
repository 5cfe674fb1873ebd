"""Options that travel together as one value.

For: verbs that take a frozen dataclass of options where Typer wants each option as a parameter of
its own. Not for: the options themselves (options.py).

    @dataclass(frozen=True, slots=True)
    class RunOptions:
        run: RunOption = None
        seed: SeedOption = None

    @grouped
    def demo(*, options: RunOptions) -> None:   # takes --run and --seed
        ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter
from typing import Any, get_type_hints


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as Typer reads it: every field of a parameter that is a dataclass of options is a
    parameter, in the dataclass's place.

    Args:
        verb: no two of its options have one name.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in groups:
            parameters += _parameters(groups[name])
        else:
            own = parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)
            parameters.append(own)

    # Click calls a verb with all options by keyword; they are put together here and go no further.
    @functools.wraps(verb)
    def taking_each(**options: Any) -> None:
        for name, group in groups.items():
            own = {field.name: options.pop(field.name) for field in fields(group)}
            options[name] = group(**own)
        verb(**options)

    taking_each.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    taking_each.__annotations__ = {each.name: each.annotation for each in parameters}
    return taking_each


def _parameters(group: Any) -> list[Parameter]:
    """The fields of a dataclass of options as parameters."""
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
