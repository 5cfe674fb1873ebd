"""Whether a proposed instruction gives away rows that the optimizer was shown.

For: one reason per text, or none. Not for: what else an instruction must not be (filters.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

COPIED = 6  # words in a row that no instruction shares with a row by chance
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


def _tokens(text: str) -> list[str]:
    """The words of a text without case and punctuation."""
    return re.findall(r"\w+", text.lower())


def _ngrams(tokens: list[str], length: int) -> set[tuple[str, ...]]:
    """All runs of so many words."""
    return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


def _within(part: list[str], tokens: list[str]) -> bool:
    return tuple(part) in _ngrams(tokens, len(part))
