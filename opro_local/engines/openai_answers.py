"""What a server that speaks OpenAI's protocol says, read into our own words.

For: its list of models and its answers. Not for: asking it (openai_server.py).

Another program wrote these answers, so nothing of them is taken as it comes: what is not of the
protocol is refused in one line, and no failure becomes an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError
from opro_local.types import Completion, FinishReason

# What servers say of a prompt that does not fit, in lower case: vLLM, SGLang and llama.cpp.
TOO_LONG = ("context length", "context size", "context window", "too long", "longer than")
MOST = (1 << 31) - 1  # tokens; a context or a count beyond it is none
# Why a server ended an answer. Others (abort, error, content_filter, none at all) are no answers.
STOPPED = ("stop", "eos", "eos_token", "stop_sequence")
CUT = ("length", "max_tokens")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: the HTTP status and the body as JSON; an empty body is an empty one."""

    status: int
    body: Mapping[str, Any]

    @property
    def complaint(self) -> str:
        """The server's own words about what is wrong, in one line."""
        error = self.body.get("error", self.body)
        said = error.get("message", error) if isinstance(error, Mapping) else error
        return " ".join(str(said or "no reason given").split())[:400]


def served(listed: Answer) -> list[Mapping[str, Any]]:
    """The models that a server lists; none where it lists them otherwise than the protocol does."""
    data = listed.body.get("data")
    models = [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []
    return [one for one in models if isinstance(one.get("id"), str) and one["id"]]


def chosen(models: Sequence[Mapping[str, Any]], settings: EngineSettings) -> Mapping[str, Any]:
    """The served model that is meant."""
    names = [str(one.get("id", "")) for one in models]
    if settings.served_model in names:
        return models[names.index(settings.served_model)]
    if not settings.served_model and len(names) == 1:
        return models[0]
    asked = repr(settings.served_model) if settings.served_model else "which model, of several"
    raise EngineError(
        f"{settings.base_url} does not serve {asked}; it serves {', '.join(names)}",
        "give one of these names as `model`",
    )


def context_of(model: Mapping[str, Any], settings: EngineSettings) -> int:
    """The context that the server tells: vLLM's and SGLang's, then llama.cpp's."""
    meta = model.get("meta")
    told = [model.get("max_model_len")]
    if isinstance(meta, Mapping):
        told += [meta.get("n_ctx"), meta.get("n_ctx_train")]
    for value in told:
        if type(value) is int and 0 < value <= MOST:
            return value
    raise EngineError(
        f"{settings.base_url} does not tell how long its context is", "set max_model_len"
    )


def is_too_long(answer: Answer) -> bool:
    """Whether the server refuses a prompt that does not fit its context."""
    return any(words in answer.complaint.lower() for words in TOO_LONG)


def completion_of(body: Mapping[str, Any], route: str) -> Completion:
    """The first choice as a completion, with the server's own counts.

    Raises:
        EngineError: it is no answer of the protocol.
    """
    try:
        choice, usage = body["choices"][0], body.get("usage") or {}
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        # A thought that a server takes apart from the answer leaves nothing where it was cut off.
        text = "" if text is None else text
        if not isinstance(text, str):
            raise TypeError("its text is none")
        reason = _reason(choice["finish_reason"])
        details = usage.get("prompt_tokens_details") or {}
        counts = [
            _count(usage.get("prompt_tokens")),
            _count(details.get("cached_tokens")),
            _count(usage.get("completion_tokens")),
        ]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(
            f"{route}: {json.dumps(body)[:200]} is no answer of OpenAI's protocol ({error!r})",
            "see docs/engines.md for the servers that are known",
        ) from error
    # Half a character (a lone surrogate) is no text that a store or a request can hold.
    return Completion(text.encode("utf-8", "replace").decode(), reason, *counts)


def _reason(said: Any) -> FinishReason:
    """Raises ValueError where the answer ended as none does that is whole or cut off."""
    if said in STOPPED:
        return "stop"
    if said in CUT:
        return "length"
    raise ValueError(f"it ended with finish_reason {said!r}")


def _count(said: Any) -> int:
    """A number of tokens; 0 where none is told. Raises ValueError."""
    if said is None:
        return 0
    if type(said) is not int or not 0 <= said <= MOST:
        raise ValueError(f"{said!r} is no number of tokens")
    return said
