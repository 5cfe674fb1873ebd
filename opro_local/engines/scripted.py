"""An engine whose replies come from a plain function: for tests, benchmarks and runs that need no
model.

For: deterministic replies at about a microsecond each, and faults on demand to show what a run does
about them. Not for: imitating a model; it counts words as tokens.

The environment variable OPRO_FAULT="name:n" breaks the n-th generate call (from 1): `die` kills the
process after half the batch, `hang` sleeps for ever, `short` leaves the last completion out,
`raise` fails, `slow` takes two seconds.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opro_local.engines.constraints import check, satisfies
from opro_local.engines.settings import EngineSettings
from opro_local.errors import DataError, EngineError, ModelError, UsageError
from opro_local.files import read_bytes
from opro_local.programs import load
from opro_local.protocols import Engine, Progress
from opro_local.records import log_probabilities, log_probability_text
from opro_local.types import Completion, Prompt, Request

Script = Callable[[Request], str | Completion]
MAX_MODEL_LEN = 8192
SURE = 0.9  # how probable the label is that a script gives
FAULTS = ("die", "hang", "short", "raise", "slow")


class ScriptedEngine(Engine):
    """Answers each request with `script(request)`: a text, or a whole Completion.

    A text is cut at the first stop string and after `max_tokens` words, as a model's reply would
    be. A script may ignore constraints of kind json and grammar; a reply that breaks a choice or a
    regex is an EngineError. Where labels are asked for, a script gives one of them, which is then
    probable by nine tenths, or a JSON object of their log-probabilities.

    Raises:
        ModelError: the settings' "file.py:function" can't be loaded.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._setup(_load(settings.script), settings.max_model_len or MAX_MODEL_LEN)

    @classmethod
    def of(cls, function: Script, max_model_len: int = MAX_MODEL_LEN) -> ScriptedEngine:
        """An engine around a Python callable."""
        engine = cls.__new__(cls)
        engine._setup(function, max_model_len)
        return engine

    def _setup(self, script: Script, max_model_len: int) -> None:
        self._script = script
        self._fault = _fault()
        self._calls = 0
        self._asleep = False
        self.max_model_len = max_model_len
        self.fingerprint = {
            "engine": "scripted",
            "engine_version": "1",
            "torch": None,
            "device": "none",
            "dtype": "none",
            "model": _source_digest(script),
        }

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        if not requests:
            return []
        self._require(asleep=False)
        self._calls += 1
        fault = self._fault[0] if self._fault[1] == self._calls else ""
        if fault:
            self._break(fault, requests)
        for constraint in {request.sampling.constraint for request in requests}:
            if constraint:
                check(constraint)
        completions = [self._answer(request) for request in requests]
        if progress:
            progress(len(requests), sum(completion.completion_tokens for completion in completions))
        return completions[:-1] if fault == "short" else completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Words of each prompt; at least one, as no real prompt takes none."""
        self._require(asleep=False)
        return [_words(prompt) for prompt in prompts]

    def sleep(self) -> None:
        """Free nothing, but refuse to answer until `wake`: it shows who is asked when."""
        self._require(asleep=False)
        self._asleep = True

    def wake(self) -> None:
        """Answer again."""
        self._require(asleep=True)
        self._asleep = False

    def close(self) -> None:
        """Nothing to free."""

    def _require(self, asleep: bool) -> None:
        if self._asleep != asleep:
            state = "asleep" if self._asleep else "awake already"
            raise EngineError(f"the scripted engine is {state}")

    def _answer(self, request: Request) -> Completion:
        sampling = request.sampling
        size = _words(request.prompt)
        if size + sampling.max_tokens > self.max_model_len:
            return Completion("", "too_long", size, 0, 0)
        reply = self._script(request)
        if sampling.labels and isinstance(reply, str):
            return Completion(_label_text(reply, sampling.labels), "stop", size, 0, 0)
        text = reply if isinstance(reply, str) else reply.text
        # A reply that the script calls cut need not be whole.
        is_cut = not isinstance(reply, str) and reply.finish_reason != "stop"
        if sampling.constraint and not is_cut and not satisfies(sampling.constraint, text):
            raise EngineError(
                f"the script's reply {text!r} breaks {sampling.constraint}", "correct the script"
            )
        if not isinstance(reply, str):
            return reply
        for stop in sampling.stop:
            text = text.partition(stop)[0]
        words = text.split()
        if len(words) <= sampling.max_tokens:
            return Completion(text, "stop", size, 0, len(words))
        shortened = " ".join(words[: sampling.max_tokens])
        return Completion(shortened, "length", size, 0, sampling.max_tokens)

    def _break(self, fault: str, requests: Sequence[Request]) -> None:
        if fault == "die":
            for request in requests[: len(requests) // 2]:
                self._answer(request)
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "hang":
            while True:
                time.sleep(3600)
        elif fault == "raise":
            raise EngineError("the scripted engine was told to fail (OPRO_FAULT)")
        elif fault == "slow":
            time.sleep(2)


def _label_text(reply: str, labels: tuple[str, ...]) -> str:
    """What a script says of labels: their log-probabilities, or the label it would write."""
    if reply in labels:
        rest = math.log((1 - SURE) / (len(labels) - 1))
        return log_probability_text(
            {one: math.log(SURE) if one == reply else rest for one in labels}
        )
    if log_probabilities(reply, labels) is None:
        raise EngineError(
            f"the script's reply {reply!r:.80} says nothing of labels {', '.join(labels)!r:.80}",
            "give one of them, or a JSON object of each one's log-probability",
        )
    return reply


def _load(script: str | None) -> Script:
    try:
        return load.load(script or "", "script", "request")
    except (DataError, UsageError) as error:
        raise ModelError(error.message, error.hint) from error


def _words(prompt: Prompt) -> int:
    # The benchmark of the host's own time calls this for every example: most prompts are a text.
    count = len(prompt.text.split())
    if prompt.system or prompt.prefill:
        count += len((prompt.system or "").split()) + len(prompt.prefill.split())
    if prompt.turns:
        count += sum(len(part.split()) for turn in prompt.turns for part in turn)
    return count or 1


def _fault() -> tuple[str, int]:
    """What OPRO_FAULT asks for: the fault and the number of the call it breaks."""
    fault = os.environ.get("OPRO_FAULT", "")
    if not fault:
        return "", 0
    name, _, number = fault.partition(":")
    if name not in FAULTS or not number.isdigit():
        raise EngineError(f"OPRO_FAULT={fault!r} is not name:n", f"names: {', '.join(FAULTS)}")
    return name, int(number)


def _source_digest(script: Script) -> str:
    """16 hex digits over the file the script stands in; its name where there is no file."""
    try:
        source = read_bytes(Path(inspect.getsourcefile(script) or ""))
    except (OSError, TypeError):
        source = b""
    return hashlib.sha256(source + getattr(script, "__qualname__", "").encode()).hexdigest()[:16]
