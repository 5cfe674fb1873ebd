"""One normal form for what a target and an answer say in different type.

For: case and whitespace, quotes, dashes and full-width signs, composed accents, marks that no
reader sees, and what is written around a text (quotes, Markdown, one final period). Not for: what
an answer says (its neighbours in this folder), or words that mean the same.
"""

from __future__ import annotations

import re
import unicodedata

# What stands for what: each sign on the left of a pair for the text on its right.
_SIGNS = (
    ("‘’‚‛ʼ＇", "'"),
    ("“”„‟«»「」『』《》〈〉＂", '"'),
    ("‐‑‒–−﹣⁃", "-"),
    ("—―", "--"),
    ("…", "..."),
    ("。．।॥", "."),
    ("、،", ","),
    ("؛", ";"),
    ("؟", "?"),
    ("ı", "i"),
)
# Marks without a look of their own: soft hyphens, joiners, directions, the choice of an emoji's
# look; and vowel signs that Arabic and Hebrew may leave out.
_UNSEEN = (
    *(0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xFE0E, 0xFE0F, 0x640),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0x64B, 0x653),
    *range(0x591, 0x5BE),
)
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {**_FULL_WIDTH, ord("İ"): "I"}
    for signs, text in _SIGNS:
        table.update(dict.fromkeys(map(ord, signs), text))
    table.update(dict.fromkeys(_UNSEEN))
    return table


TABLE = _table()

# What may be written around a whole text: (before, after).
AROUND = (
    ("```", "```"),
    ("***", "***"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("_", "_"),
    ("`", "`"),
    ('"', '"'),
    ("'", "'"),
    ("$$", "$$"),
    ("$", "$"),
)
# What Markdown writes before a line of words. "- 5" and "> )" may say something and stay.
LINE_START = re.compile(
    r"""
    (?: \#{1,6} | [-*+>•] ) \s{1,9}
    (?= [^\W\d_] | [*_"'`] )
    """,
    re.VERBOSE,
)
# The name of a language after the opening of a fence.
FENCE_LANGUAGE = re.compile(r"\w{1,12}\n")
MOST_LAYERS = 8


def folded(text: str) -> str:
    """The text in folded case, with every run of whitespace as one space and none around it."""
    return " ".join(text.casefold().split())


def typed(text: str) -> str:
    """The text with plain quotes, dashes and signs, accents composed, and nothing unseen."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.translate(TABLE))


def bare(text: str) -> str:
    """`folded` and `typed`, without what encloses the whole text: quotes, Markdown marks, one
    final period.

    A text that is nothing else keeps it: "." is ".".
    """
    text = typed(text).strip()
    # Layers come off one at a time: in **"Paris".** a period is between them.
    period = False
    for _ in range(MOST_LAYERS):
        inner = _unwrapped(text)
        if not period and inner.endswith(".") and not inner.endswith(".."):
            inner, period = inner[:-1].rstrip(), True
        if inner == text or not inner:
            break
        text = inner
    return folded(text)


def _unwrapped(text: str) -> str:
    """The text without one layer around it."""
    if start := LINE_START.match(text):
        return text[start.end() :]
    for before, after in AROUND:
        inner = text[len(before) : len(text) - len(after)]
        if not (text.startswith(before) and text.endswith(after) and inner.strip()):
            continue
        if before == "```":
            language = FENCE_LANGUAGE.match(inner)
            inner = inner[language.end() :] if language else inner
        # Signs within are others' ends: "a" and "b".
        return text if before.strip("*") and before in inner else _starless(text, inner)
    return text


def _starless(text: str, inner: str) -> str:
    """What is within stars, unless stars within end there: *a* and *b*."""
    return text if "*" in inner.strip("*") and text[0] == "*" else inner.strip()
