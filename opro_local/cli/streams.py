"""Standard streams that can be written, whatever they are: closed, full, gone, or of another
encoding.

For: the program's own streams, once at its start. Not for: files.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from opro_local.errors import StoreError

# 128 and SIGPIPE: what a shell says of programs whose reader has gone, as after `| head`.
READER_GONE = 141


class Output(io.TextIOWrapper):
    """stdout: what can't be written there ends the program in one line, or, where the reader has
    gone, without one.
    """

    def write(self, text: str) -> int:
        """As any text stream; raises StoreError or SystemExit."""
        try:
            return super().write(text)
        except OSError as error:
            raise self._end(error) from None

    def flush(self) -> None:
        """As any text stream; raises StoreError or SystemExit."""
        try:
            super().flush()
        except OSError as error:
            raise self._end(error) from None

    def _end(self, error: OSError) -> BaseException:
        _discard(self)
        if error.errno == errno.EPIPE:
            return SystemExit(READER_GONE)
        why = error.strerror or str(error)
        return StoreError(f"stdout can't be written ({why})", "what was done is done and kept")


class Messages(io.TextIOWrapper):
    """stderr: what can't be written there is left out, for there is no other place to say so."""

    def write(self, text: str) -> int:
        """As any text stream; raises nothing."""
        try:
            return super().write(text)
        except OSError:
            _discard(self)
            return len(text)

    def flush(self) -> None:
        """As any text stream; raises nothing."""
        try:
            super().flush()
        except OSError:
            _discard(self)


def _discard(stream: io.TextIOWrapper) -> None:
    """Let what the stream still holds, and what follows, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_streams() -> None:
    """Make sys.stdout and sys.stderr streams of the kinds above, and give a closed stream's number
    to /dev/null, so that no file of ours gets it.

    What the encoding of the terminal hasn't is written as an escape.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # For stdout one that can't be written: the user is told that nothing was shown.
            os.open(os.devnull, flags)
    # Others, such as those of tests, stay.
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:
        sys.stdout = _wrapped(sys.stdout, 1, Output)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _wrapped(sys.stderr, 2, Messages)


def _wrapped(stream: Any, number: int, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    if stream is None:
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        return kind(raw, "utf-8", "backslashreplace")
    encoding, line_buffering = stream.encoding, stream.line_buffering
    write_through = number == 2
    return kind(
        stream.detach(),
        encoding,
        "backslashreplace",
        line_buffering=line_buffering,
        write_through=write_through,
    )
