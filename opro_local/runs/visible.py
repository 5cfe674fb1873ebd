"""Text of others for people: what would move a terminal's cursor, change its title, or turn the
order of what is read is shown as an escape.

For: prompts, replies and messages shown to people. Not for: JSON, files, or text that a script
asked for, which stay as they are.
"""

from __future__ import annotations

import unicodedata


def visible(text: str, kept: str = "\n\t") -> str:
    """The text with everything that does not print written as Python writes it: `\\x1b`, `\\u202e`.

    Control characters, terminal sequences by that, marks of direction, other invisible characters
    and lone surrogates are escaped; spaces of any width stay.

    Args:
        text: anything.
        kept: what stays although it does not print.
    """
    if text.isprintable():
        return text
    return "".join(one if _is_shown(one) or one in kept else repr(one)[1:-1] for one in text)


def _is_shown(one: str) -> bool:
    """Whether a character prints, or is a space of some width."""
    return one.isprintable() or unicodedata.category(one) == "Zs"
