"""What makes damage in a store visible: a digest of every row, and one seal over all of them.

For: digests and sums. Not for: reading or writing rows (store.py), or a defence against somebody
who edits a store on purpose and computes the seal anew: that is what `verify --deep` finds out, by
working everything out again from the completions.

A table's sum is that of its rows' SHA-256 digests, modulo 2**256. It says nothing of their order
(every row holds its place itself), so that one changed row costs one subtraction and one addition,
however long the table is.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Table = Literal["meta", "call", "solution", "rejection"]
TABLES: tuple[Table, ...] = ("meta", "call", "solution", "rejection")
DERIVED: tuple[Table, ...] = ("solution", "rejection")
# The columns that a row's digest covers, in order. A call's payload has a digest of its own there.
COLUMNS: Mapping[Table, tuple[str, ...]] = {
    "meta": ("key", "value"),
    "call": (
        *("id", "label", "role", "requests", "request_digest", "payload_digest", "seconds"),
        *("prompt_tokens", "cached_tokens", "completion_tokens"),
        *("known", "known_prompt_tokens", "known_completion_tokens", "finished_at"),
    ),
    "solution": (
        *("split", "step", "position", "key", "text", "demonstrations", "score", "n", "partial"),
        *("extraction_failures", "truncated", "tokens", "similarity", "fingerprint"),
    ),
    "rejection": ("id", "step", "text", "reason"),
}
# Columns that hold something else than text: SQLite keeps to a schema only what it writes itself.
KINDS: Mapping[str, type] = {
    **dict.fromkeys(("request_digest", "payload_digest"), bytes),
    **dict.fromkeys(("seconds", "score", "similarity"), float),
    **dict.fromkeys(("id", "requests", "step", "position", "n", "partial", "tokens"), int),
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "known"), int),
    **dict.fromkeys(("known_prompt_tokens", "known_completion_tokens"), int),
    **dict.fromkeys(("extraction_failures", "truncated"), int),
}
ROW_KINDS: Mapping[Table, tuple[type, ...]] = {
    table: tuple(KINDS.get(name, str) for name in names) for table, names in COLUMNS.items()
}
# What brings a table's rows into the order in which they came.
ORDERS: Mapping[Table, str] = {
    "meta": "key",
    "call": "id",
    "solution": "split, step, position",
    "rejection": "id",
}
# What the user reads of a table.
WORDS: Mapping[Table, str] = {
    "meta": "what it says of the run",
    "call": "its list of calls",
    "solution": "its scored solutions",
    "rejection": "its rejected replies",
}
WHOLE = 1 << 256
ENCODER = json.JSONEncoder(default=lambda value: ["bytes", value.hex()])


def row_digest(table: str, values: Sequence[Any]) -> bytes:
    """SHA-256 over a row's values, their types and its table."""
    return hashlib.sha256(ENCODER.encode([table, *values]).encode("ascii")).digest()


def is_row(table: Table, values: Sequence[Any]) -> bool:
    """Whether values are of the kinds that a table's columns hold, and no count is negative."""
    if tuple(map(type, values)) != ROW_KINDS[table]:
        return False
    return all(value >= 0 for value in values if type(value) is int)


@dataclass(slots=True)
class Change:
    """What a transaction does to the sums: of each table what to add, modulo 2**256."""

    sums: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, digests: Iterable[bytes]) -> None:
        """Rows come in."""
        self.sums[table] += total(digests)

    def remove(self, table: str, digests: Iterable[bytes]) -> None:
        """Rows go."""
        self.sums[table] -= total(digests)


@dataclass(frozen=True, slots=True)
class Seal:
    """What a store holds, in a few numbers.

    Attributes:
        epoch: how many transactions made it.
        sums: of each table, in the order of the columns that keep them.
    """

    epoch: int = 0
    sums: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))

    def after(self, change: Change) -> Seal:
        """The seal of the next transaction."""
        sums = {name: (own + change.sums[name]) % WHOLE for name, own in self.sums.items()}
        return Seal(self.epoch + 1, sums)

    def row(self) -> tuple[Any, ...]:
        """The row that keeps it: 1, the epoch, the sums, the digest."""
        sums = [own.to_bytes(32, "big") for own in self.sums.values()]
        return (1, self.epoch, *sums, self.digest())

    def digest(self) -> bytes:
        """SHA-256 over all of it."""
        return row_digest("seal", [self.epoch, *(f"{own:064x}" for own in self.sums.values())])


def seal_of(row: Sequence[Any] | None, tables: Sequence[str] = TABLES) -> Seal | None:
    """The seal that a row keeps; None where it is missing or not as it was written."""
    if row is None or len(row) != len(tables) + 3:
        return None
    if not all(isinstance(value, bytes) for value in row[2:]):
        return None
    sums = [int.from_bytes(value, "big") for value in row[2:-1]]
    seal = Seal(row[1], dict(zip(tables, sums, strict=True)))
    try:
        return seal if seal.row() == tuple(row) else None
    except OverflowError:  # a sum of more bytes than it was written with
        return None


def write_seal(connection: sqlite3.Connection | sqlite3.Cursor, seal: Seal) -> None:
    """Keep a seal in its file. Raises sqlite3.Error."""
    row = seal.row()
    connection.execute(f"REPLACE INTO seal VALUES ({', '.join('?' * len(row))})", row)


def total(digests: Iterable[bytes]) -> int:
    """The sum of digests, modulo 2**256."""
    return sum(int.from_bytes(digest, "big") for digest in digests) % WHOLE
