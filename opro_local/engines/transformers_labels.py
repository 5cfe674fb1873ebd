"""Label probabilities by forward passes of a transformers model, with no token generated.

For: sharing what prompts have in common: worked examples are computed once for all rows of a
solution, and a prompt once for all its labels. Not for: which tokens are looked at
(label_reads.py).

Prompts that begin alike make a group. What they share goes through the model once, as one row; its
cache is repeated for the rows, which are padded on the right: what stands after a token is not
looked at, so no mask is needed and no place moves. A model whose cache can't be repeated
(recurrent layers) goes through whole prompts.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from opro_local.engines.label_reads import LabelTree, Node

# Logits of one pass at most, in numbers: 256 MiB of float32.
MOST_LOGITS = 1 << 26
# Layers of a cache that can be repeated for several rows.
REPEATABLE = ("DynamicLayer", "DynamicSlidingWindowLayer")

Read = dict[Node, dict[int, float]]


class LabelReader:
    """Reads trees with one model.

    Args:
        model: a causal language model.
        batch_tokens: padded tokens of one pass at most.
    """

    def __init__(self, model: Any, batch_tokens: int) -> None:
        self._model = model
        self._vocabulary = model.config.get_text_config().vocab_size
        self._limit = max(1, min(batch_tokens, MOST_LOGITS // self._vocabulary))
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def read(self, trees: Sequence[LabelTree], report: Callable[[int], None]) -> list[Read]:
        """What each tree's nodes say, in order; `report` is told how many are done."""
        import torch

        done: dict[int, Read] = {}
        with torch.inference_mode():
            for places in self._groups(trees):
                group = [trees[place] for place in places]
                done.update(zip(places, self._read_group(group), strict=True))
                report(len(done))
        return [done[place] for place in range(len(trees))]

    def _groups(self, trees: Sequence[LabelTree]) -> Iterator[list[int]]:
        """Trees that go through the model together: one joins a group while that saves tokens, and
        while the group stays within the limit.
        """
        order = sorted(range(len(trees)), key=lambda place: trees[place].stem)
        group: list[int] = []
        common = width = 0
        for place in order:
            size = trees[place].length
            if group:
                shared = min(common, _alike(trees[group[-1]].stem, trees[place].stem))
                wide = max(width, size)
                apart = common + len(group) * (width - common) + size
                together = shared + (len(group) + 1) * (wide - shared)
                if together <= apart and together - shared <= self._limit:
                    group.append(place)
                    common, width = shared, wide
                    continue
                yield group
            group, common, width = [place], len(trees[place].stem), size
        if group:
            yield group

    def _read_group(self, trees: list[LabelTree]) -> list[Read]:
        # At least one token of each prompt is left, whose next one is looked at.
        shared = min(_alike(trees[0].stem, trees[-1].stem), *(len(t.stem) - 1 for t in trees))
        cache = self._extended(None, trees[0].stem[:shared])
        if cache is None:
            shared = 0
        ends = [tree.ends for tree in trees]
        if all(len(own) == 1 for own in ends):
            rows = [(*t.stem[shared:], *own[0]) for t, own in zip(trees, ends, strict=True)]
            starts = [len(tree.stem) - shared - 1 for tree in trees]
            paths = [own[0] for own in ends]
            readings = self._pass(cache, rows, starts, trees, paths)
            return readings
        return [
            self._read_one(tree, own, cache, shared) for tree, own in zip(trees, ends, strict=True)
        ]

    def _read_one(self, tree: LabelTree, ends: list[Node], cache: Any, shared: int) -> Read:
        """One tree of several branches after what its group shares."""
        last = len(tree.stem) - 1
        extended = self._extended(copy.deepcopy(cache), tree.stem[shared:last])
        if extended is None:
            last = 0
        rows = [(*tree.stem[last:], *end) for end in ends]
        starts = [len(tree.stem) - 1 - last] * len(ends)
        merged: Read = {}
        for part in self._pass(extended, rows, starts, [tree] * len(ends), ends):
            merged |= part
        return merged

    def _extended(self, cache: Any, tokens: Node) -> Any:
        """The cache after these tokens too; None where there is nothing to keep, or no way to."""
        import torch

        if not tokens:
            return cache
        ids = torch.tensor([tokens], device=self._model.device)
        more = {"logits_to_keep": 1} if self._keeps else {}
        out = self._model(ids, past_key_values=cache, use_cache=True, **more)
        kept = getattr(out, "past_key_values", None)
        layers = getattr(kept, "layers", None) or [None]
        return kept if all(type(layer).__name__ in REPEATABLE for layer in layers) else None

    def _pass(
        self,
        cache: Any,
        rows: Sequence[Node],
        starts: Sequence[int],
        trees: Sequence[LabelTree],
        paths: Sequence[Node],
    ) -> list[Read]:
        """One pass over rows that go on from the same cache.

        Args:
            cache: of what stands before all rows; None for nothing.
            rows: tokens of each, at least one.
            starts: of each row the place whose next token is the first of a label.
            trees: whose the rows are.
            paths: the end of the tree that each row goes down to.
        """
        import torch

        width = max(map(len, rows))
        padded = [[*row, *[0] * (width - len(row))] for row in rows]
        ids = torch.tensor(padded, device=self._model.device)
        if cache is not None:
            cache = copy.deepcopy(cache)
            cache.batch_repeat_interleave(len(rows))
        wanted = sorted(
            {s + k for s, p in zip(starts, paths, strict=True) for k in range(len(p) + 1)}
        )
        more: dict[str, Any] = {}
        if self._keeps:
            more["logits_to_keep"] = torch.tensor(wanted, device=ids.device)
        logits = self._model(ids, past_key_values=cache, use_cache=cache is not None, **more).logits
        column = {place: number if self._keeps else place for number, place in enumerate(wanted)}
        read: list[Read] = []
        for row, (start, tree, path) in enumerate(zip(starts, trees, paths, strict=True)):
            own: Read = {}
            for depth in range(len(path) + 1):
                next_tokens = tree.nodes[path[:depth]]
                logs = logits[row, column[start + depth]].float().log_softmax(-1)
                chosen = logs[list(next_tokens)].tolist()
                own[path[:depth]] = dict(zip(next_tokens, chosen, strict=True))
            read.append(own)
        return read


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens two sequences have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
