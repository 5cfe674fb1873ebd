"""Whether a proposed instruction gives away rows that the optimizer was shown.

For: one reason per text, or none. Not for: what else an instruction must not be (filters.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

COPIED = 6  # words in a row that no instruction shares with a row by chance
# Words that stand between a row and its answer, and at most how many of them.
JOINING = frozenset(("is", "are", "means", "gives", "a", "an", "the", "answer", "label", "so"))
MOST_JOINING = 3
WHOLE = 3  # a row of so many words that stands in the text whole
# How the meta-prompts introduce what they list.
ECHO = re.compile(
    r"""
    (?: accuracy | score | text | input | answer | right\ answer | wrong\ answer | output )
    \s* :
    """,
    re.IGNORECASE | re.VERBOSE,
)


def leak(text: str, shown: Iterable[Mapping[str, str]], labels: Collection[str]) -> str | None:
    """Why the text can't be an instruction for other rows, or None.

    Args:
        text: the proposed instruction.
        shown: rows with `question` and `target`.
        labels: targets that an instruction may name, being those of all rows.
    """
    if ECHO.match(text):
        return "echo: it goes on with the list it was shown"
    tokens = _tokens(text)
    ngrams = _ngrams(tokens, COPIED)
    nameable = {label.strip().lower() for label in labels}
    for row in shown:
        question, target = _tokens(row["question"]), row["target"].strip().lower()
        quoted = len(question) >= WHOLE and _within(question, tokens)
        if quoted or ngrams & _ngrams(question, COPIED):
            return "copied: it quotes a row"
        # A single letter or digit, such as a choice, stands in many a text by chance.
        may_stand = target in nameable or len(target) <= 1
        if not may_stand and _within(_tokens(target) or [target], tokens):
            return "leaked: it holds a row's answer"
    return None


def gives_answer(text: str, shown: Iterable[Mapping[str, str]]) -> str | None:
    """Why the text can't be an instruction where it answers a shown row: the row, and its target
    right after it ("cat: animal", "a cat is an animal"); else None.

    This holds for labels, too. Longer rows are quotations by themselves (`leak`).
    """
    tokens = _tokens(text)
    for row in shown:
        question, target = _tokens(row["question"]), _tokens(row["target"])
        if not question or not target:
            continue
        for start in range(len(tokens) - len(question) + 1):
            end = start + len(question)
            if tokens[start:end] == question and _answered(tokens[end:], target):
                return "leaked: it answers a row"
    return None


def names_all(text: str, labels: Collection[str]) -> bool:
    """Whether a text names each of these labels, of which there are some."""
    tokens = _tokens(text)
    return bool(labels) and all(
        _within(_tokens(label) or [label.lower()], tokens) for label in labels
    )


def _answered(rest: Sequence[str], target: Sequence[str]) -> bool:
    """Whether what follows a row is its target, after a few words that join the two."""
    for joined in range(MOST_JOINING + 1):
        if list(rest[joined : joined + len(target)]) == target:
            return True
        if rest[joined : joined + 1] and rest[joined] not in JOINING:
            return False
    return False


def _tokens(text: str) -> list[str]:
    """The words of a text without case and punctuation."""
    return re.findall(r"\w+", text.lower())


def _ngrams(tokens: list[str], length: int) -> set[tuple[str, ...]]:
    """All runs of so many words."""
    return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


def _within(part: list[str], tokens: list[str]) -> bool:
    return tuple(part) in _ngrams(tokens, len(part))
