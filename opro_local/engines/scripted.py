"""The scripted engine: deterministic answers from a function, with faults to inject.

For: tests and for measuring the program's own cost. Not for: users; `--engine auto` never takes it.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import EngineError, UsageError
from opro_local.types import Completion, EngineSettings, Progress, Prompt, Request

Answer = Callable[[Request], "str | Completion"]


class ScriptedEngine:
    """See types.Engine. A word is a token.

    `OPRO_FAULT=name:n` in the environment makes the n-th generate call fail: `die` (SIGKILL to itself half way),
    `hang`, `short` (one completion missing), `raise`.

    Args:
        answer: gives the reply to a request.
        max_model_len: context in words.
    """

    def __init__(self, answer: Answer, max_model_len: int = 4096) -> None:
        self._answer = answer
        self.max_model_len = max_model_len
        self.fingerprint: Mapping[str, Any] = {"engine": "scripted", "device": "none"}
        self._calls = 0

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """See types.Engine."""
        self._calls += 1
        done = [self._complete(request) for request in requests[: len(requests) // 2]]
        fault, _, call = os.environ.get("OPRO_FAULT", "").partition(":")
        if fault and int(call) == self._calls:
            _fail(fault)
            requests = requests[:-1]
        done += [self._complete(request) for request in requests[len(done) :]]
        if progress:
            progress(len(done), sum(c.completion_tokens for c in done))
        return done

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """See types.Engine."""
        return [_words(prompt) for prompt in prompts]

    def close(self) -> None:
        """Nothing to free."""

    def _complete(self, request: Request) -> Completion:
        answer = self._answer(request)
        if isinstance(answer, Completion):
            return answer
        prompt, most = _words(request.prompt), request.sampling.max_tokens
        if prompt + most > self.max_model_len:
            return Completion("", "too_long", prompt, 0, 0)
        for stop in request.sampling.stop:
            answer = answer.partition(stop)[0]
        written = answer.count(" ") + 1
        if written > most:
            return Completion(" ".join(answer.split(" ")[:most]), "length", prompt, 0, most)
        return Completion(answer, "stop", prompt, 0, written)


def from_settings(settings: EngineSettings) -> ScriptedEngine:
    """The engine whose answers come from `settings.script`, "file.py:function". Raises UsageError."""
    file, _, name = (settings.script or "").rpartition(":")
    if not Path(file).is_file():
        raise UsageError(f"script {settings.script!r}: no such file", "give file.py:function")
    spec = importlib.util.spec_from_file_location("opro_local_script", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise UsageError(f"script {settings.script!r}: no function {name!r} in it")
    return ScriptedEngine(getattr(module, name), settings.max_model_len or 4096)


def _words(prompt: Prompt) -> int:
    return prompt.text.count(" ") + prompt.text.count("\n") + prompt.prefill.count(" ") + 1


def _fail(fault: str) -> None:
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(3600)
    if fault == "raise":
        raise EngineError("scripted fault")
    if fault != "short":
        raise UsageError(f"OPRO_FAULT: unknown fault {fault!r}", "accepted: die, hang, short, raise")
