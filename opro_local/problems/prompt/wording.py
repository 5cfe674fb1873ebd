"""The instruction in what an optimizer wrote: without the dress that replies come in.

For: the rules of docs/search.md ("What is taken off a reply"), each of which takes something off
that is no part of an instruction. Not for: what an instruction must not be (filters.py, leaks.py),
or where in a reply the text stands (metaprompt.py).
"""

from __future__ import annotations

import re

# Escape sequences of terminals, and characters that are no text: controls but tab and line end,
# what has no width or turns the writing direction, and halves of a character.
UNPRINTABLE = re.compile(
    r"""
      \x1b \[ [0-?]* [ -/]* [@-~]                    # colours and cursor movements
    | \x1b \] [^\x07\x1b]* (?: \x07 | \x1b\\ )       # titles and links
    | \x1b .?
    | [\x00-\x08\x0b-\x1f\x7f-\x9f]
    | [\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffe\uffff]
    | [\ud800-\udfff]
    """,
    re.VERBOSE | re.DOTALL,
)
# A text in a fence, alone or after a line that announces it.
FENCED = re.compile(
    r"""
    (?: [^\n]* : \s*? \n )? \s*
    (?P<fence> `{3,} | ~{3,} ) [\w+-]* [ \t]* \n
    (?P<text> (?: (?! ^ [ \t]* (?P=fence) ) . )* )
    ^ [ \t]* (?P=fence) \s*
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
# What a reply calls its text: "INSTRUCTION:", "**New prompt**:", "Here is the better instruction:".
CALLED = re.compile(
    r"""
    [\s#>*_]*
    (?: (?: sure | certainly | of\ course | okay | ok ) [,!.:]? \s+ )?
    (?: here (?: \s+ is | 's | ’s ) \s+ )?
    (?: (?: an? | the | my | your | this ) \s+ )?
    (?: (?: new | improved | better | best | revised | final | rewritten | updated | refined
          | optimi[sz]ed | proposed | alternative | possible | system ) \s+ ){0,3}
    (?: instruction | prompt ) (?: \s* \# ? \s* \d{1,2} )?
    (?: \s+ text )? [*_]* \s* (?: : | \s -- \s | \s [–—] \s ) [*_]* \s*
    """,
    re.IGNORECASE | re.VERBOSE,
)
# The mark of a list's item.
ITEM = re.compile(r"[ \t]* (?: (?: \d{1,2} [.)] | \( \d{1,2} \) | [-*•] ) [ \t]+ )", re.VERBOSE)
# A line that announces several proposals.
SEVERAL = re.compile(
    r"""
    [^\n]* \b (?: instructions | prompts | options | versions | variations | alternatives
                | suggestions | ideas | ways ) \b [^\n]* : [*_]* \s* \n
    """,
    re.IGNORECASE | re.VERBOSE,
)
PAIRS = (('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("‘", "’"), ("'", "'"), ("`", "`"))
MOST_LAYERS = 8  # of dress, one in another


def printable(text: str) -> str:
    """A text without escape sequences, NUL and other characters that are no text."""
    return UNPRINTABLE.sub("", text)


def undressed(text: str) -> str:
    """The instruction in a proposed text: without fence, name, quotation marks or item number
    around all of it.

    "" where nothing is left; a text that announces several is left as it is (see `is_several`).
    """
    text = printable(text).replace("**", "").strip()
    for _ in range(MOST_LAYERS):
        before = text
        text = _unquoted(_unlisted(_uncalled(_unfenced(text)))).strip()
        if text == before:
            break
    return text


def is_several(text: str) -> bool:
    """Whether a text is a list of several proposals, where one was asked for."""
    announced = SEVERAL.match(text)
    if not announced:
        return False
    return sum(bool(ITEM.match(line)) for line in text[announced.end() :].splitlines()) > 1


def words_of(text: str) -> list[str]:
    """The words of a text without case and marks, to compare texts by."""
    return re.findall(r"\w+", text.lower())


def _unfenced(text: str) -> str:
    whole = FENCED.fullmatch(text)
    return whole["text"] if whole else text


def _uncalled(text: str) -> str:
    name = CALLED.match(text)
    return text[name.end() :] if name else text


def _unlisted(text: str) -> str:
    """The text of a list with one item; a list of steps stays."""
    item = ITEM.match(text)
    if not item or any(ITEM.match(line) for line in text.splitlines()[1:]):
        return text
    return text[item.end() :]


def _unquoted(text: str) -> str:
    """The text without a pair of quotation marks around all of it, or a mark without its partner at
    one end.
    """
    for opening, closing in PAIRS:
        starts, ends = text.startswith(opening), text.endswith(closing) and len(text) > 1
        inside = text[len(opening) : -len(closing)]
        if starts and ends and _is_closed(inside, opening, closing):
            return inside
        if opening == "'" or closing == "’":
            continue  # an apostrophe has no partner
        marks = text.count(opening) + (text.count(closing) if closing != opening else 0)
        if marks == 1 and starts:
            return text[len(opening) :]
        if marks == 1 and ends:
            return text[: -len(closing)]
    return text


def _is_closed(inside: str, opening: str, closing: str) -> bool:
    """Whether every mark within has its partner there, so that the outer two belong together."""
    if opening == closing:
        # '"yes" or "no"' begins and ends with marks that are no pair.
        first = inside.find(opening)
        return first < 0 or (inside.count(opening) % 2 == 0 and _opens(inside, first))
    depth = 0
    for character in inside:
        depth += (character == opening) - (character == closing)
        if depth < 0:
            return False
    return depth == 0


def _opens(text: str, place: int) -> bool:
    """Whether a mark stands before a word and not behind one."""
    before = text[place - 1 : place]
    return not before or not (before.isalnum() or before in ".,;:!?")
