"""Runs one SQL statement after another that a model wrote, in a process that can do nothing else.

For: the child's side of process.py. It is started as a file of its own, not imported, so that
it holds the standard library alone and starts in a few hundredths of a second. Not for: comparing
results, or reading answers.

A statement meets these walls, from the outside in:
  the kernel: no byte written to any file, limited memory, and death by a CPU or wall-clock alarm,
    for what SQLite does in one uninterruptible piece (parsing, a sort, one function call on a long
    text);
  the connection: read-only and immutable, query_only, no attached database, no extension, no
    virtual table, an authorizer, which sees into views too;
  the statement: a number of virtual machine steps, which ends it at the same place on every
    machine, then the CPU time, rows and bytes.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, TypedDict

# Steps between two looks at the limits: 20 to 50 microseconds of ordinary work.
INTERVAL = 1000
# Connections kept open; Spider has 200 databases, and rows of one database stand together.
OPEN = 8
# What opening a database, or building it from its schema.sql, may take.
BUILD_SECONDS = 60.0
# How much later than the progress handler the kernel ends a statement.
GRACE_SECONDS = 0.5


class PlainConnection(TypedDict):
    """What `sqlite3.connect` is told for every connection.

    No transactions of Python's own; and a statement kept for reuse would go on with the step count
    of its last use.
    """

    isolation_level: None
    cached_statements: int


PLAIN: PlainConnection = {"isolation_level": None, "cached_statements": 0}

# A statement that reads, behind spaces and comments.
STATEMENT = re.compile(
    r"""
    (?> \s | -- [^\n]* (?: \n | \Z ) | /\* (?> .*? \*/ ) )*+
    (?: SELECT | WITH | VALUES ) \b
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

# All that is deterministic and harmless; a name that is missing here is refused.
FUNCTION_NAMES = """
    abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws
    cos cosh count cume_dist date datetime degrees dense_rank exp first_value floor format glob
    group_concat hex if ifnull iif instr json json_array json_array_length json_extract
    json_group_array json_group_object json_insert json_object json_patch json_quote json_remove
    json_replace json_set json_type json_valid julianday lag last_value lead length like
    likelihood likely ln log log10 log2 lower ltrim max median min mod nth_value ntile nullif
    octet_length percent_rank percentile percentile_cont percentile_disc pi pow power printf
    quote radians rank replace round row_number rtrim sign sin sinh soundex sqrt strftime
    string_agg substr substring sum tan tanh time total trim trunc typeof unhex unicode
    unixepoch unlikely upper zeroblob -> ->>
"""
FUNCTIONS = frozenset(FUNCTION_NAMES.split())
# Of these, the value at this position is a time, and a missing one is now.
CLOCKS = {"date": 0, "time": 0, "datetime": 0, "julianday": 0, "unixepoch": 0, "strftime": 1}
# Times that mean now; the last two with newer versions of SQLite only.
NOW = frozenset(("now", "subsec", "subsecond"))
SCHEMA = frozenset(("sqlite_master", "sqlite_schema", "sqlite_sequence", "json_each", "json_tree"))


class Refused(Exception):
    """The statement is over a limit, or of a kind that is not run."""


class Database:
    """One read-only connection, and what the statement in work has used.

    Args:
        path: the database, or an .sql file from which it is built in memory.
        limits: as process.Limits, a dict.
    """

    def __init__(self, path: Path, limits: dict) -> None:
        self.limits = limits
        self.ticks, self.deadline = 0, 0.0
        self.connection = connection = _built(path) if path.suffix == ".sql" else _opened(path)
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        self.tables, self.virtual = _tables(connection)
        # The authorizer would refuse the table definition inside these two, which happens on first
        # use.
        for module in ("json_each", "json_tree"):
            connection.execute(f"SELECT count(*) FROM {module}('[]')")
        _timeless(connection)
        # Trusted, because views and generated columns would be refused our date functions.
        for switch in (
            "query_only = ON",
            "temp_store = MEMORY",
            "trusted_schema = ON",
            "cell_size_check = ON",
        ):
            connection.execute(f"PRAGMA {switch}")
        for limit, value in _sqlite_limits(limits).items():
            connection.setlimit(limit, value)
        connection.set_authorizer(self._allows)
        connection.set_progress_handler(self._over, INTERVAL)

    def run(self, sql: str) -> dict:
        """The result, as {"columns": count, "rows": [...]}; blobs are {"blob": hex}.

        Raises:
            Refused, sqlite3.Error, sqlite3.Warning, ValueError, MemoryError: it has none.
        """
        if not STATEMENT.match(sql):
            raise Refused("not a SELECT statement")
        self.ticks, self.deadline = 0, time.process_time() + self.limits["cpu_seconds"]
        cursor = self.connection.execute(sql)
        try:
            rows: list[list[object]] = []
            size = 0
            for row in cursor:
                size += sum(map(_size, row))
                most_rows, most_bytes = self.limits["rows"], self.limits["result_bytes"]
                if len(rows) == most_rows or size > most_bytes:
                    raise Refused(f"over {most_rows} rows or {most_bytes} bytes of result")
                rows.append([_as_json(value) for value in row])
            return {"columns": len(cursor.description), "rows": rows}
        finally:
            cursor.close()

    def _over(self) -> bool:
        self.ticks += 1
        return self.ticks * INTERVAL > self.limits["steps"] or time.process_time() > self.deadline

    def _allows(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            table = (first or "").lower()
            # A column of "" is asked about for any table of which none is read, WITH tables among
            # them.
            if table in self.tables or (not second and table not in self.virtual):
                return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY


def _size(value: object) -> int:
    return len(value) if isinstance(value, (str, bytes)) else 8


def _as_json(value: object) -> object:
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def _tables(connection: sqlite3.Connection) -> tuple[set[str], set[str]]:
    """The names that may be read, and those of virtual tables, SQLite's own included, which are
    code and not data.

    SQLite makes the virtual tables that stand in a view without asking the authorizer.
    """
    # With these words in front, SQLite writes down what a table or view is.
    plain = "sql LIKE 'CREATE TABLE %' OR sql LIKE 'CREATE VIEW %'"
    listed = connection.execute(
        f"SELECT name, {plain} FROM sqlite_master WHERE type IN ('table', 'view')"
    ).fetchall()
    readable = {name.lower() for name, is_plain in listed if is_plain}
    virtual = {name.lower() for name, is_plain in listed if not is_plain}
    virtual.update(name.lower() for (name,) in connection.execute("PRAGMA module_list"))
    return readable | SCHEMA, virtual


def _opened(path: Path) -> sqlite3.Connection:
    for rest in ("-wal", "-journal"):
        beside = Path(f"{path}{rest}")
        if beside.is_file() and beside.stat().st_size:
            raise sqlite3.DatabaseError(
                f"{beside.name} holds changes that are not in the database yet"
            )
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, **PLAIN)


def _built(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", **PLAIN)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.executescript(path.read_text("utf-8"))
    return connection


def _timeless(connection: sqlite3.Connection) -> None:
    """Replace the date functions by ones that work the same but can't read the clock."""
    plain = sqlite3.connect(":memory:")

    def register(name: str, position: int) -> None:
        def call(*values: Any) -> Any:
            if len(values) <= position or _said_time(values[position]) in NOW:
                raise Refused("reads the clock")
            marks = ", ".join("?" * len(values))
            return plain.execute(f"SELECT {name}({marks})", values).fetchone()[0]

        connection.create_function(name, -1, call, deterministic=True)

    for name, position in CLOCKS.items():
        register(name, position)


def _said_time(value: object) -> str:
    """A time as SQLite reads it: a blob as text, up to the first NUL, in any case."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.partition("\0")[0].strip().lower()


def _sqlite_limits(limits: dict) -> dict[int, int]:
    return {
        sqlite3.SQLITE_LIMIT_LENGTH: limits["value_bytes"],
        sqlite3.SQLITE_LIMIT_SQL_LENGTH: limits["sql_bytes"],
        sqlite3.SQLITE_LIMIT_COLUMN: 500,
        sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
        sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
        sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
        sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
        sqlite3.SQLITE_LIMIT_ATTACHED: 0,
        sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
        sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
        sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
        sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
    }


def _confine(limits: dict) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"],) * 2)
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    # These alarms must kill, whatever the parent did with them; a write that is not allowed must
    # only fail.
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _answer(databases: dict[str, Database], path: str, sql: str, limits: dict) -> dict:
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
        signal.setitimer(timer, BUILD_SECONDS)
    try:
        if path not in databases:
            if len(databases) >= OPEN:
                databases.pop(next(iter(databases))).connection.close()
            databases[path] = Database(Path(path), limits)
    except (sqlite3.Error, sqlite3.Warning, OSError, ValueError, MemoryError) as error:
        return {"database": _said(error)}
    signal.setitimer(signal.ITIMER_PROF, limits["cpu_seconds"] + GRACE_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, limits["seconds"])
    try:
        return databases[path].run(sql)
    except (
        Refused,
        sqlite3.Error,
        sqlite3.Warning,
        ValueError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        if str(error) == "interrupted":
            return {"error": f"over {limits['steps']} steps or {limits['cpu_seconds']} s"}
        return {"error": _said(error)}


def _said(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    if "user-defined function raised exception" in str(error):
        # The only functions of our own are those that read no clock.
        return "a date function that reads the clock, or fails"
    return str(error)[:300] or type(error).__name__


def main() -> None:
    """Answer lines of JSON, [path, sql], until there are no more; the first argument holds the
    limits.
    """
    limits = json.loads(sys.argv[1])
    _confine(limits)
    databases: dict[str, Database] = {}
    for line in sys.stdin.buffer:
        path, sql = json.loads(line)
        reply = json.dumps(_answer(databases, path, sql, limits)).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(reply + b"\n")
        sys.stdout.buffer.flush()
    # The databases need no closing, and closing a large one takes time.
    os._exit(0)


if __name__ == "__main__":
    main()
