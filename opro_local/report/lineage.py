"""The chosen solution and what it was made from, with what changed from one to the next.

For: the line of parents where proposals have them. Where the optimizer was shown many solutions at
once, as in the mode opro, nobody knows which one it followed, and there is no line. Not for: how
proposals are made (search/).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from opro_local.search.trajectory import Entry, Trajectory

LONGEST = 6_000  # characters of two texts that are compared word by word
MOST = 60  # generations
MOST_SIBLINGS = 12  # of a generation, the best
WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that both have, or one of them only."""

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True, slots=True)
class Sibling:
    """A solution that was made from the same one: step, how, train score and text."""

    step: int
    operator: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A solution in the line of the chosen one.

    Attributes:
        step: where it was first scored.
        operator: how it was made; "" of one that the search began with.
        value: its train score.
        demonstrations: how many worked examples it shows.
        pieces: its text against its parent's; one piece where it has no parent.
        siblings: the best of the other scored solutions with the same parent.
        others: how many such there are in all.
    """

    step: int
    operator: str
    value: float
    demonstrations: int
    pieces: tuple[Piece, ...]
    siblings: tuple[Sibling, ...]
    others: int


def lineage(trajectory: Trajectory, key: str) -> tuple[Ancestor, ...]:
    """The line of a solution, the oldest first; empty where proposals have no parents."""
    made = {one.key: one for one in reversed(trajectory.proposals) if one.key}
    entries = {entry.solution.key: entry for entry in trajectory.distinct}
    # By the parent's key, each with its own.
    children: dict[str, list[tuple[str, Sibling]]] = {}
    for own, one in made.items():
        if own is not None and one.parent is not None and own in entries:
            value, text = trajectory.estimate(entries[own]), entries[own].solution.text
            child = Sibling(one.step, one.operator, value, text)
            children.setdefault(one.parent.solution.key, []).append((own, child))
    if not children or key not in entries:
        return ()
    line: list[Ancestor] = []
    while key in entries and len(line) < MOST:
        proposal, entry = made.get(key), entries[key]
        before = proposal.parent if proposal else None
        born = children.get(before.solution.key, []) if before else []
        siblings = [child for own, child in born if own != key]
        siblings.sort(key=lambda one: (-one.value, one.step, one.text))
        line.append(
            Ancestor(
                step=proposal.step if proposal else entry.step,
                operator=proposal.operator if proposal else "",
                value=trajectory.estimate(entry),
                demonstrations=len(entry.solution.demonstrations),
                pieces=_pieces(before, entry),
                siblings=tuple(siblings[:MOST_SIBLINGS]),
                others=len(siblings),
            )
        )
        key = before.solution.key if before else ""
    return tuple(reversed(line))


def _pieces(before: Entry | None, after: Entry) -> tuple[Piece, ...]:
    return word_diff("" if before is None else before.solution.text, after.solution.text)


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """What changed between two texts, word by word; all of the second where there is no first, or
    where they are too long to be compared.
    """
    if not before or len(before) + len(after) > LONGEST:
        return (Piece("same", after),)
    first, second = WORD.findall(before), WORD.findall(after)
    pieces: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            _add(pieces, "same", second[c:d])
            continue
        _add(pieces, "gone", first[a:b])
        _add(pieces, "new", second[c:d])
    return tuple(pieces)


def _add(pieces: list[Piece], kind: Literal["same", "gone", "new"], words: Sequence[str]) -> None:
    if words:
        pieces.append(Piece(kind, "".join(words)))
