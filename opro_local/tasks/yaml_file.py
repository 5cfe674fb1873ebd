"""A YAML file of somebody else, read within limits of time, memory and size.

For: files of a few kilobytes that describe a task. Not for: what they may say (harness_yaml.py).
Nothing in the file is executed: `!function` is refused.

An alias in YAML stands for what it names as often as it is written, and a merge key copies: a file
of a few lines may describe gigabytes. So a copy of this process reads the file first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.programs.contained import Exceeded, contained
from opro_local.tasks.text_file import read_text

LONGEST = 256 << 10  # characters; the longest file of lm-evaluation-harness has some 20,000
SHORT = 16 << 10
MOST_VALUES = 100_000  # with every alias counted as often as it is written
MOST_CHARACTERS = 4 << 20  # of all texts together, counted alike
LARGEST = 1024  # bits of a whole number; Python refuses to write very long ones down
SECONDS = 4
# What PyYAML raises beside its own errors: `!!int ""` is an IndexError.
FAULTS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def document(path: Path) -> Any:
    """The one value that a YAML file holds: mappings, lists and plain values.

    Raises:
        DataError: it can't be read, is no YAML, is tagged with code, or takes too much; names the
            line where there is one.
    """
    import yaml  # noqa: F401  here, so that no copy of this process has to

    text = read_text(path)
    if len(text) > LONGEST:
        raise DataError(f"{path}: {len(text):,} characters", f"at most {LONGEST:,} are read")
    try:
        # Without an alias a short file describes no more than is written in it.
        if len(text) < SHORT and not ("&" in text and "*" in text):
            fault = _excess(_parsed(path, text))
        else:
            fault = contained(lambda: _excess(_parsed(path, text)), SECONDS)
    except Exceeded as error:
        raise DataError(f"{path}: reading it takes {error}", "write it without aliases") from None
    if fault:
        raise DataError(f"{path}: {fault}", "correct the file")
    return _parsed(path, text)


def _parsed(path: Path, text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader; here, so that the refusal of !function is no state of the process."""

    def refuse(loader: yaml.Loader, suffix: str, node: yaml.Node) -> None:
        what = f"{path}:{node.start_mark.line + 1}: {node.tag} is not supported"
        raise DataError(what, "no code is run: write it without, or set task.harness_code = true")

    Loader.add_multi_constructor("!", refuse)
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{path}:{line}: no YAML: {error.problem}", "correct the file") from None
    except RecursionError:
        raise DataError(f"{path}:1: no YAML: nested too deep", "correct the file") from None
    except (yaml.YAMLError, *FAULTS) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}:1: no YAML: {what}", "correct the file") from None


def _excess(value: Any) -> str:
    """What there is too much of in a value; empty if nothing is."""
    values = characters = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        values += 1
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, (list, tuple, set)):
            waiting += one
        elif isinstance(one, (str, bytes)):
            characters += len(one)
        elif isinstance(one, int) and one.bit_length() > LARGEST:
            return f"a number of more than {LARGEST:,} bits"
        if values > MOST_VALUES:
            return f"more than {MOST_VALUES:,} values"
        if characters > MOST_CHARACTERS:
            return f"more than {MOST_CHARACTERS:,} characters of text"
    return ""
