"""Completions as the bytes in which a store keeps them.

For: packing and unpacking. Not for: their digests, or where they are kept (store.py).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from opro_local.types import Completion, FinishReason

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


def unpack(payload: bytes) -> list[Completion]:
    """What `pack` packed. Raises ValueError where it is something else, with a digest that fits."""
    try:
        texts, finishes, *counts = json.loads(zlib.decompress(payload))
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a completion is no text")
        return [
            Completion(text, FINISH[finish], *tokens)
            for text, finish, *tokens in zip(texts, finishes, *counts, strict=True)
        ]
    except (TypeError, IndexError, zlib.error) as error:
        raise ValueError(str(error)) from None
