"""Stores of earlier versions: shown as they would be today, and brought up to today's schema.

For: one step from each earlier schema that is still opened. Not for: runs whose requests changed;
those say so when they are continued.

Nothing is lost on the way: see database.rebuild.
"""

from __future__ import annotations

import json
import sqlite3

from opro_local.runs.seal import COLUMNS, DERIVED, Change, Seal, row_digest, write_seal

OLDEST = 4
# Schema 4 kept what the cache gave in one meta value: {label: [completions, tokens, tokens]}.
CALLS_OF_4 = """
    SELECT id, label, role, requests, request_digest, payload_digest, seconds,
           prompt_tokens, cached_tokens, completion_tokens,
           coalesce(json_extract(known.value, '$[0]'), 0) AS known,
           coalesce(json_extract(known.value, '$[1]'), 0) AS known_prompt_tokens,
           coalesce(json_extract(known.value, '$[2]'), 0) AS known_completion_tokens,
           finished_at, payload
    FROM main.call LEFT JOIN (
        SELECT entry.key, entry.value
        FROM main.meta, json_each(main.meta.value) AS entry WHERE main.meta.key = 'from_cache'
    ) AS known ON known.key = call.label
"""
BEFORE = {"program": "a version before schema 5", "schema": 4, "settings": ""}


def show_as_now(connection: sqlite3.Connection) -> None:
    """Have an older file that is open for reading look like one of this version, but for seal and
    digests. Raises sqlite3.Error.
    """
    connection.execute("PRAGMA temp_store=MEMORY")  # nothing is written
    connection.execute(f"CREATE TEMP VIEW call AS {CALLS_OF_4}")
    connection.execute(
        "CREATE TEMP VIEW meta AS SELECT key, value FROM main.meta WHERE key <> 'from_cache' "
        f"UNION ALL SELECT 'made_by', '{json.dumps(BEFORE)}'"
    )


def fill(connection: sqlite3.Connection, version: int) -> None:
    """Copy the rows of an older file's tables, which end in its version, to this version's. Raises
    sqlite3.Error.
    """
    change = Change()
    _copy_calls(connection, version, change)
    _copy_meta(connection, version, change)
    for table in DERIVED:
        connection.execute(f"INSERT INTO {table} SELECT * FROM {table}_{version}")
        rows = connection.execute(f"SELECT {', '.join(COLUMNS[table])} FROM {table}")
        change.add(table, (row_digest(table, row) for row in rows))
    write_seal(connection, Seal().after(change))


def _copy_calls(connection: sqlite3.Connection, version: int, change: Change) -> None:
    names = (*COLUMNS["call"], "digest", "payload")
    insert = f"INSERT INTO call ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    older = CALLS_OF_4.replace("main.call", f"main.call_{version} AS call")
    for *values, payload in connection.execute(older.replace("main.meta", f"main.meta_{version}")):
        digest = row_digest("call", values)
        connection.execute(insert, (*values, digest, payload))
        change.add("call", [digest])


def _copy_meta(connection: sqlite3.Connection, version: int, change: Change) -> None:
    rows = connection.execute(f"SELECT key, value FROM meta_{version} WHERE key <> 'from_cache'")
    for key, value in [*rows, ("made_by", json.dumps(BEFORE))]:
        digest = row_digest("meta", (key, value))
        connection.execute("INSERT INTO meta VALUES (?, ?, ?)", (key, value, digest))
        change.add("meta", [digest])
