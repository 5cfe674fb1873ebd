"""The worker's own process: hosts one engine and answers what its run asks.

For: reading commands, answering them, and dying with the parent. Not for: the parent's side
(worker.py), or what an engine does. Started as `python -m opro_local.engines.worker_process`.

The protocol, one answer per command:
    ["start", settings]      -> ["ready", fingerprint, max_model_len]
    ["generate", requests]   -> ["done", completions]
    ["count", prompts]       -> ["counts", numbers]
    ["sleep"], ["wake"]      -> ["done"]
    ["close"]                -> nothing; the process ends
Whatever fails is answered by ["error", class, message, hint]. Until its answer, a busy worker sends
["beat", calls of progress, finished requests, output tokens] once a second; or ["dead", how] where
a process that the engine started has ended, on which the engine itself may wait for ever.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

from opro_local.engines.disk_faults import disk_fault
from opro_local.engines.kinds import engine_class
from opro_local.engines.settings import EngineSettings
from opro_local.engines.turns import SleepingEngine
from opro_local.engines.wire import (
    HEARTBEAT_SECONDS,
    encode_frame,
    take_frame,
    unpack,
    unpack_prompts,
)
from opro_local.errors import EngineError, OproError
from opro_local.network import guard_if_asked
from opro_local.protocols import Engine
from opro_local.types import Completion

CORE = "EngineCore"  # vLLM's name for its process, or how it begins; helpers may come and go
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>: the signal a process gets when its parent ends


def main() -> None:
    """Host the engine that the parent names, until it says close or is gone."""
    guard_if_asked()
    if sys.argv[1:] == ["bound"]:
        # The kernel ends this process with its parent, even when that is killed in a way that lets
        # nothing run, and even while the engine keeps the threads below from running.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    commands: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    # The protocol gets file descriptors of its own: whatever the engine, or a process it starts,
    # reads from stdin finds nothing, and whatever it prints goes to the log with stderr.
    source, target = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    threading.Thread(target=_listen, args=(source, commands), daemon=True).start()
    _serve(commands, _Answers(target))


def _listen(fd: int, commands: queue.SimpleQueue[list[Any]]) -> None:
    """Pass commands on; at the end of the pipe the parent is gone, and so is this process group.

    This catches what PR_SET_PDEATHSIG does not: vLLM's own processes, and a parent whose starting
    thread has ended.
    """
    received = bytearray()
    while data := os.read(fd, 1 << 20):
        received += data
        while (message := take_frame(received)) is not None:
            commands.put(message)
    os.killpg(0, signal.SIGKILL)


class _Answers:
    """The pipe to the parent: answers, and a heartbeat while there is work."""

    def __init__(self, fd: int) -> None:
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._lock = threading.Lock()
        self._busy = False
        self._state = [0, 0, 0]
        self._processes: Sequence[BaseProcess] = ()
        threading.Thread(target=self._beat, daemon=True).start()

    def watch(self, processes: Sequence[BaseProcess]) -> None:
        """Tell the parent when one of these processes ends while there is work."""
        self._processes = processes

    def progress(self, finished: int, tokens: int) -> None:
        """Every call counts as progress, whatever the numbers."""
        self._state = [self._state[0] + 1, finished, tokens]

    def begin(self) -> None:
        self._state = [0, 0, 0]
        self._busy = True

    def send(self, message: list[Any]) -> None:
        """Send the answer; no heartbeat follows it, as nobody reads between questions."""
        with self._lock:
            self._busy = False
            self._write(message)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            with self._lock:
                if self._busy:
                    how = _end_of(self._processes)
                    self._write(["dead", how] if how else ["beat", *self._state])
                    # What the engine still answers would come too late: the parent ends this group.
                    self._busy = not how

    def _write(self, message: list[Any]) -> None:
        # An unbuffered file may take a part only: a pipe holds 64 KiB.
        data = memoryview(encode_frame(message))
        while data:
            data = data[self._file.write(data) :]


def _serve(commands: queue.SimpleQueue[list[Any]], answers: _Answers) -> None:
    engine: Engine | None = None
    while (command := commands.get())[0] != "close":
        answers.begin()
        # The one boundary of this process: whatever an engine raises has to reach the parent as a
        # message.
        try:
            if command[0] == "start":
                engine = _start(command[1])
                # vLLM's own, at tensor or pipeline parallel above 1: what they do not do, nobody
                # does, and its client waits for a killed one without end (0.32).
                parts = multiprocessing.active_children()
                answers.watch([part for part in parts if part.name.startswith(CORE)])
                answer = ["ready", dict(engine.fingerprint), engine.max_model_len]
            elif engine is None:
                raise EngineError("nothing was started")
            else:
                answer = _ask(engine, command, answers)
        except OproError as error:
            answer = ["error", type(error).__name__, error.message, error.hint]
        except Exception as error:
            traceback.print_exc()
            answer = ["error", "EngineError", *_told(error)]
        answers.send(answer)
    # No engine.close(): the process ends here, and that frees everything, faster and more surely.
    os._exit(0)


def _told(error: Exception) -> tuple[str, str]:
    """What the parent is told of an error that nobody expected: a message and a hint."""
    fault = disk_fault(error)
    if fault is not None:
        return fault.message, fault.hint
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}", "the traceback is in the engine's log"


def _end_of(processes: Sequence[BaseProcess]) -> str:
    """How one of these processes has ended; empty while all live."""
    ended = connection.wait([process.sentinel for process in processes], 0)
    for process in processes:
        if process.sentinel in ended:
            process.join(0)  # without it there is no exit code
            code = process.exitcode
            how = f"was killed by signal {-code}" if code and code < 0 else f"ended ({code})"
            return f"{process.name} {how}"
    return ""


def _start(values: dict[str, Any]) -> Engine:
    # JSON has made lists of the tuples.
    tuples = {name: tuple(values[name]) for name in ("adapters", "trusted_code")}
    settings = EngineSettings(**{**values, **tuples})
    return engine_class(settings.kind)(settings)


def _ask(engine: Engine, command: list[Any], answers: _Answers) -> list[Any]:
    what = command[0]
    if what == "generate":
        done = engine.generate(unpack(command[1]), answers.progress)
        return ["done", [_row(completion) for completion in done]]
    if what == "count":
        return ["counts", engine.count_tokens(unpack_prompts(command[1]))]
    if not isinstance(engine, SleepingEngine):
        raise EngineError(f"the {engine.fingerprint['engine']} engine has no sleep mode")
    if what == "sleep":
        engine.sleep()
    else:
        engine.wake()
    return ["done"]


def _row(completion: Completion) -> tuple[str, str, int, int, int]:
    c = completion
    return (c.text, c.finish_reason, c.prompt_tokens, c.cached_tokens, c.completion_tokens)


if __name__ == "__main__":
    main()
