"""A Python function as the engine of the role program: an objective that scores a text.

For: calling the user's code at the one boundary where whatever it raises becomes a completion. Not
for: loading it (load.py), or ending it: code that hangs in this process hangs the run (a command
has a timeout, see program.py).
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from opro_local.errors import OproError
from opro_local.types import Completion, Engine, Progress, Prompt, Request


class FunctionEngine(Engine):
    """Answers each request with {"score": function(text)} as JSON, or with {"failed": why}, finish
    reason "failed".

    A text is given to the function once. What the function prints goes to stderr, because stdout is
    the result's.

    Args:
        function: takes a solution's text and returns a finite number, larger is better. Anything it
            raises but KeyboardInterrupt rejects the solution.
    """

    def __init__(self, function: Callable[[str], float]) -> None:
        self._function = function
        self._known: dict[str, Completion] = {}
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "function", "engine_version": "1"}

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol. `progress` counts finished calls and
        no tokens.
        """
        completions = []
        for request in requests:
            text = request.prompt.text
            if text not in self._known:
                self._known[text] = self._call(text)
            completions.append(self._known[text])
            if progress:
                progress(len(completions), 0)
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Functions read no tokens."""
        return [0] * len(prompts)

    def close(self) -> None:
        """Nothing to free."""

    def _call(self, text: str) -> Completion:
        # The boundary to the user's code: any error of it is about this one solution.
        try:
            with contextlib.redirect_stdout(sys.stderr):
                value = self._function(text)
        except OproError:
            # A model that the function asked has failed, which says nothing about the solution.
            raise
        except (Exception, SystemExit) as error:
            return _answer(failed=f"exception: {describe_exception(error)}")
        if isinstance(value, bool) or not isinstance(value, Real):
            return _answer(failed=f"no number: the function returned {value!r:.80}")
        score = _finite(value)
        if score is None:
            return _answer(failed=f"not finite: the function returned {value!r:.40}")
        return _answer(score)


def _finite(value: Real) -> float | None:
    """The value as a float; None where it is infinite, no number, or an integer too large."""
    try:
        score = float(value)
    except OverflowError:
        return None
    return score if math.isfinite(score) else None


def _answer(score: float | None = None, failed: str = "") -> Completion:
    if failed:
        return Completion(json.dumps({"failed": failed}), "failed", 0, 0, 0)
    return Completion(json.dumps({"score": score}), "stop", 0, 0, 0)


def describe_exception(error: BaseException) -> str:
    """What the user's code raised, with its place, on one line: `ValueError: too short (score.py,
    line 3)`.
    """
    message = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is ours
    place = ""
    if frames:
        last = frames[-1]
        place = f" ({last.filename.rpartition('/')[2]}, line {last.lineno})"
    return f"{type(error).__name__}: {message}{place}"[:300]
