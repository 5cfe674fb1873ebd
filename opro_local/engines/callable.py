"""A model that is a Python callable.

For: calling the user's code at the one boundary where whatever it raises becomes an EngineError.
Not for: objectives (programs/function.py).
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opro_local.engines.tokenizer import plain_text
from opro_local.errors import EngineError
from opro_local.programs.function import describe_exception
from opro_local.types import Completion, Progress, Prompt, Request

DRAWN = ("temperature", "max_tokens", "top_p", "seed")


class CallableEngine:
    """A model that is a Python callable.

    Called with one prompt as text it returns the reply's text; a callable whose first parameter is
    called `prompts` gets the batch's prompts as a list and returns as many texts. Parameters of it
    called temperature, max_tokens, top_p or seed get what the search asks for. An object with a
    method `generate` is called through it.

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

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol.

        Raises:
            EngineError: the callable raised, or gave something else than text.
        """
        texts = self._together(requests) if self._many else []
        for request in requests[len(texts) :]:
            texts.append(self._called(plain_text(request.prompt), request))
            if progress:
                progress(len(texts), sum(map(_words, texts)))
        if len(texts) != len(requests) or not all(isinstance(text, str) for text in texts):
            raise EngineError(
                f"{self._name} gave {texts!r:.80} for {len(requests)} prompts",
                "return one text per prompt",
            )
        return [
            Completion(text, "stop", _words(plain_text(request.prompt)), 0, _words(text))
            for text, request in zip(texts, requests, strict=True)
        ]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Words, as nothing is known of its tokens."""
        return [_words(plain_text(prompt)) for prompt in prompts]

    def close(self) -> None:
        """It is the caller's."""

    def _together(self, requests: Sequence[Request]) -> list[Any]:
        if not requests:
            return []
        given = self._called([plain_text(request.prompt) for request in requests], requests[0])
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != len(requests):
            raise EngineError(
                f"{self._name} gave {given!r:.80} for {len(requests)} prompts",
                "return a list, one text per prompt",
            )
        return list(given)

    def _called(self, argument: Any, request: Request) -> Any:
        drawn = {key: getattr(request.sampling, key) for key in self._drawn}
        # The boundary to the user's code: an error of it ends the run, which resumes.
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return self._model(argument, **drawn)
        except Exception as error:
            raise EngineError(
                f"{self._name} raised {describe_exception(error)}", "the same call resumes the run"
            ) from error


def _parameters(function: Callable) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _words(text: str) -> int:
    return len(text.split())
