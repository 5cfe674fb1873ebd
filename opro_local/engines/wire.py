"""Requests as lists that JSON can hold, for the way between a run and its workers.

For: writing them down once where many are alike, and reading them again. Not for: the pipe
(worker.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.types import Constraint, Prompt, Request, Sampling


def pack(requests: Sequence[Request]) -> list:
    """Requests as lists. Samplings go in a table: a batch has few, and they would be half of the
    bytes.
    """
    table: dict[Sampling, int] = {}
    places = [table.setdefault(request.sampling, len(table)) for request in requests]
    limits = [s.constraint and (s.constraint.kind, s.constraint.value) for s in table]
    samplings = [(s.max_tokens, s.temperature, s.top_p, s.seed, s.stop) for s in table]
    prompts = pack_prompts([request.prompt for request in requests])
    worn: dict[str, int] = {}
    adapters = [worn.setdefault(request.adapter, len(worn)) for request in requests]
    return [samplings, limits, places, prompts, list(worn), adapters if len(worn) > 1 else None]


def unpack(packed: list) -> list[Request]:
    limits = [limit and _constraint(*limit) for limit in packed[1]]
    samplings = [
        Sampling(*row[:4], tuple(row[4]), limit)
        for row, limit in zip(packed[0], limits, strict=True)
    ]
    places, prompts, worn = packed[2], unpack_prompts(packed[3]), packed[4]
    adapters = packed[5] or [0] * len(prompts)
    return [
        Request(prompt, samplings[place], worn[adapter])
        for prompt, place, adapter in zip(prompts, places, adapters, strict=True)
    ]


def pack_prompts(prompts: Sequence[Prompt]) -> list:
    """Prompts as lists, their turns in a table: all rows of a solution have the same ones."""
    table: dict[tuple, int] = {}
    rows = [
        (p.text, p.system, p.prefill, p.chat, table.setdefault(p.turns, len(table)))
        for p in prompts
    ]
    return [list(table), rows]


def unpack_prompts(packed: list) -> list[Prompt]:
    """What pack_prompts packed, with one object for equal turns."""
    chats = [tuple((user, assistant) for user, assistant in turns) for turns in packed[0]]
    return [Prompt(*row[:4], chats[row[4]]) for row in packed[1]]


def _constraint(kind: str, value: str | list[str]) -> Constraint:
    return Constraint(kind, tuple(value) if isinstance(value, list) else value)
