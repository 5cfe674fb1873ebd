"""How a run and its workers write down what they say to each other.

For: messages as frames of bytes, and requests as lists that JSON can hold. Not for: the pipes, or
what is said when (worker.py, worker_process.py).

A message is a JSON list behind its length in 8 bytes, so that a reader knows where it ends. A batch
of thousands of requests has few samplings, few adapters and few chat histories: each of these goes
once into a table, and a request names its place there.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

from opro_local.types import Constraint, Prompt, Request, Sampling

LENGTH = struct.Struct("!Q")
# A worker that is busy says so this often.
HEARTBEAT_SECONDS = 1.0


def encode_frame(message: list[Any]) -> bytes:
    """A message as it goes through a pipe."""
    # ASCII escapes carry lone surrogates, which UTF-8 can't. Mappings that are no dicts (frozen
    # settings) are written as dicts.
    data = json.dumps(message, separators=(",", ":"), default=dict).encode("ascii")
    return LENGTH.pack(len(data)) + data


def take_frame(received: bytearray) -> list[Any] | None:
    """Take the first whole message off the bytes received so far; None if there is none yet."""
    if len(received) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(received)
    end = LENGTH.size + length
    if len(received) < end:
        return None
    message: list[Any] = json.loads(received[LENGTH.size : end])
    del received[:end]
    return message


def pack(requests: Sequence[Request]) -> list[Any]:
    """Requests as lists.

    Returns:
        the samplings, their constraints, each request's place among them, the prompts (see
        pack_prompts), the adapters, and each request's place among those; None where all have the
        same.
    """
    table: dict[Sampling, int] = {}
    places = [table.setdefault(request.sampling, len(table)) for request in requests]
    limits = [s.constraint and (s.constraint.kind, s.constraint.value) for s in table]
    samplings = [
        (s.max_tokens, s.temperature, s.top_p, s.seed, s.stop, s.ends_loops, s.labels)
        for s in table
    ]
    prompts = pack_prompts([request.prompt for request in requests])
    folders: dict[str, int] = {}
    adapters = [folders.setdefault(request.adapter, len(folders)) for request in requests]
    places_of_adapters = adapters if len(folders) > 1 else None
    return [samplings, limits, places, prompts, list(folders), places_of_adapters]


def unpack(packed: list[Any]) -> list[Request]:
    """What pack packed, with one object for equal samplings."""
    rows, limits, places, packed_prompts, folders, places_of_adapters = packed
    samplings = [_sampling(row, limit) for row, limit in zip(rows, limits, strict=True)]
    prompts = unpack_prompts(packed_prompts)
    adapters = places_of_adapters or [0] * len(prompts)
    return [
        Request(prompt, samplings[place], folders[adapter])
        for prompt, place, adapter in zip(prompts, places, adapters, strict=True)
    ]


def pack_prompts(prompts: Sequence[Prompt]) -> list[Any]:
    """Prompts as lists, their turns in a table: all rows of a solution have the same ones."""
    table: dict[tuple[tuple[str, str], ...], int] = {}
    rows = [
        (p.text, p.system, p.prefill, p.chat, table.setdefault(p.turns, len(table)))
        for p in prompts
    ]
    return [list(table), rows]


def unpack_prompts(packed: list[Any]) -> list[Prompt]:
    """What pack_prompts packed, with one object for equal turns."""
    table, rows = packed
    histories = [tuple((user, assistant) for user, assistant in turns) for turns in table]
    return [
        Prompt(text, system, prefill, chat, histories[place])
        for text, system, prefill, chat, place in rows
    ]


def _sampling(row: list[Any], limit: list[Any] | None) -> Sampling:
    max_tokens, temperature, top_p, seed, stop, ends_loops, labels = row
    constraint = _constraint(*limit) if limit else None
    free = (max_tokens, temperature, top_p, seed, tuple(stop))
    return Sampling(*free, constraint, ends_loops, tuple(labels))


def _constraint(kind: Any, value: str | list[str]) -> Constraint:
    # JSON knows no tuples: a choice's texts arrive as a list.
    return Constraint(kind, tuple(value) if isinstance(value, list) else value)
