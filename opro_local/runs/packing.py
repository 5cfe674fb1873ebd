"""Completions as the bytes in which a store keeps them, and the JSON of its other values.

For: packing and unpacking, within bounds: a store may have been made by anybody. Not for: their
digests, or where they are kept (store.py).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from opro_local.records import require_json
from opro_local.types import Completion, FinishReason

# The most that one call's completions may unpack to: zlib makes a thousand bytes of one.
MOST_BYTES = 1 << 30

# What the values of a run are in JSON, where they are not null.
SHAPES: Mapping[str, type] = {
    **dict.fromkeys(("config", "identity", "made_by", "prompt", "result"), dict),
    **dict.fromkeys(("engine", "placement"), dict),
    **dict.fromkeys(("state", "error"), str),
    "shares": bool,
}

FINISH: tuple[FinishReason, ...] = ("stop", "length", "too_long", "failed")


def pack(completions: Sequence[Completion]) -> bytes:
    """The completions, by column and compressed."""
    columns = [
        [c.text for c in completions],
        [FINISH.index(c.finish_reason) for c in completions],
        [c.prompt_tokens for c in completions],
        [c.cached_tokens for c in completions],
        [c.completion_tokens for c in completions],
    ]
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode("ascii"), 1)


def decode(text: str | bytes) -> Any:
    """A JSON value of a store. Raises ValueError where it is none, or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def meta_value(key: str, text: str) -> Any:
    """A value of a run. Raises ValueError where it is another one than there may be under a key."""
    value = decode(text)
    if not isinstance(value, SHAPES.get(key, object) | None):
        raise ValueError(f"{key} is something else")
    require_json(value, key)
    return value


def ids_of(text: str) -> list[str]:
    """The ids of worked examples. Raises ValueError where it is something else."""
    ids = decode(text)
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise ValueError("no list of ids")
    return ids


def is_payload(payload: Any, digest: Any) -> bool:
    """Whether a call's payload is the one that was written."""
    return isinstance(payload, bytes) and hashlib.sha256(payload).digest() == digest


def _inflated(payload: bytes) -> bytes:
    inflating = zlib.decompressobj()
    whole = inflating.decompress(payload, MOST_BYTES)
    if not inflating.eof or inflating.unconsumed_tail:
        raise ValueError(f"cut, or more than {MOST_BYTES} bytes")
    return whole


def unpack(payload: bytes) -> list[Completion]:
    """What `pack` packed. Raises ValueError where it is something else, with a digest that fits."""
    try:
        texts, finishes, *counts = decode(_inflated(payload))
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a completion is no text")
        return [
            Completion(text, FINISH[finish], *tokens)
            for text, finish, *tokens in zip(texts, finishes, *counts, strict=True)
        ]
    except (TypeError, IndexError, zlib.error) as error:
        raise ValueError(str(error)) from None
