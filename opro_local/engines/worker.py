"""Hosts an engine in a child process: the run stays light, and a dead or hung engine ends as an
error.

For: starting, watching and ending the child, and what the two sides say to each other. Not for:
what an engine does, or how requests are written down (packing.py).

Both sides send length-prefixed JSON lists over pipes. `WorkerEngine` is the parent's side; `python
-m opro_local.engines.worker` runs `main`, the child's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from opro_local.engines.kinds import ENGINES, engine_class
from opro_local.engines.wire import pack, pack_prompts, unpack, unpack_prompts
from opro_local.errors import EngineError, ModelError, OproError, UsageError
from opro_local.models.offline import SWITCHES
from opro_local.types import Completion, EngineSettings, Progress, Prompt, Request

LENGTH = struct.Struct("!Q")
BEAT_SECONDS = 1.0
SILENCE_SECONDS = 60.0
CLOSE_SECONDS = 5.0
TAIL_LINES = 12
# Chatter that says nothing about why an engine died.
NOISE = ("INFO ", "WARNING ", "DEBUG ")
PR_SET_PDEATHSIG = 1


class WorkerEngine:
    """An engine of the settings' kind, in a process of its own.

    Args:
        settings: what the child hosts.
        log: file the child's stdout and stderr are appended to; a temporary one if None.
        devices: CUDA_VISIBLE_DEVICES of the child; None leaves it as it is here.

    Raises:
        EngineError: the engine does not start, or not within `load_seconds`.
        ModelError: the model does not load.
    """

    def __init__(
        self, settings: EngineSettings, log: Path | None = None, devices: str | None = None
    ) -> None:
        self._settings = settings
        # Open as long as the engine is; _kill closes it.
        self._log = log.open("a+b") if log else tempfile.TemporaryFile()  # noqa: SIM115
        self._logged = os.fstat(self._log.fileno()).st_size
        self._child = _spawn(settings, self._log, devices)
        self._received = bytearray()
        os.set_blocking(self._child.stdin.fileno(), False)
        os.set_blocking(self._child.stdout.fileno(), False)
        ready = self._ask(["start", _plain_settings(settings)], settings.load_seconds, None)
        self.fingerprint: Mapping[str, Any] = ready[0]
        self.max_model_len: int = ready[1]

    @property
    def pid(self) -> int:
        """The child's process id, which is also its process group."""
        return self._child.pid

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        if not requests:
            return []
        replies = self._ask(["generate", pack(requests)], self._settings.stall_seconds, progress)[0]
        if len(replies) != len(requests):
            raise EngineError(
                f"the {self._settings.kind} engine gave {len(replies)} completions for {len(requests)} requests",
                "this is a fault of the engine; run the same command again to go on",
            )
        completions = [Completion(*reply) for reply in replies]
        if progress:
            progress(
                len(completions), sum(completion.completion_tokens for completion in completions)
            )
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""
        if not prompts:
            return []
        return self._ask(["count", pack_prompts(prompts)], self._settings.stall_seconds, None)[0]

    def sleep(self) -> None:
        """Leave the GPU to others until `wake`. Nothing may be asked meanwhile."""
        self._ask(["sleep"], self._settings.stall_seconds, None)

    def wake(self) -> None:
        """Come back to where `sleep` was called, with an empty KV cache."""
        self._ask(["wake"], self._settings.stall_seconds, None)

    def end(self) -> None:
        """Kill the child from another thread than the one that waits for its answer; that one gets
        an EngineError.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the child: asked first, killed after five seconds. Safe to call twice."""
        if self._log.closed:
            return
        if self._child.poll() is None:
            with contextlib.suppress(OSError, EngineError):
                self._send(["close"], CLOSE_SECONDS)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(CLOSE_SECONDS)
        self._kill()

    def _ask(self, message: list, patience: float, progress: Progress | None) -> list:
        """Send a message and wait for its answer; anything but an answer or the engine's own error
        ends the child.
        """
        if self._log.closed:
            raise EngineError("the engine is closed", "start another one")
        settled = False
        try:
            self._send(message, SILENCE_SECONDS)
            answer = self._wait(patience, progress)
            settled = True
        finally:
            # Interrupted or failed: what the child still sends would be taken for the next
            # question's answer.
            if not settled:
                self._kill()
        if answer[0] == "error":
            kinds = {kind.__name__: kind for kind in (EngineError, ModelError, UsageError)}
            if message[0] == "start":
                self._kill()
            raise kinds.get(answer[1], EngineError)(*answer[2:])
        return answer[1:]

    def _wait(self, patience: float, progress: Progress | None) -> list:
        loading = not hasattr(self, "fingerprint")
        heard = moved = time.monotonic()
        counter = -1
        while True:
            message = self._receive(min(BEAT_SECONDS, patience))
            now = time.monotonic()
            if message is not None:
                heard = now
                if message[0] != "beat":
                    return message
                if message[1] != counter and not loading:
                    counter, moved = message[1], now
                    if progress:
                        progress(message[2], message[3])
            elif now - heard > SILENCE_SECONDS and not loading:
                raise self._hung(f"the engine has been silent for {SILENCE_SECONDS:g} s")
            if now - moved > patience:
                what = "not ready" if loading else "without progress"
                raise self._hung(
                    f"the {self._settings.kind} engine was {what} for {patience:g} s", loading
                )

    def _hung(self, message: str, loading: bool = False) -> EngineError:
        raised = "load_seconds" if loading else "stall_seconds"
        hint = f"lower max_num_seqs or max_tokens, or raise {raised} if the machine is only slow"
        return EngineError(f"{message} and was ended{self._tail()}", hint)

    def _died(self) -> EngineError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(CLOSE_SECONDS)
        code = self._child.returncode
        if code is None:
            how, hint = "closed its pipe", "run the same command again to go on"
        elif code >= 0:
            how, hint = f"exited with status {code}", "run the same command again to go on"
        else:
            memory = ", usually out of memory" if code == -signal.SIGKILL else ""
            how = f"was killed by signal {-code}{memory}"
            hint = "lower max_num_seqs, max_model_len or kv_cache_bytes, then run the same command again to go on"
        return EngineError(f"the {self._settings.kind} engine {how}{self._tail()}", hint)

    def _tail(self) -> str:
        """The log's last telling lines. Read by position: the child shares the file's offset."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(self._logged, size - 16384)
        text = os.pread(self._log.fileno(), size - start, start).decode("utf-8", "replace")
        lines = [
            line.rstrip()
            for line in text.splitlines()
            if line.strip() and not line.startswith(NOISE)
        ]
        return "; its log ends:\n  " + "\n  ".join(lines[-TAIL_LINES:]) + "\n" if lines else ""

    def _send(self, message: list, patience: float) -> None:
        """Write without blocking for ever: a stopped child reads nothing."""
        data = memoryview(_framed(message))
        pipe = self._child.stdin.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLOUT)
        while data:
            if not poll.poll(patience * 1000):
                raise self._hung(f"the engine has read nothing for {patience:g} s")
            try:
                data = data[os.write(pipe, data) :]
            except BrokenPipeError as error:
                raise self._died() from error

    def _receive(self, seconds: float) -> list | None:
        """The next message, or None when none came in time.

        Raises:
            EngineError: the child is gone.
        """
        pipe = self._child.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while (message := _unframed(self._received)) is None:
            if not poll.poll(seconds * 1000):
                # A process the child started may keep the pipe open after the child's death.
                if self._child.poll() is not None:
                    raise self._died()
                return None
            data = os.read(pipe, 1 << 20)
            if not data:
                raise self._died()
            self._received += data
        return message

    def _kill(self) -> None:
        """End the child's whole process group, and wait: its memory is free when this returns."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._child.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._log.close()


def environment(settings: EngineSettings, devices: str | None = None) -> dict[str, str]:
    """The child's environment; what the user has set stays, apart from the offline switches."""
    env = {**os.environ, **SWITCHES}
    # GPUs are planned by nvidia-smi's numbers; CUDA's own begin with the fastest GPU.
    env.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if devices is not None:
        env["CUDA_VISIBLE_DEVICES"] = devices
    env.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    env.setdefault("VLLM_PLUGINS", "")  # third-party plugins run at import; none is needed
    if settings.tensor_parallel * settings.pipeline_parallel == 1:
        env.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    if not ENGINES[settings.kind].reads_folder or Path("/proc/driver/nvidia").exists():
        return env
    env.setdefault(
        "OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // settings.data_parallel))
    )
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    # torch's own OpenMP spins while it waits: with a busy neighbour it was measured eight times
    # slower than Intel's, or than itself told not to spin.
    if openmp.exists():
        env.setdefault("KMP_BLOCKTIME", "5")
        env["LD_PRELOAD"] = ":".join(filter(None, [str(openmp), env.get("LD_PRELOAD")]))
    else:
        env.setdefault("OMP_WAIT_POLICY", "passive")
    return env


def _spawn(settings: EngineSettings, log: Any, devices: str | None = None) -> subprocess.Popen:
    # The kernel's signal comes when the starting *thread* ends, and it would orphan vLLM's own
    # processes at tensor or pipeline parallel above 1. In both cases the pipe alone has to do.
    alone = settings.tensor_parallel * settings.pipeline_parallel == 1
    bound = threading.current_thread() is threading.main_thread() and alone
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "opro_local.engines.worker", "bound" if bound else "free"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        env=environment(settings, devices),
        # Ctrl-C in the terminal is the run's business: it finishes the batch or kills this group.
        start_new_session=True,
    )


def _framed(message: list) -> bytes:
    # ASCII escapes carry lone surrogates, which UTF-8 can't.
    data = json.dumps(message, separators=(",", ":"), default=dict).encode("ascii")
    return LENGTH.pack(len(data)) + data


def _unframed(received: bytearray) -> list | None:
    """Take the first whole message off the bytes received so far."""
    if len(received) < LENGTH.size:
        return None
    end = LENGTH.size + LENGTH.unpack_from(received)[0]
    if len(received) < end:
        return None
    message = json.loads(received[LENGTH.size : end])
    del received[:end]
    return message


def _plain_settings(settings: EngineSettings) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


class _Pipe:
    """The child's end: answers, and a heartbeat while it works."""

    def __init__(self, fd: int) -> None:
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._lock = threading.Lock()
        self._busy = False
        self._state = [0, 0, 0]
        threading.Thread(target=self._beat, daemon=True).start()

    def progress(self, finished: int, tokens: int) -> None:
        """Every call counts as progress, whatever the numbers."""
        self._state = [self._state[0] + 1, finished, tokens]

    def begin(self) -> None:
        self._state = [0, 0, 0]
        self._busy = True

    def answer(self, message: list) -> None:
        """Send the answer; no heartbeat follows it, as nobody reads between questions."""
        with self._lock:
            self._busy = False
            self._write(message)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT_SECONDS)
            with self._lock:
                if self._busy:
                    self._write(["beat", *self._state])

    def _write(self, message: list) -> None:
        data = memoryview(_framed(message))
        while data:
            data = data[self._file.write(data) :]


def main() -> None:
    """The child: hosts the engine it is told to start until it is told to close or its parent is
    gone.
    """
    if sys.argv[1:] == ["bound"]:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    commands: queue.SimpleQueue[list] = queue.SimpleQueue()
    # Whatever the engine or a process it starts reads or prints must not meet the protocol.
    source, target = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    threading.Thread(target=_listen, args=(source, commands), daemon=True).start()
    _serve(commands, _Pipe(target))


def _listen(fd: int, commands: queue.SimpleQueue[list]) -> None:
    """Pass commands on; at the end of the pipe the parent is gone, and so is this process group."""
    received = bytearray()
    while data := os.read(fd, 1 << 20):
        received += data
        while (message := _unframed(received)) is not None:
            commands.put(message)
    os.killpg(0, signal.SIGKILL)


def _serve(commands: queue.SimpleQueue[list], pipe: _Pipe) -> None:
    engine = None
    while (command := commands.get())[0] != "close":
        pipe.begin()
        # The one boundary of this process: whatever an engine raises has to reach the parent as a
        # message.
        try:
            if command[0] == "start":
                settings = EngineSettings(
                    **{**command[1], "adapters": tuple(command[1]["adapters"])}
                )
                engine = engine_class(settings.kind)(settings)
                answer = ["ready", dict(engine.fingerprint), engine.max_model_len]
            elif command[0] == "generate":
                done = engine.generate(unpack(command[1]), pipe.progress)
                answer = ["done", [_row(completion) for completion in done]]
            elif command[0] == "sleep":
                engine.sleep()
                answer = ["done"]
            elif command[0] == "wake":
                engine.wake()
                answer = ["done"]
            else:
                answer = ["counts", engine.count_tokens(unpack_prompts(command[1]))]
        except OproError as error:
            answer = ["error", type(error).__name__, error.message, error.hint]
        except Exception as error:
            traceback.print_exc()
            line = (str(error).splitlines() or [""])[0]
            answer = [
                "error",
                "EngineError",
                f"{type(error).__name__}: {line}",
                "the traceback is in the engine's log",
            ]
        pipe.answer(answer)
    # No engine.close(): the process ends here, and that frees everything, faster and more surely.
    os._exit(0)


def _row(completion: Completion) -> tuple:
    c = completion
    return (c.text, c.finish_reason, c.prompt_tokens, c.cached_tokens, c.completion_tokens)


if __name__ == "__main__":
    main()
