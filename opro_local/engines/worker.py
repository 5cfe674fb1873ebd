"""An engine in a process of its own: the parent's side, and the child it starts.

For: one worker per model that dies with its parent, is watched, and frees its memory by ending. Messages are
length-prefixed JSON over two pipes. Not for: engines themselves.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from opro_local import errors, offline
from opro_local.errors import EngineError
from opro_local.types import Completion, EngineSettings, Progress, Prompt, Request, Sampling

BEAT_SECONDS = 1.0
SILENCE_SECONDS = 120.0
PR_SET_PDEATHSIG = 1


class WorkerEngine:
    """See types.Engine: passes every call on to a child process.

    Args:
        settings: the model and how to host it.
        log: file that takes everything the child prints; a temporary one if None.

    Raises:
        EngineError, ModelError: the engine did not start; the message ends with what its log says last.
    """

    def __init__(self, settings: EngineSettings, log: Path | None = None) -> None:
        self._settings = settings
        self._temporary = tempfile.NamedTemporaryFile("wb", suffix=".log") if log is None else None  # noqa: SIM115
        self._log = Path(self._temporary.name) if self._temporary else log
        self._child = _spawn(settings, self._log)
        self._buffer = bytearray()
        try:
            _send(self._child.stdin, {"settings": asdict(settings)})
            ready = self._receive(settings.load_seconds, None, "starting")
        except BaseException:
            self._kill()
            raise
        self.fingerprint: Mapping[str, Any] = ready["fingerprint"]
        self.max_model_len: int = ready["max_model_len"]

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """See types.Engine. After an EngineError the worker is dead."""
        answer = self._call({"generate": _pack_requests(requests)}, progress)
        if len(answer["texts"]) != len(requests):
            self._kill()
            raise EngineError(f"the engine gave {len(answer['texts'])} completions for {len(requests)} requests")
        columns = (answer["texts"], answer["finish"], answer["prompt"], answer["cached"], answer["completion"])
        return [Completion(*row) for row in zip(*columns, strict=True)]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """See types.Engine."""
        return self._call({"count": [_pack_prompt(prompt) for prompt in prompts]}, None)["counts"]

    def close(self) -> None:
        """Ask the child to end, and end it if it does not within five seconds."""
        with suppress(OSError, ValueError):
            self._child.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(5)
        self._kill()
        if self._temporary:
            self._temporary.close()

    def _call(self, message: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
        try:
            _send(self._child.stdin, message)
            return self._receive(self._settings.stall_seconds, progress, "working")
        except (BrokenPipeError, ValueError):
            raise self._death() from None
        except BaseException:
            self._kill()
            raise

    def _receive(self, patience: float, progress: Progress | None, doing: str) -> dict[str, Any]:
        """The next answer; heartbeats in between must come, and show progress within `patience` seconds."""
        heard = moved = time.monotonic()
        last = (0, 0)
        while True:
            message = self._next(heard + SILENCE_SECONDS, moved + patience, doing)
            heard = time.monotonic()
            if "beat" not in message:
                return _raised(message)
            now = tuple(message["beat"])
            if now != last:
                last, moved = now, heard
                if progress:
                    progress(*now)

    def _next(self, silent: float, stalled: float, doing: str) -> dict[str, Any]:
        while True:
            message = _take(self._buffer)
            if message is not None:
                return message
            now = time.monotonic()
            if now >= silent or now >= stalled:
                raise self._stalled(doing, now >= stalled)
            ready, _, _ = select.select([self._child.stdout], [], [], max(0.0, min(silent, stalled) - now))
            if ready:
                data = os.read(self._child.stdout.fileno(), 1 << 20)
                if not data:
                    raise self._death()
                self._buffer += data

    def _stalled(self, doing: str, without_progress: bool) -> EngineError:
        what = "made no progress" if without_progress else "gave no sign of life"
        self._kill()
        return EngineError(
            f"the engine {what} while {doing} and was stopped{self._tail()}",
            "give the same command to resume; raise stall_seconds or load_seconds if it is only slow",
        )

    def _death(self) -> EngineError:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(2)
        code = self._child.poll()
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = f"killed by signal {-code}" + (", as when memory runs out" if code == -signal.SIGKILL else "")
        self._kill()
        return EngineError(
            f"the engine's process died ({how}){self._tail()}",
            "give the same command to resume; if memory is short, lower max_model_len, max_num_seqs or gpu_memory",
        )

    def _tail(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text("utf-8", "replace").strip().splitlines()[-3:]
            if lines:
                return f"; its log {self._log} ends: {' / '.join(line.strip() for line in lines)}"
        return ""

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()


def _spawn(settings: EngineSettings, log: Path) -> subprocess.Popen:
    """Start the child in a session of its own, so that Ctrl-C in the terminal reaches the parent alone."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "opro_local.engines.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=_environment(settings),
            start_new_session=True,
            bufsize=0,
        )


def _environment(settings: EngineSettings) -> dict[str, str]:
    """The child's environment; what the user has set stays, the offline switches excepted."""
    preset = {
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        "KMP_BLOCKTIME": "5",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_PLUGINS": "",
    }
    # libgomp spins while it waits and collapses when another process holds a core; Intel's OpenMP does not.
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    if settings.kind == "vllm" and openmp.is_file() and not Path("/dev/nvidiactl").exists():
        preset["LD_PRELOAD"] = str(openmp)
    if settings.tensor_parallel == 1:
        preset["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    return {**preset, **os.environ, **offline.SWITCHES}


def _pack_prompt(prompt: Prompt) -> list[Any]:
    return [prompt.text, prompt.system, prompt.prefill, prompt.chat]


def _pack_requests(requests: Sequence[Request]) -> dict[str, Any]:
    """Prompts in order, and for each the position of its sampling among the distinct ones."""
    distinct: dict[Sampling, int] = {}
    places = [distinct.setdefault(request.sampling, len(distinct)) for request in requests]
    samplings = [[s.max_tokens, s.temperature, s.top_p, s.seed, list(s.stop)] for s in distinct]
    return {"prompts": [_pack_prompt(r.prompt) for r in requests], "samplings": samplings, "places": places}


def _unpack_requests(packed: Mapping[str, Any]) -> list[Request]:
    samplings = [Sampling(*head, tuple(stop)) for *head, stop in packed["samplings"]]
    places = zip(packed["prompts"], packed["places"], strict=True)
    return [Request(Prompt(*prompt), samplings[place]) for prompt, place in places]


def _send(pipe: BinaryIO, message: Mapping[str, Any]) -> None:
    data = json.dumps(message).encode("ascii")
    left = memoryview(struct.pack("<Q", len(data)) + data)
    while left:
        left = left[pipe.write(left) :]


def _take(buffer: bytearray) -> dict[str, Any] | None:
    """Cut one whole message off the front of the buffer, or None if there is none yet."""
    if len(buffer) < 8:
        return None
    end = 8 + struct.unpack_from("<Q", buffer)[0]
    if len(buffer) < end:
        return None
    message = json.loads(bytes(buffer[8:end]))
    del buffer[:end]
    return message


def _raised(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        kind, text, hint = message["error"]
        raise getattr(errors, kind, EngineError)(text, hint)
    return message


def build(settings: EngineSettings) -> Any:
    """The engine that the settings name, in this process."""
    if settings.kind == "vllm":
        from opro_local.engines.vllm import VllmEngine

        return VllmEngine(settings)
    if settings.kind == "transformers":
        from opro_local.engines.transformers import TransformersEngine

        return TransformersEngine(settings)
    from opro_local.engines.scripted import from_settings

    return from_settings(settings)


def serve() -> None:
    """The child: build the engine, answer until the parent closes the pipe or dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Libraries print to stdout; the pipe moves out of their way and their words go to the log.
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    inbox: list[dict[str, Any]] = []
    arrived = threading.Condition()
    threading.Thread(target=_listen, args=(inbox, arrived), daemon=True).start()
    beat = _Beat(pipe)
    engine = None
    while True:
        with arrived:
            arrived.wait_for(lambda: bool(inbox))
            message = inbox.pop(0)
        beat.begin()
        try:
            if "settings" in message:
                engine = build(EngineSettings(**message["settings"]))
            answer = _answer(engine, message, beat)
        except errors.OproError as error:
            answer = {"error": [type(error).__name__, error.message, error.hint]}
        except Exception as error:  # the process boundary: whatever it is, the parent must hear of it
            sys.excepthook(*sys.exc_info())
            answer = {"error": ["EngineError", f"the engine failed: {type(error).__name__}: {error}", "see its log"]}
        beat.end(answer)


def _answer(engine: Any, message: Mapping[str, Any], beat: _Beat) -> dict[str, Any]:
    if "settings" in message:
        return {"fingerprint": dict(engine.fingerprint), "max_model_len": engine.max_model_len}
    if "count" in message:
        return {"counts": engine.count_tokens([Prompt(*prompt) for prompt in message["count"]])}
    done = engine.generate(_unpack_requests(message["generate"]), beat.move)
    return {
        "texts": [c.text for c in done],
        "finish": [c.finish_reason for c in done],
        "prompt": [c.prompt_tokens for c in done],
        "cached": [c.cached_tokens for c in done],
        "completion": [c.completion_tokens for c in done],
    }


def _listen(inbox: list[dict[str, Any]], arrived: threading.Condition) -> None:
    """Read messages; the end of the pipe means that the parent is gone, and with it the reason to live."""
    buffer = bytearray()
    while data := os.read(0, 1 << 20):
        buffer += data
        while (message := _take(buffer)) is not None:
            with arrived:
                inbox.append(message)
                arrived.notify()
    os._exit(0)


class _Beat:
    """Sends a heartbeat with the progress so far every second while the engine works."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe, self._lock = pipe, threading.Lock()
        self._now, self._working = (0, 0), False
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self) -> None:
        self._now, self._working = (0, 0), True

    def move(self, finished: int, tokens: int) -> None:
        self._now = (finished, tokens)

    def end(self, answer: Mapping[str, Any]) -> None:
        with self._lock:
            self._working = False
            if self._now != (0, 0):
                _send(self._pipe, {"beat": self._now})
            _send(self._pipe, answer)

    def _run(self) -> None:
        while True:
            time.sleep(BEAT_SECONDS)
            with self._lock:
                if self._working:
                    _send(self._pipe, {"beat": self._now})


if __name__ == "__main__":
    serve()
