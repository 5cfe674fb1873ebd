"""Values of the calling program as digests that are the same in another process.

For: what a function uses (identity.py): plain values, containers, arrays, tables, functions,
classes, modules, and objects of the user's own classes by their state. Not for: storing or
restoring any of them; nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import dis
import enum
import fractions
import functools
import hashlib
import inspect
import pathlib
import re
import sysconfig
import uuid
from collections import deque
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

DEEPEST = 40  # containers and functions in one another

# Types whose repr says all there is, of exactly these types.
PLAIN = (
    *(type(None), type(...), bool, int, float, complex, str, bytes, bytearray, range, slice),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
    *(pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath),
)


# What a class may be made of that keeps its items to itself.
HOLDERS = (dict, list, tuple, set, frozenset, str, bytes, int, float, deque)
# Built-in classes that a class may be made of without a state that can't be seen.
OPEN = (object, BaseException, Exception, *HOLDERS)


class Unknown(Exception):
    """A value that can't be compared with one of another process; the message says what it is."""


def value_digest(value: Any) -> str:
    """16 hex digits over a value and all that it holds.

    Raises:
        Unknown: it holds something whose state can't be read.
    """
    return hashlib.sha256(_Writer().text(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def bytecode(code: CodeType) -> str:
    """What a code object does, in words of this version of Python."""
    inner = [bytecode(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, inner))


def globals_used(function: Any) -> Iterator[tuple[str, Any]]:
    """The globals that a function's code names, and those of the functions in it, with their
    values; without what every program has.
    """
    names = dict.fromkeys(_global_names(function.__code__))
    for name in names:
        if name in function.__globals__:
            value = function.__globals__[name]
            if not (isinstance(value, ModuleType) and not _is_own(value)):
                yield name, value


def _global_names(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


class _Writer:
    """Writes a value as a text that is the same in every process.

    What is met again, within itself or beside, is written as the place where it came first.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is given to another object meanwhile
        self._depth = 0

    def text(self, value: Any) -> str:
        """The text. Raises Unknown."""
        if type(value) in PLAIN:
            return f"{type(value).__name__}:{value!r}"
        if id(value) in self._places:
            return f"seen:{self._places[id(value)]}"
        self._places[id(value)] = len(self._places)
        self._kept.append(value)
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unknown("it is nested too deep")
        written = f"{_name(type(value))}({self._content(value)})"
        self._depth -= 1
        return written

    def _content(self, value: Any) -> str:
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, (FunctionType, MethodType, BuiltinFunctionType, functools.partial)):
            return self._function(value)
        if isinstance(value, ModuleType):
            return _module(value)
        if isinstance(value, enum.Enum):
            return f"{_name(type(value))}.{value.name}"
        if isinstance(value, re.Pattern):
            return repr((value.pattern, value.flags))
        if not hasattr(value, "__code__") and callable(getattr(value, "__wrapped__", None)):
            return self.text(value.__wrapped__)  # a function with a cache
        content = self._container(value)
        if content is None:
            content = self._array(value)
        return self._state(value) if content is None else content

    def _container(self, value: Any) -> str | None:
        """A container's items; None for other values, and for containers with more to them."""
        kind = type(value)
        if kind in (list, tuple):
            return ",".join(self.text(item) for item in value)
        if kind in (set, frozenset):
            return ",".join(sorted(_alone(item) for item in value))
        if kind is dict:
            return ",".join(f"{self.text(key)}={self.text(item)}" for key, item in value.items())
        return None

    def _array(self, value: Any) -> str | None:
        """An array of NumPy or a tensor, or a table of pandas; None for other values."""
        if hasattr(value, "to_dict") and hasattr(value, "columns"):
            return self.text(value.to_dict(orient="list"))
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            return f"{value.dtype},{getattr(value, 'shape', ())},{self.text(value.tolist())}"
        return None

    def _function(self, value: Any) -> str:
        if isinstance(value, functools.partial):
            parts = (value.func, value.args, value.keywords)
            return ",".join(self.text(part) for part in parts)
        if isinstance(value, MethodType):
            return f"{self.text(value.__func__)},{self.text(value.__self__)}"
        if isinstance(value, BuiltinFunctionType):
            # list.append has the list as its self, len a module.
            owner = value.__self__
            own = "" if owner is None or isinstance(owner, ModuleType) else self.text(owner)
            return f"{value.__module__}.{value.__qualname__},{own}"
        if not _is_own(value):
            return f"{value.__module__}.{value.__qualname__}"
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        used = [list(pair) for pair in globals_used(value)]
        defaults = [value.__defaults__, value.__kwdefaults__]
        return f"{_source(value)},{self.text([cells, used, defaults])}"

    def _class(self, value: type) -> str:
        if not _is_own(value):
            return _name(value)
        bases = [base for base in value.__mro__[1:] if _is_own(base)]
        return f"{_name(value)},{_source(value)},{self.text(bases)}"

    def _state(self, value: Any) -> str:
        """An object of one of the user's own classes, or of a kind of container, by its items and
        attributes.
        """
        kind = type(value)
        is_container = isinstance(value, HOLDERS)
        is_open = _is_own(kind) or dataclasses.is_dataclass(value) or is_container
        if not is_open or not all(map(_is_visible, kind.__mro__)):
            raise Unknown(f"it is or holds an object of {_name(kind)}")
        items = [self.text(_plain(value))] if is_container else []
        slots = [name for base in kind.__mro__ for name in _slots(base)]
        state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        state |= getattr(value, "__dict__", {})
        return ",".join([self.text(kind), *items, self.text(state)])


def _plain(value: Any) -> Any:
    """The items of a container as the built-in kind that it is of."""
    kind = next(holder for holder in HOLDERS if isinstance(value, holder))
    return list(value) if kind is deque else kind(value)


def _is_visible(kind: type) -> bool:
    """Whether objects have no state from this class but their attributes and items: it is written
    in Python, or one of OPEN or a container of the standard library.
    """
    import sys

    if kind in OPEN or issubclass(kind, HOLDERS):
        return True
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return kind.__module__ == "__main__" or (file or "").endswith(".py")


def _alone(item: Any) -> str:
    """An item of a set, whose order says nothing."""
    return _Writer().text(item)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    named = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in named if name not in ("__dict__", "__weakref__"))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  reading an empty cell raises
    except ValueError:
        return False
    return True


def _source(value: Any) -> str:
    """A function's or a class' source; the bytecode of a function that has none."""
    code = getattr(value, "__code__", None)
    if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        return repr(value._fields)  # what namedtuple makes has no source
    try:
        source = inspect.getsource(value if code is None else code)
    except (OSError, TypeError):
        if code is None:
            raise Unknown(f"the source of {_name(value)} is not known") from None
        return bytecode(code)
    # Of several lambdas in a line the source is the same.
    return f"{source}{bytecode(code)}" if code and source.count("lambda") > 1 else source


def _module(value: ModuleType) -> str:
    """A module: the user's by its file, others by their names."""
    file = getattr(value, "__file__", None)
    if not _is_own(value) or not file:
        return value.__name__
    try:
        content = pathlib.Path(file).read_bytes()
    except OSError:
        raise Unknown(f"the file of the module {value.__name__} can't be read") from None
    return f"{value.__name__},{hashlib.sha256(content).hexdigest()}"


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


@functools.lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({str(pathlib.Path(sysconfig.get_path(name)).resolve()) for name in names})


def _is_own(value: Any) -> bool:
    """Whether a module, or the one that a class or function is defined in, is the user's own."""
    import sys

    module = value
    if not isinstance(value, ModuleType):
        module = sys.modules.get(getattr(value, "__module__", None) or "")
    name = getattr(module, "__name__", "__main__")
    if name.partition(".")[0] in ("opro_local", "builtins"):
        return False
    file = getattr(module, "__file__", None)
    if name == "__main__" or not file:
        # The program itself, be it a file, a notebook or a shell, and what is made there.
        return module is None or name == "__main__"
    path = str(pathlib.Path(file).resolve())
    return not any(path.startswith(f"{folder}/") for folder in _library_folders())
