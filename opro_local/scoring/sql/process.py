"""Runs SQL in a child process that can only read, and comes back whatever the statement does.

For: starting the child, asking it, and starting it again when a statement killed it. Not for: what
the child allows (child.py) or what its results mean.

A process of its own, because SQLite can't be interrupted inside one piece of work: in-process, a
statement of a hundred characters held the step counter off for minutes and took all memory
(docs/sql.md has it).
"""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.scoring.line_child import ask, stop

CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may use. The number of steps ends it at the same place everywhere; the
    rest is for the odd.

    Attributes:
        steps: instructions of SQLite's virtual machine.
        cpu_seconds: processor time, which a busy machine does not shorten.
        seconds: wall-clock time, the last resort.
        rows: of the result.
        result_bytes: of the result's texts and blobs, 8 for any other value.
        value_bytes: of one text, blob or row, anywhere in the statement.
        sql_bytes: of the statement.
        memory_bytes: address space of the child, databases built in memory included.
    """

    steps: int = 10_000_000
    cpu_seconds: float = 2.0
    seconds: float = 10.0
    rows: int = 50_000
    result_bytes: int = 16_000_000
    value_bytes: int = 200_000
    sql_bytes: int = 10_000
    memory_bytes: int = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement returned: rows of `columns` values, each None, int, float, str or bytes."""

    columns: int
    rows: Sequence[tuple[Any, ...]]


class SqlProcess:
    """A child that runs read-only SQL, started when first asked. One caller at a time.

    The child ends with this object, with the parent's death, or by its own alarm while a statement
    runs.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize | None = None

    def run(self, database: str, sql: str) -> Result | str:
        """The statement's result, or in a few words why it has none: an error, a refusal or a
        limit.

        Args:
            database: path of an SQLite file, or of an .sql file that makes one.
            sql: one statement.

        Raises:
            DataError: the database can't be read or built.
        """
        if "\0" in sql or len(sql.encode("utf-8", "surrogatepass")) > self.limits.sql_bytes:
            return f"a NUL character, or over {self.limits.sql_bytes} bytes of SQL"
        line = self._ask(json.dumps([database, sql]).encode() + b"\n")
        if not line.endswith(b"\n"):
            self.close()
            return f"over {self.limits.cpu_seconds} s or {self.limits.memory_bytes >> 20} MiB"
        reply = json.loads(line)
        if "database" in reply:
            raise DataError(
                f"{database}: {reply['database']}",
                "it must be an SQLite database or a script that runs",
            )
        if "error" in reply:
            return reply["error"]
        return Result(reply["columns"], [tuple(map(_value, row)) for row in reply["rows"]])

    def close(self) -> None:
        """End the child. Safe to call twice; the next `run` starts another."""
        if self._end is not None:
            self._end()
        self._child = self._end = None

    def _ask(self, line: bytes) -> bytes:
        return ask(self._child or self._start(), line)

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        # -I and -S: the child sees neither the user's environment nor site-packages. TZ: one
        # calendar everywhere.
        command = [sys.executable, "-I", "-S", str(CHILD), json.dumps(asdict(self.limits))]
        # A session of its own: Ctrl-C belongs to the parent, which then closes the pipe.
        child = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env={"TZ": "UTC"},
            start_new_session=True,
        )
        self._child, self._end = child, weakref.finalize(self, stop, child)
        return child


def _value(value: Any) -> Any:
    return bytes.fromhex(value["blob"]) if isinstance(value, dict) else value
