"""Which function of the calling program this is: its name, and digests of what it does and uses.

For: runs that depend on a function in memory, so that a stored run is continued only by the same
one: its source, and the values that its closure, its defaults, its arguments, the object it belongs
to and the globals it names have. Not for: functions in files, which a digest of the whole file
covers (problems/function.py), or how single values are compared (values.py).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, MethodType
from typing import Any

from opro_local.programs.values import Unknown, bytecode, globals_used, value_digest

# Says of a part that it can't be compared, and what it is.
UNKNOWN = "can't be compared: "
# In an identity: its functions are there with their parts. Runs begun before have only the source.
MARKER = "parts of functions"


def function_name(function: Callable[..., Any]) -> str:
    """What messages call it."""
    if isinstance(function, functools.partial):
        return function_name(function.func)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def identity_of(role: str, function: Callable[..., Any]) -> dict[str, str]:
    """What identifies a function in a run: 16 hex digits over its source under the role's name, and
    as much for each value that it uses, under the role and what the value is to it.

    A value that can't be compared with the one of another process (a client, a lock, a generator)
    has UNKNOWN and what it is in place of digits.
    """
    named = {f"{role}: {name}": digest for name, digest in _parts(function).items()}
    return {role: source_digest(function), MARKER: "1", **named}


def code_digest(function: Callable[..., Any]) -> str:
    """16 hex digits over a function's source and all that it uses."""
    parts = _parts(function)
    if not parts:
        return source_digest(function)
    whole = repr([source_digest(function), *sorted(parts.items())])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def differences(known: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Why a run of the first identity can't be continued by one of the second; empty where it can.

    A part that can't be compared is such a reason. The parts of functions are left out where the
    run was begun before they were kept.
    """
    names = {*known, *now}
    if MARKER in now and MARKER not in known:
        names = {name for name in names if name in known or not _is_part(name)}
    reasons = []
    for name in sorted(names - {MARKER}):
        before, after = known.get(name), now.get(name)
        if (after or "").startswith(UNKNOWN):
            reasons.append(f"{name} {after}")
        elif before != after:
            reasons.append(f"{name} changed")
    return reasons


def source_digest(function: Callable[..., Any]) -> str:
    """16 hex digits over a function's source, or its bytecode where there is none."""
    inner = _innermost(function)
    try:
        code = inspect.getsource(inner).encode()
    except (OSError, TypeError):
        name = type(inner).__qualname__.encode()
        code = getattr(getattr(inner, "__code__", None), "co_code", name)
    return hashlib.sha256(code).hexdigest()[:16]


def _is_part(name: str) -> bool:
    return ": " in name


def _innermost(function: Any) -> Any:
    """The function in a partial one; of an object, the class that says how it is called."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _parts(function: Any) -> dict[str, str]:
    """A digest of each value that a function uses, by what it is to it."""
    parts = {}
    for name, value in _values(function):
        try:
            parts[name] = value_digest(value)
        except Unknown as error:
            parts[name] = f"{UNKNOWN}{error}"
    return parts


def _values(function: Any) -> Iterator[tuple[str, Any]]:
    """The values that a function uses besides its arguments, each with what it is to it."""
    if isinstance(function, functools.partial):
        yield from ((f"argument {place}", value) for place, value in enumerate(function.args))
        yield from ((f"argument {name!r}", value) for name, value in function.keywords.items())
        yield from _values(function.func)
    elif isinstance(function, MethodType):
        yield "the object it belongs to", function.__self__
        yield from _values(function.__func__)
    elif isinstance(getattr(function, "__code__", None), CodeType):
        yield from _values_of_function(function)
    elif callable(getattr(function, "__wrapped__", None)):
        yield from _values(function.__wrapped__)  # a function with a cache
    elif not isinstance(function, type) and not inspect.isbuiltin(function):
        yield "the object itself", function


def _values_of_function(function: Any) -> Iterator[tuple[str, Any]]:
    code: CodeType = function.__code__
    if _is_ambiguous(function):
        yield "code", bytecode(code)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield f"variable {name!r} around it", _content(cell)
    for place, value in enumerate(function.__defaults__ or ()):
        yield f"default {place}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default of {name!r}", value
    for name, value in globals_used(function):
        yield f"global {name!r}", value


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # a variable that has no value yet


def _is_ambiguous(function: Any) -> bool:
    """Whether the source is not that of this function alone: a line with several lambdas, or a
    decorator's function, for which Python shows what it decorates.
    """
    if hasattr(function, "__wrapped__"):
        return True
    if function.__name__ != "<lambda>":
        return False
    try:
        return inspect.getsource(function).count("lambda") > 1
    except (OSError, TypeError):
        return True
