"""Hosts an engine in a child process: the run stays light, and a dead or hung engine ends as an
error.

For: starting, asking, watching and ending the child. Not for: the child's own side
(worker_process.py), or how messages are written down (wire.py).

A process of its own costs nothing here that counts, and gives what an engine in this process can't:
its GPU memory is certainly free when it is gone, a hang can be ended, and this process imports no
torch.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

from opro_local.engines.settings import EngineSettings
from opro_local.engines.wire import (
    HEARTBEAT_SECONDS,
    encode_frame,
    pack,
    pack_prompts,
    take_frame,
)
from opro_local.engines.worker_environment import environment, is_one_process
from opro_local.errors import EngineError, ModelError, UsageError
from opro_local.files import open_private
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request

# A busy child that sends no heartbeat for this long hangs; so does one that reads nothing.
SILENCE_SECONDS = 60.0
CLOSE_SECONDS = 5.0
TAIL_LINES, TAIL_BYTES, CAUSE_BYTES = 12, 16384, 131072
# What vLLM says where one of its processes failed, and only the log says why.
ELSEWHERE = re.compile(
    r"root \s cause \s above | stack \s trace \s (?: \( above \) | above | for )",
    re.IGNORECASE | re.VERBOSE,
)
WRITER = re.compile(r"\A\( \w+ [^()]* pid=\d+ \) \s*", re.VERBOSE)  # whose line it is
ERROR = re.compile(r"(?: \w+ \. )* \w* (?: Error | Exception ) : \s .+", re.VERBOSE)
# Chatter that says nothing about why an engine died.
NOISE = ("INFO ", "WARNING ", "DEBUG ")
AGAIN = "run the same command again to go on"


class WorkerEngine(Engine):
    """An engine of the settings' kind, in a process of its own.

    Args:
        settings: what the child hosts.
        log: file the child's stdout and stderr are appended to; a temporary one if None.
        devices: CUDA_VISIBLE_DEVICES of the child; None leaves it as it is here.
        wait: whether to return when the model is loaded. Without it the child loads meanwhile, and
            nothing may be asked before `wait_until_ready`.

    Raises:
        EngineError: the engine does not start, or not within `load_seconds`.
        ModelError: the model does not load.
    """

    def __init__(
        self,
        settings: EngineSettings,
        log: Path | None = None,
        devices: str | None = None,
        *,
        wait: bool = True,
    ) -> None:
        self._settings = settings
        # Open as long as the engine is; _end closes it.
        self._log: IO[bytes] = _opened(log) if log else tempfile.TemporaryFile()  # noqa: SIM115
        self._log_start = os.fstat(self._log.fileno()).st_size
        self._child = _spawn(settings, self._log, devices)
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None and stdout is not None  # _spawn makes pipes of both
        self._stdin, self._stdout = stdin, stdout
        self._received = bytearray()
        os.set_blocking(stdin.fileno(), False)
        os.set_blocking(stdout.fileno(), False)
        self._loading = True
        self.fingerprint: Mapping[str, Any] = {}
        self.max_model_len = 0
        with self._ending_if_unsettled():
            self._send(["start", _settings_as_dict(settings)], SILENCE_SECONDS)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the model is loaded. Raises as the constructor does."""
        try:
            ready = self._answer(self._settings.load_seconds, None)
        except BaseException:
            # A child whose start failed has nothing more to say.
            if not self._log.closed:
                self._end()
            raise
        self._loading = False
        self.fingerprint, self.max_model_len = ready

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
                f"the {self._settings.kind} engine gave {len(replies)} completions "
                f"for {len(requests)} requests",
                "this is a fault of the engine; run the same command again to go on",
            )
        completions = [Completion(*reply) for reply in replies]
        if progress:
            tokens = sum(completion.completion_tokens for completion in completions)
            progress(len(completions), tokens)
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""
        if not prompts:
            return []
        answer = self._ask(["count", pack_prompts(prompts)], self._settings.stall_seconds, None)
        counts: list[int] = answer[0]
        return counts

    def sleep(self) -> None:
        """Leave the GPU to others until `wake`. Nothing may be asked meanwhile."""
        self._ask(["sleep"], self._settings.stall_seconds, None)

    def wake(self) -> None:
        """Come back to where `sleep` was called, with an empty KV cache."""
        self._ask(["wake"], self._settings.stall_seconds, None)

    def kill(self) -> None:
        """Kill the child from another thread than the one that waits for its answer; that one gets
        an EngineError.
        """
        if self._child.returncode is not None:
            return  # its number may be another process's by now
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
        self._end()

    def _ask(self, message: list[Any], patience: float, progress: Progress | None) -> list[Any]:
        """Send a message and wait for its answer; anything but an answer or the engine's own error
        ends the child.
        """
        if self._log.closed:
            raise EngineError("the engine is closed", "start another one")
        with self._ending_if_unsettled():
            self._send(message, SILENCE_SECONDS)
        return self._answer(patience, progress)

    def _answer(self, patience: float, progress: Progress | None) -> list[Any]:
        """Wait for the answer to what was sent; see `_ask`."""
        with self._ending_if_unsettled():
            answer = self._wait(patience, progress)
        if answer[0] == "error":
            _, name, text, hint = answer
            kinds = {kind.__name__: kind for kind in (EngineError, ModelError, UsageError)}
            # vLLM's own processes say why they failed in the log, and nowhere else.
            text += self._log_cause() + self._log_tail() if ELSEWHERE.search(text) else ""
            raise kinds.get(name, EngineError)(text, hint)
        return answer[1:]

    @contextlib.contextmanager
    def _ending_if_unsettled(self) -> Iterator[None]:
        """End the child where this is interrupted or fails: what it still sends would be taken for
        the next question's answer.
        """
        try:
            yield
        except BaseException:
            self._end()
            raise

    def _wait(self, patience: float, progress: Progress | None) -> list[Any]:
        """The child's answer.

        Two clocks run. A child without a heartbeat hangs as a whole; while it loads a model, that
        may be C code that lets no other thread run, so only `patience` counts then. A child with
        one may still hang in its GPU: it is ended when its progress stands still.
        """
        heard = moved = time.monotonic()
        counter = -1
        while True:
            message = self._receive(min(HEARTBEAT_SECONDS, patience))
            now = time.monotonic()
            if message is not None:
                heard = now
                if message[0] == "dead":
                    raise self._part_error(message[1])
                if message[0] != "beat":
                    return message
                _, calls, finished, tokens = message
                if calls != counter and not self._loading:
                    counter, moved = calls, now
                    if progress:
                        progress(finished, tokens)
            elif now - heard > SILENCE_SECONDS and not self._loading:
                raise self._hang_error(f"the engine has been silent for {SILENCE_SECONDS:g} s")
            if now - moved > patience:
                what = "not ready" if self._loading else "without progress"
                raise self._hang_error(
                    f"the {self._settings.kind} engine was {what} for {patience:g} s"
                )

    def _hang_error(self, message: str) -> EngineError:
        setting = "load_seconds" if self._loading else "stall_seconds"
        hint = f"lower max_num_seqs or max_tokens, or raise {setting} if the machine is only slow"
        return EngineError(f"{message} and was ended{self._log_tail()}", hint)

    def _part_error(self, how: str) -> EngineError:
        """A process of the engine's own has ended; `how` names it."""
        memory = ", usually out of memory" if how.endswith(f"signal {int(signal.SIGKILL)}") else ""
        return EngineError(
            f"a process of the {self._settings.kind} engine is gone: {how}{memory}"
            f"{self._log_tail()}",
            f"lower max_num_seqs, max_model_len or kv_cache_bytes, then {AGAIN}",
        )

    def _death_error(self) -> EngineError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(CLOSE_SECONDS)
        code = self._child.returncode
        if code is None:
            how, hint = "closed its pipe", AGAIN
        elif code >= 0:
            how, hint = f"exited with status {code}", AGAIN
        else:
            # A kill that nobody here asked for is nearly always the kernel's, out of memory.
            memory = ", usually out of memory" if code == -signal.SIGKILL else ""
            how = f"was killed by signal {-code}{memory}"
            hint = f"lower max_num_seqs, max_model_len or kv_cache_bytes, then {AGAIN}"
        return EngineError(f"the {self._settings.kind} engine {how}{self._log_tail()}", hint)

    def _log_lines(self, most_bytes: int) -> list[str]:
        """The telling ones of the log's last lines. Read by position: the child shares the file's
        offset.
        """
        size = os.fstat(self._log.fileno()).st_size
        start = max(self._log_start, size - most_bytes)
        text = os.pread(self._log.fileno(), size - start, start).decode("utf-8", "replace")
        written = (WRITER.sub("", line.rstrip()) for line in text.splitlines())
        return [line for line in written if line and not line.startswith(NOISE)]

    def _log_cause(self) -> str:
        """The first error that the log's end names and that does not refer to another one."""
        matches = (ERROR.search(line) for line in self._log_lines(CAUSE_BYTES))
        errors = (match[0] for match in matches if match)
        return next((f" ({error})" for error in errors if not ELSEWHERE.search(error)), "")

    def _log_tail(self) -> str:
        """The log's last telling lines."""
        lines = self._log_lines(TAIL_BYTES)
        return "; its log ends:\n  " + "\n  ".join(lines[-TAIL_LINES:]) + "\n" if lines else ""

    def _send(self, message: list[Any], patience: float) -> None:
        """Write without blocking for ever: a stopped child reads nothing."""
        data = memoryview(encode_frame(message))
        pipe = self._stdin.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLOUT)
        while data:
            if not poll.poll(patience * 1000):
                raise self._hang_error(f"the engine has read nothing for {patience:g} s")
            try:
                data = data[os.write(pipe, data) :]
            except BrokenPipeError as error:
                raise self._death_error() from error

    def _receive(self, seconds: float) -> list[Any] | None:
        """The next message, or None when none came in time.

        Raises:
            EngineError: the child is gone.
        """
        pipe = self._stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while (message := take_frame(self._received)) is None:
            if not poll.poll(seconds * 1000):
                # A process the child started may keep the pipe open after the child's death.
                if self._child.poll() is not None:
                    raise self._death_error()
                return None
            data = os.read(pipe, 1 << 20)
            if not data:
                raise self._death_error()
            self._received += data
        return message

    def _end(self) -> None:
        """End the child's whole process group, and wait: its memory is free when this returns."""
        self.kill()
        self._child.wait()
        self._stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._log.close()


def _opened(log: Path) -> IO[bytes]:
    """The log, to append to: it lies in the run's folder, and may tell what prompts say."""
    return os.fdopen(open_private(log, os.O_RDWR | os.O_APPEND | os.O_CREAT), "a+b")


def _spawn(
    settings: EngineSettings, log: IO[bytes], devices: str | None = None
) -> subprocess.Popen[bytes]:
    # The kernel's signal comes when the starting *thread* ends, and it would orphan vLLM's own
    # processes at tensor or pipeline parallel above 1. In both cases the pipe alone has to do.
    in_main_thread = threading.current_thread() is threading.main_thread()
    bound = in_main_thread and is_one_process(settings)
    module = "opro_local.engines.worker_process"
    return subprocess.Popen(
        # -P: a file in the working directory must not stand in for a module.
        [sys.executable, "-P", "-m", module, "bound" if bound else "free"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        env=environment(settings, devices),
        # Ctrl-C in the terminal is the run's business: it finishes the batch or kills this group.
        start_new_session=True,
    )


def _settings_as_dict(settings: EngineSettings) -> dict[str, Any]:
    # Not dataclasses.asdict, which copies deeply and fails on frozen mappings.
    return {field.name: getattr(settings, field.name) for field in fields(settings)}
