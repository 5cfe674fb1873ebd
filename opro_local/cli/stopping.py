"""Signals that end the program: in time, with the exit code a shell expects, and without a
traceback.

For: SIGINT, SIGTERM and SIGHUP (a terminal that goes away), in any phase. Not for: what a run does
to lose nothing (runs/run.py), which is told by `Stop` and then by KeyboardInterrupt.

Three things make sure of an end. A handler of Python's runs between two bytecodes and raises. What
swallows that is told again by a timer. What lets no bytecode run at all, such as C code that never
returns, is killed from outside (last_resort.py), which the C part of Python's handler asks for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long SIGTERM and SIGHUP wait for the engine call in flight, and then for what tidies up.
CALL_SECONDS, TIDY_SECONDS = 3.0, 4.0
# Outside of runs there is little to tidy up.
AGAIN_SECONDS = 0.5
LAST_RESORT = str(Path(__file__).with_name("last_resort.py"))


class Stopped(BaseException):
    """A signal ended the program outside of a run; `exit_code` is what a shell expects.

    No KeyboardInterrupt, which Typer would turn into an exception of its own, with an empty line.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = 128 + number


class Stop:
    """What was asked of a run; true once a signal came."""

    def __init__(self) -> None:
        self.number = 0

    def __bool__(self) -> bool:
        return bool(self.number)

    def catch(self, number: int, frame: FrameType | None) -> None:
        """The handler: the first signal asks to stop after the call in flight, the next one to stop
        at once.
        """
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        seconds = ""
        if number != signal.SIGINT:
            seconds = f", {CALL_SECONDS:g} s at most"
            signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS, TIDY_SECONDS)
        _say(f"stopping after the call in flight{seconds}; again to stop at once")


def raise_on_signals() -> None:
    """Let the signals raise `Stopped`, now and until they are ignored (`ignore_signals`)."""
    for number in _handled():
        signal.signal(number, _raise)
    sys.unraisablehook = _unraisable


def ignore_signals() -> None:
    """The program ends: a signal more would only spoil its last line."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*_handled(), signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def gracefully() -> Iterator[Stop]:
    """While a run goes on: the first signal is noted, and the run asks for it."""
    stop = Stop()
    before = {n: signal.signal(n, stop.catch) for n in (*_handled(), signal.SIGALRM)}
    with _last_resort():
        try:
            yield stop
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _last_resort() -> Iterator[None]:
    """A process that kills this one where a SIGTERM does not end it within its time."""
    command = [sys.executable, "-I", "-S", LAST_RESORT]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert watcher.stdin is not None  # it is a pipe
    os.set_blocking(watcher.stdin.fileno(), False)
    # Python's own handler, in C, writes each signal's number there before any bytecode runs.
    before = signal.set_wakeup_fd(watcher.stdin.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        watcher.stdin.close()
        watcher.wait()


def _handled() -> list[signal.Signals]:
    """The signals to handle: `nohup` has SIGHUP ignored, and means it."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in ENDING if number != signal.SIGHUP or not ignored]


def _raise(number: int, frame: FrameType | None) -> None:
    # Code that catches everything, as some modules do while they are imported, is told again.
    signal.signal(signal.SIGALRM, lambda *_: _raise(number, None))
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
    raise Stopped(number)


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Where nothing can be raised, as in a finalizer, the timer raises again."""
    if not issubclass(what.exc_type, (KeyboardInterrupt, Stopped)):
        sys.__unraisablehook__(what)


def _say(line: str) -> None:
    # Not by sys.stderr: the code that the signal interrupted may be writing to it.
    with contextlib.suppress(OSError):
        os.write(2, f"opro-local: {line}\n".encode())
