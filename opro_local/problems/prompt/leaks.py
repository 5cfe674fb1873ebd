"""Whether a proposed instruction gives away rows that the optimizer was shown.

For: one reason per text, or none. Not for: what else an instruction must not be
(problems/prompt.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

COPIED = 6  # words in a row that no instruction shares with a row by chance
WHOLE = 3  # a row of so many words that stands in the text whole
ECHO = re.compile(
    r"(?:accuracy|score|text|input|answer|right answer|wrong answer|output)\s*:", re.IGNORECASE
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
    words = _words(text)
    runs = _runs(words, COPIED)
    known = {label.strip().lower() for label in labels}
    for row in shown:
        question, target = _words(row["question"]), row["target"].strip().lower()
        if runs & _runs(question, COPIED) or (len(question) >= WHOLE and _within(question, words)):
            return "copied: it quotes a row"
        if target not in known and len(target) > 1 and _within(_words(target) or [target], words):
            return "leaked: it holds a row's answer"
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def _within(part: list[str], words: list[str]) -> bool:
    return tuple(part) in _runs(words, len(part))
