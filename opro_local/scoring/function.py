"""The rule python: a user's own function as the scorer.

For: loading the function and turning what it raises or returns into errors that name the row. Not
for: any sandbox; the function runs in this process with all its rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from opro_local.errors import DataError, OproError
from opro_local.programs import load
from opro_local.scoring.reading.labels import whole
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example

Value = float | bool | None
Function = Callable[[str, str, Mapping[str, str]], Value | tuple[Value, str | None]]

LONGEST_REMARK = 1000  # characters; what is longer is cut


def python(spec: str | None) -> Rule:
    """What the user's `function(answer, target, columns)` returns: True, False, a number in [0, 1],
    or None; or such a value and a text, what is wrong with the answer in words for the optimizer.

    None is a failed extraction. A meta-prompt that shows mistakes (`reflection`) shows the text
    with them. Not normalised: anything; the function gets the answer as the model
    wrote it.

    Raises:
        UsageError: the specification is not "file.py:function".
        DataError: the file or function can't be loaded; while scoring, the function raised or
        returned something else.
    """
    place = spec or ""
    function: Function = load.load(place, "task.pattern", "answer, target, columns")
    return rule_of(function, place, load.file_of(place))


def rule_of(function: Function, spec: str, source: Path | None = None) -> Rule:
    """The rule python with a function that is loaded already.

    Args:
        function: takes an answer, its target and its row's columns; see `python`.
        spec: what messages call it.
        source: the file it came from; None for one of a program that calls this package.
    """

    def review(answer: str, example: Example) -> tuple[float, str]:
        # The boundary to the user's code: whatever it raises, sys.exit's SystemExit included, is
        # about this answer. What was answered is stored, and the same command goes on.
        try:
            value = function(answer, example.target, example.columns)
        except OproError:
            raise
        except (Exception, SystemExit) as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            raise DataError(
                f"{example.where}: {spec} raised {what}", f"the answer was {answer[:80]!r}"
            ) from error
        where, remark = f"{example.where}: {spec}", None
        if isinstance(value, tuple) and len(value) == 2:
            value, remark = value
        return FAILED if value is None else _checked(value, where), _remark(remark, where)

    def verdict(answer: str, example: Example) -> float:
        return review(answer, example)[0]

    return Rule("python", whole, lambda example: example, verdict, source=source, review=review)


def _remark(remark: Any, where: str) -> str:
    if remark is not None and not isinstance(remark, str):
        raise DataError(
            f"{where} returned {remark!r:.60} as its remark", "return a text or None beside a score"
        )
    text = (remark or "").strip()
    return text if len(text) <= LONGEST_REMARK else f"{text[:LONGEST_REMARK]}..."


def _checked(value: Any, where: str) -> float:
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)) and 0 <= value <= 1:
        return float(value)
    raise DataError(
        f"{where} returned {value!r:.60}", "return True, False, a number from 0 to 1, or None"
    )
