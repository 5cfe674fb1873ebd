"""Loads a Python function of the user's, named "file.py:function": an objective, a scoring rule, a
script.

For: one way of loading, and what is wrong with a name or file in one line. Not for: calling it, or
any sandbox; the file runs in this process with all its rights.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opro_local.errors import DataError, UsageError


def file_of(spec: str) -> Path:
    """The file of "file.py:function"."""
    return Path(spec.rpartition(":")[0]).expanduser()


def load(spec: str, setting: str, parameters: str) -> Callable[..., Any]:
    """The function that "file.py:function" names.

    Args:
        spec: the file's path and the function's name.
        setting: the setting that holds it, for messages.
        parameters: what the function takes, for messages: "answer, target, columns".

    Raises:
        UsageError: the specification is not of this form.
        DataError: there is no such file or function, or the file does not load.
    """
    file, _, name = spec.rpartition(":")
    if not file.endswith(".py") or not name:
        raise UsageError(f"{setting} is {spec!r}", "give file.py:function")
    path = file_of(spec)
    if not path.is_file():
        raise DataError(f"{file}: no such file", f"it should define {name}({parameters})")
    module_spec = importlib.util.spec_from_file_location(f"opro_local_user_{path.stem}", path)
    assert module_spec is not None and module_spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses look their module up there
    # The boundary to the user's code: whatever it raises while it loads is the user's to read, in
    # one line.
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{file}: does not load: {what}", "correct the file") from error
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        raise DataError(f"{file}: defines no function {name!r}", "check the name after the colon")
    return function
