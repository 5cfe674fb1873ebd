"""Python functions as engines: an objective for the role program, and a model that is a callable.

For: calling the user's code at the one boundary where whatever it raises becomes a completion or an EngineError. Not
for: loading it, or ending it: code that hangs in this process hangs the run (a command has a timeout, see program.py).
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from opro_local.engines.prompts import plain
from opro_local.errors import EngineError, OproError
from opro_local.types import Completion, Progress, Prompt, Request

DRAWN = ("temperature", "max_tokens", "top_p", "seed")


class FunctionEngine:
    """Answers each request with {"score": function(text)} as JSON, or with {"failed": why}, finish reason "failed".

    A text is given to the function once. What the function prints goes to stderr, because stdout is the result's.

    Args:
        function: takes a solution's text and returns a finite number, larger is better. Anything it raises but
            KeyboardInterrupt rejects the solution.
    """

    def __init__(self, function: Callable[[str], float]) -> None:
        self._function = function
        self._known: dict[str, Completion] = {}
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "function", "engine_version": "1"}

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """One completion per request; see the Engine protocol. `progress` counts finished calls and no tokens."""
        found = []
        for request in requests:
            text = request.prompt.text
            if text not in self._known:
                self._known[text] = self._call(text)
            found.append(self._known[text])
            if progress:
                progress(len(found), 0)
        return found

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
            raise  # a model that the function asked has failed, which says nothing about the solution
        except (Exception, SystemExit) as error:
            return _answer(failed=f"exception: {told(error)}")
        if isinstance(value, bool) or not isinstance(value, Real):
            return _answer(failed=f"no number: the function returned {value!r:.80}")
        score = _finite(value)
        return _answer(failed=f"not finite: the function returned {value!r:.40}") if score is None else _answer(score)


def _finite(value: Real) -> float | None:
    try:
        score = float(value)
    except OverflowError:
        return None
    return score if math.isfinite(score) else None


def _answer(score: float | None = None, failed: str = "") -> Completion:
    told = {"failed": failed} if failed else {"score": score}
    return Completion(json.dumps(told), "failed" if failed else "stop", 0, 0, 0)


def told(error: BaseException) -> str:
    """What the user's code raised, with its place, on one line: `ValueError: too short (score.py, line 3)`."""
    message = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is ours
    place = f" ({frames[-1].filename.rpartition('/')[2]}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}{place}"[:300]


class CallableEngine:
    """A model that is a Python callable.

    Called with one prompt as text it returns the reply's text; a callable whose first parameter is called `prompts`
    gets the batch's prompts as a list and returns as many texts. Parameters of it called temperature, max_tokens, top_p
    or seed get what the search asks for. An object with a method `generate` is called through it.

    Args:
        model: the callable or the object.
        name: what errors call it.
    """

    def __init__(self, model: Any, name: str) -> None:
        self._model = getattr(model, "generate", model)
        self._name = name
        names = _parameters(self._model)
        self._many = names[:1] == ["prompts"]
        self._drawn = [key for key in DRAWN if key in names[1:]]
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "callable", "engine_version": "1"}

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """One completion per request; see the Engine protocol.

        Raises:
            EngineError: the callable raised, or gave something else than text.
        """
        texts = self._together(requests) if self._many else []
        for request in requests[len(texts) :]:
            texts.append(self._called(plain(request.prompt), request))
            if progress:
                progress(len(texts), sum(map(_words, texts)))
        if len(texts) != len(requests) or not all(isinstance(text, str) for text in texts):
            raise EngineError(
                f"{self._name} gave {texts!r:.80} for {len(requests)} prompts", "return one text per prompt"
            )
        return [
            Completion(text, "stop", _words(plain(request.prompt)), 0, _words(text))
            for text, request in zip(texts, requests, strict=True)
        ]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Words, as nothing is known of its tokens."""
        return [_words(plain(prompt)) for prompt in prompts]

    def close(self) -> None:
        """It is the caller's."""

    def _together(self, requests: Sequence[Request]) -> list[Any]:
        if not requests:
            return []
        given = self._called([plain(request.prompt) for request in requests], requests[0])
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != len(requests):
            raise EngineError(
                f"{self._name} gave {given!r:.80} for {len(requests)} prompts", "return a list, one text per prompt"
            )
        return list(given)

    def _called(self, argument: Any, request: Request) -> Any:
        drawn = {key: getattr(request.sampling, key) for key in self._drawn}
        # The boundary to the user's code: an error of it ends the run, which resumes.
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return self._model(argument, **drawn)
        except Exception as error:
            raise EngineError(f"{self._name} raised {told(error)}", "the same call resumes the run") from error


def _parameters(function: Callable) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _words(text: str) -> int:
    return len(text.split())
