"""Label probabilities as vLLM is asked for them.

For: one request a node of a tree, and its answers as completions. Not for: which tokens are looked
at (label_reads.py), or the call itself (vllm.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opro_local.engines.label_reads import LabelTree, Node
from opro_local.errors import EngineError
from opro_local.protocols import Progress
from opro_local.types import Completion

MOST_TOKENS = 128  # that one request may name, by vLLM's SamplingParams


@dataclass(frozen=True, slots=True)
class NodeRead:
    """One request: the tokens before the node, and those whose log-probability is wanted there.

    `tree` is the place of the tree among those asked.
    """

    tree: int
    node: Node
    ids: list[int]
    tokens: tuple[int, ...]


def node_reads(trees: Sequence[LabelTree]) -> list[NodeRead]:
    """The requests of trees, those with a common beginning next to each other."""
    reads = [read for place, tree in enumerate(trees) for read in _reads_of(place, tree)]
    return sorted(reads, key=lambda read: read.ids)


def _reads_of(place: int, tree: LabelTree) -> Iterator[NodeRead]:
    for node, tokens in tree.nodes.items():
        ids = [*tree.stem, *node]
        for first in range(0, len(tokens), MOST_TOKENS):
            yield NodeRead(place, node, ids, tokens[first : first + MOST_TOKENS])


def label_params(tokens: Sequence[int]) -> Any:
    """How a node is asked for. Raises EngineError: this vLLM is too old."""
    from vllm import SamplingParams

    if not hasattr(SamplingParams, "logprob_token_ids") and "logprob_token_ids" not in getattr(
        SamplingParams, "__struct_fields__", ()
    ):
        raise EngineError(
            "this vLLM can't read the probabilities of labels",
            "install a newer one, or use the transformers engine",
        )
    return SamplingParams(
        max_tokens=1, temperature=0.0, logprob_token_ids=list(tokens), detokenize=False
    )


def in_requests(
    progress: Progress | None, before: int, requests: int, reads: int
) -> Progress | None:
    """What is told of finished reads, in requests; the tokens that vLLM counts are thrown away.

    Args:
        progress: what is told, if anything.
        before: requests that were finished before.
        requests, reads: how many reads so many requests need.
    """
    if progress is None:
        return None
    tell = progress
    return lambda finished, tokens: tell(before + finished * requests // reads, 0)


def completed(
    trees: Sequence[LabelTree], reads: Sequence[NodeRead], outputs: Sequence[Any]
) -> list[Completion]:
    """The completion of each tree, in order."""
    readings: list[dict[Node, dict[int, float]]] = [{} for _ in trees]
    cached = [0] * len(trees)
    for read, output in zip(reads, outputs, strict=True):
        logs: Mapping[int, Any] = output.outputs[0].logprobs[0]
        own = readings[read.tree].setdefault(read.node, {})
        own.update({token: logs[token].logprob for token in read.tokens})
        if not read.node:
            cached[read.tree] = output.num_cached_tokens or 0
    return [
        tree.completion(own, count)
        for tree, own, count in zip(trees, readings, cached, strict=True)
    ]
