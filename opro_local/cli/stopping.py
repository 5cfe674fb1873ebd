"""Signals that end the program: in time, with the exit code a shell expects, and without a
traceback.

For: SIGINT, SIGTERM and SIGHUP (a terminal that goes away), in any phase. Not for: what a run does
to lose nothing (runs/run.py), which is told by `Stop` and then by KeyboardInterrupt.

Three things make sure of an end. A handler of Python's runs between two bytecodes and raises. What
swallows that is told again by a timer. What lets no bytecode run at all, such as C code that never
returns, is told again from outside (last_resort.py), which the C part of Python's handler asks for:
a handler is put up for one signal at a time (`_put_up`), so that the next one ends the program as
if there were none, with the exit code a shell expects.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long SIGTERM and SIGHUP wait for the engine call in flight, and then for what tidies up.
CALL_SECONDS, TIDY_SECONDS = 3.0, 4.0
# Outside of runs there is little to tidy up, and SIGINT is not asked to wait for a call either.
AGAIN_SECONDS = 0.5
OUTSIDE_SECONDS = 2.0
RUN_SECONDS = 8.5  # `docker stop` and Slurm give 10
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
        _put_up(number, self.catch)
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        seconds = ""
        if number != signal.SIGINT:
            seconds = f", {CALL_SECONDS:g} s at most"
            signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS, TIDY_SECONDS)
        _say(f"stopping after the call in flight{seconds}; again to stop at once")


class _FirstSignal:
    """What ends a verb that is no run: the first signal raises, and then the timer does.

    One more signal, of another number, raises nothing: it would come while the first one is being
    answered, where nobody expects it. When a terminal or a job ends, two often come at once.
    """

    def __init__(self) -> None:
        self.number = 0

    def catch(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        _put_up(number, self.catch)
        if self.number:
            return
        self.number = number
        # Code that catches everything, as some modules do while they are imported, is told again.
        signal.signal(signal.SIGALRM, lambda *_: _raise_again(number))
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        raise Stopped(number)

    def __enter__(self) -> None:
        for number in _handled():
            _put_up(number, self.catch)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # pydantic, for one, makes an error of its own of what is raised in a validator it builds.
        if self.number and kind is not None:
            raise Stopped(self.number)


@contextlib.contextmanager
def raise_on_signals() -> Iterator[None]:
    """Let the signals raise `Stopped` within, until they are ignored (`ignore_signals`); what can't
    be raised in ends some seconds later.
    """
    sys.unraisablehook = _unraisable
    with _FirstSignal(), _last_resort(OUTSIDE_SECONDS, _handled()):
        yield


def ignore_signals() -> None:
    """The program ends: a signal more would only spoil its last line."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*_handled(), signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def gracefully() -> Iterator[Stop]:
    """While a run goes on: the first signal is noted, and the run asks for it."""
    stop = Stop()
    before = {n: _put_up(n, stop.catch) for n in (*_handled(), signal.SIGALRM)}
    # SIGINT waits for the call in flight, however long that takes.
    ending = [number for number in _handled() if number != signal.SIGINT]
    with _last_resort(RUN_SECONDS, ending):
        try:
            yield stop
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                _put_up(number, handler)


def _put_up(number: int, handler: Any) -> Any:
    """Set a handler for the next signal of a number, and return the one before. A second signal
    that comes before the handler ran (it then puts itself up again) ends the program, as there is
    none for it: no bytecode runs, and who sends two means it.
    """
    before = signal.signal(number, handler)
    library = ctypes.CDLL(None)
    # Without glibc there is no such function; what does not end is killed a second later.
    if callable(handler) and number != signal.SIGALRM and hasattr(library, "sysv_signal"):
        # Python's part in C, which the kernel calls: the first member of a struct sigaction.
        action = (ctypes.c_void_p * 64)()
        library.sigaction(number, None, action)
        library.sysv_signal(number, ctypes.c_void_p(action[0]))
    return before


@contextlib.contextmanager
def _last_resort(seconds: float, numbers: Iterable[int]) -> Iterator[None]:
    """A process that ends this one where one of the signals did not within the seconds."""
    options = (str(seconds), ",".join(str(int(number)) for number in numbers))
    command = [sys.executable, "-I", "-S", LAST_RESORT, *options]
    try:
        watcher = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:  # too many processes, say: handler and timer are still there
        yield
        return
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


def _raise_again(number: int) -> None:
    raise Stopped(number)


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Where nothing can be raised, as in a finalizer, the timer raises again."""
    if not issubclass(what.exc_type, (KeyboardInterrupt, Stopped)):
        sys.__unraisablehook__(what)


def _say(line: str) -> None:
    # Not by sys.stderr: the code that the signal interrupted may be writing to it.
    with contextlib.suppress(OSError):
        os.write(2, f"opro-local: {line}\n".encode())
