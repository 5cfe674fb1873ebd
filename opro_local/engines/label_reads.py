"""How probable each of a few labels is as a reply: the tokens to look at, and what they come to.

For: labels after a prompt as a tree of tokens, so that what labels share is looked at once. Not
for: running a model (transformers_labels.py, vllm.py), or what the figures are used for.

A label's probability is that of all its tokens, one after another, with nothing generated. Where a
label is the beginning of another one ("1" and "12", "not" and "not sure"), a reply that goes on to
the longer one is no reply of the shorter: its probability is taken off. So no two labels can both
be the reply, whatever their lengths, and no mark of an end is needed, which models place
differently.

The first token is the one that the reply would begin with: nothing stands between a chat template
and the label; after a prefill, and after a text that the model continues ("A:"), a space does,
unless they end with one. The label is tokenized together with the prompt, so that a token may
reach over the border.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opro_local.engines.tokenizer import PromptTokenizer, plain_text
from opro_local.errors import UsageError
from opro_local.records import log_probability_text
from opro_local.types import Completion, Prompt, Request

Node = tuple[int, ...]  # tokens after the stem
# For each inner node of a tree, the log-probability of each token that may come next.
Readings = Mapping[Node, Mapping[int, float]]

# The least that is left to a label after the longer ones that begin with it: a log needs some.
LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class LabelTree:
    """The labels of one request as tokens.

    Attributes:
        stem: the tokens of the prompt, or those before the border where a token reaches over it.
        labels: the labels.
        paths: of each label the tokens after the stem.
        nodes: where a next token has to be looked at, in order, each with the tokens that may come.
    """

    stem: Node
    labels: tuple[str, ...]
    paths: tuple[Node, ...]
    nodes: Mapping[Node, tuple[int, ...]]

    @property
    def length(self) -> int:
        """Tokens of the prompt and the longest label."""
        return len(self.stem) + max(map(len, self.paths))

    @property
    def ends(self) -> list[Node]:
        """The nodes that no other one goes on from: one pass over each looks at all of them."""
        inner = {node[:place] for node in self.nodes for place in range(len(node))}
        return [node for node in self.nodes if node not in inner]

    def completion(self, readings: Readings, cached: int = 0) -> Completion:
        """What was read, as a completion; `cached` of the prompt's tokens were not computed."""
        pairs = zip(self.labels, self.paths, strict=True)
        scores = {label: self._score(path, readings) for label, path in pairs}
        return Completion(log_probability_text(scores), "stop", len(self.stem), cached, 0)

    def _score(self, path: Node, readings: Readings) -> float:
        score = sum(readings[path[:place]][token] for place, token in enumerate(path))
        if path in self.nodes:
            longer = sum(math.exp(readings[path][token]) for token in self.nodes[path])
            score += math.log(max(1 - longer, LEAST))
        return min(score, 0.0)


def label_trees(prompts: PromptTokenizer, requests: Sequence[Request]) -> list[LabelTree]:
    """The tree of each request; all of them have labels.

    Raises:
        UsageError: labels that are no set of at least two.
    """
    for labels in {request.sampling.labels for request in requests}:
        _check(labels)
    has_template = prompts.tokenizer.chat_template is not None
    asked: list[Prompt] = []
    for request in requests:
        gap = _gap(request.prompt, has_template)
        asked.append(request.prompt)
        asked += [_continued(request.prompt, gap + label) for label in request.sampling.labels]
    ids = iter(prompts.encode(asked))
    trees = []
    for request in requests:
        bare = next(ids)
        trees.append(
            _tree(bare, request.sampling.labels, [next(ids) for _ in request.sampling.labels])
        )
    return trees


def too_long(places: Sequence[int], trees: Sequence[LabelTree], room: int) -> dict[int, Completion]:
    """Completions of the trees that don't fit a context of so many tokens, by their place."""
    return {
        place: Completion("", "too_long", len(tree.stem), 0, 0)
        for place, tree in zip(places, trees, strict=True)
        if tree.length >= room
    }


def _check(labels: Sequence[str]) -> None:
    """Refuse what can't be told apart. Raises UsageError."""
    if len(set(labels)) < max(2, len(labels)) or not all(label.strip() for label in labels):
        raise UsageError(
            f"labels {labels!r:.80} can't be told apart by their probabilities",
            "give at least two, all different and none empty",
        )


def _continued(prompt: Prompt, start: str) -> Prompt:
    """The prompt with the reply begun so."""
    return replace(prompt, prefill=prompt.prefill + start)


def _gap(prompt: Prompt, has_template: bool) -> str:
    """What stands between a prompt and the reply's first word."""
    before = prompt.prefill
    if not (prompt.chat and has_template):
        before = plain_text(prompt)
    return " " if before and not before[-1].isspace() else ""


def _tree(bare: list[int], labels: tuple[str, ...], ids: list[list[int]]) -> LabelTree:
    common = _common([bare, *ids])
    if any(len(own) == common for own in ids):
        # A label of no token of its own: the last common one is looked at too.
        common -= 1
    # An empty prompt is a token that no label stands after; see PromptTokenizer.
    stem = bare[:common] if common > 0 else bare
    paths = tuple(tuple(own[max(common, 0) :]) for own in ids)
    children: dict[Node, set[int]] = {}
    for path in paths:
        for place, token in enumerate(path):
            children.setdefault(path[:place], set()).add(token)
    nodes = {node: tuple(sorted(children[node])) for node in sorted(children)}
    return LabelTree(tuple(stem), labels, paths, nodes)


def _common(sequences: Sequence[list[int]]) -> int:
    """How many first tokens all have in common."""
    low, high = min(sequences), max(sequences)
    pairs = enumerate(zip(low, high, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(low), len(high)))


def first_tokens(
    file: Path, prompt: Prompt, labels: Sequence[str], has_template: bool
) -> tuple[dict[str, int], bool] | None:
    """The token that each label begins with after a prompt, and whether each is one token; None
    where two begin alike, or nobody knows.

    Args:
        file: the model's tokenizer.json.
        prompt: whose end the labels stand after.
        labels: the closed set.
        has_template: whether chats go through a chat template.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(file))
    is_chat = prompt.chat and has_template
    # A reply to a chat begins on a line of its own, or right after a special token.
    before = prompt.prefill if is_chat else plain_text(prompt)
    bare = tokenizer.encode(before or "\n", add_special_tokens=False).ids
    starts: dict[str, int] = {}
    lengths = []
    for label in labels:
        text = (before or "\n") + _gap(prompt, has_template) + label
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if ids[: len(bare)] != bare or len(ids) == len(bare):
            return None
        starts[label] = ids[len(bare)]
        lengths.append(len(ids) - len(bare))
    differ = len(set(starts.values())) == len(labels)
    return (starts, max(lengths) == 1) if differ else None
