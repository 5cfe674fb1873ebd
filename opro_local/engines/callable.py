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
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request

# What a callable may take of a request's sampling.
SAMPLING = ("temperature", "max_tokens", "top_p", "seed")


class CallableEngine(Engine):
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
        self._takes_batches = names[:1] == ["prompts"]
        self._sampling = [key for key in SAMPLING if key in names[1:]]
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "callable", "engine_version": "1"}

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol.

        Raises:
            EngineError: the callable raised, or gave something else than text.
        """
        if any(request.sampling.labels for request in requests):
            raise EngineError(
                f"{self._name} is a function, which says nothing of how probable labels are",
                'leave task.answer as "text", or let the vllm or transformers engine host a model',
            )
        texts = self._answer_batch(requests) if self._takes_batches else []
        for request in requests[len(texts) :]:
            texts.append(self._call(plain_text(request.prompt), request))
            if progress:
                # What is no text is refused below, and counts nothing here.
                progress(len(texts), sum(_words(text) for text in texts if isinstance(text, str)))
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

    def _answer_batch(self, requests: Sequence[Request]) -> list[Any]:
        if not requests:
            return []
        # One call, so one sampling: a batch of the search shares all but its seeds.
        given = self._call([plain_text(request.prompt) for request in requests], requests[0])
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != len(requests):
            raise EngineError(
                f"{self._name} gave {given!r:.80} for {len(requests)} prompts",
                "return a list, one text per prompt",
            )
        return list(given)

    def _call(self, argument: Any, request: Request) -> Any:
        sampling = {key: getattr(request.sampling, key) for key in self._sampling}
        # The boundary to the user's code: an error of it ends the run, which resumes.
        try:
            # stdout is the result's.
            with contextlib.redirect_stdout(sys.stderr):
                return self._model(argument, **sampling)
        except (Exception, SystemExit) as error:
            raise EngineError(
                f"{self._name} raised {describe_exception(error)}", "the same call resumes the run"
            ) from error


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Names of what it takes; none for some callables written in C, which tell nothing."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _words(text: str) -> int:
    return len(text.split())
