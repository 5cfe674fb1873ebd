"""How most problems ask the optimizer: everything in one batch.

For: `Problem.ask_optimizer` where a problem needs nothing else. Not for: the problems themselves.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from opro_local.types import Batch, BatchResult, Completion, Prompt, Request, Sampling


def ask_once(
    label: str, prompt: Prompt, samplings: Sequence[Sampling]
) -> Generator[Batch, BatchResult, Sequence[Completion]]:
    """One Batch to the optimizer, the same prompt once per sampling (see Problem.ask_optimizer)."""
    return (yield from ask(label, [Request(prompt, sampling) for sampling in samplings]))


def ask(
    label: str, requests: Sequence[Request]
) -> Generator[Batch, BatchResult, Sequence[Completion]]:
    """One Batch to the optimizer."""
    reply = yield Batch(label, "optimizer", requests)
    return reply.completions
