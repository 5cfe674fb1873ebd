"""Which function of the calling program this is: its name, and a digest of what it does.

For: runs that depend on a function in memory, so that a stored run is continued only by the same
one. Not for: functions in files, which a digest of the whole file covers (problems/function.py).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any


def function_name(function: Callable[..., Any]) -> str:
    """What messages call it."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def code_digest(function: Callable[..., Any]) -> str:
    """16 hex digits over a function's source, or its bytecode where there is none; what it calls
    goes unseen.
    """
    try:
        code = inspect.getsource(function).encode()
    except (OSError, TypeError):
        name = type(function).__qualname__.encode()
        code = getattr(getattr(function, "__code__", None), "co_code", name)
    return hashlib.sha256(code).hexdigest()[:16]
