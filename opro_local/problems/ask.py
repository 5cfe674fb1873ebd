"""What can be optimized: one module per problem, each with the protocol `types.Problem`.

For: the way most problems ask the optimizer. Not for: the problems themselves.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from opro_local.types import Batch, Completion, Prompt, Reply, Request, Sampling


def ask_once(
    label: str, prompt: Prompt, samplings: Sequence[Sampling]
) -> Generator[Batch, Reply, Sequence[Completion]]:
    """One Batch to the optimizer, the same prompt once per sampling (see types.Problem.ask)."""
    return (yield from ask(label, [Request(prompt, sampling) for sampling in samplings]))


def ask(label: str, requests: Sequence[Request]) -> Generator[Batch, Reply, Sequence[Completion]]:
    """One Batch to the optimizer."""
    reply = yield Batch(label, "optimizer", requests)
    return reply.completions
