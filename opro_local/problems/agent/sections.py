"""The sections of a Markdown file, and the file again with one of them rewritten.

For: edits that leave every other byte as it was, whatever the line endings, front matter, fences or
missing newlines.
Not for: what should be written.

A section is a heading and what stands under it up to the next heading of any level; what stands
before the first heading is a section too. Front matter belongs to none. markdown-it says where
headings are (CommonMark), so that a "#" in a code fence, an HTML block or a list is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# Not str.splitlines, which also ends a line at form feeds and other characters that are text here.
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")
FRONT_MATTER = re.compile(
    r"""
    \A \ufeff? --- [ \t]* (?:\r\n|\n|\r)
    (?: .*? (?:\r\n|\n|\r) )??                   # none, or as few lines as there are
    (?: --- | \.\.\. ) [ \t]* (?:\r\n|\n|\r|\Z)
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class MarkdownSection:
    """One section of a file.

    Attributes:
        title: the heading's text, "" for what stands before the first heading.
        level: 1 to 6, 0 for what stands before the first heading.
        start, end: where its body lies in the file's text, the whitespace around it left out.
    """

    title: str
    level: int
    start: int
    end: int


def sections(text: str) -> list[MarkdownSection]:
    """The sections in order. Those without a body have start == end."""
    front = FRONT_MATTER.match(text)
    first = front.end() if front else len(text) - len(text.removeprefix("\ufeff"))
    starts = [first]  # where each line begins, and at last where the text ends
    for line in LINE.findall(text[first:]):
        starts.append(starts[-1] + len(line))
    headings = _headings(text[first:])
    # A section ends where the next heading begins, the last one with the text.
    ends = [*(starts[line] for _, _, line, _ in headings), len(text)]
    listed = [_section(text, "", 0, first, ends[0])]
    for (title, level, _, below), end in zip(headings, ends[1:], strict=True):
        listed.append(_section(text, title, level, starts[below], end))
    before_headings = listed[0]
    return listed if before_headings.start < before_headings.end else listed[1:]


def rewrite(text: str, number: int, body: str) -> str | None:
    """The text with another body for one section, or None when that would change the file's other
    sections.

    The body takes the file's line endings and the whitespace that stood around the old one.
    """
    before = sections(text)
    chosen = before[number]
    body = with_endings(body.strip(), text)
    changed = text[: chosen.start] + body + text[chosen.end :]
    return changed if body and _others(changed, number) == _others(text, number) else None


def with_endings(text: str, file: str) -> str:
    """The text with the line endings of a file; a file with any CRLF has those."""
    ending = "\r\n" if "\r\n" in file else "\n"
    return ending.join(re.split(r"\r\n|\n|\r", text))


def _others(text: str, number: int) -> list[tuple[str, int, str]]:
    """All sections, the chosen one without its body."""
    others = []
    for place, section in enumerate(sections(text)):
        body = "" if place == number else text[section.start : section.end]
        others.append((section.title, section.level, body))
    return others


def _section(text: str, title: str, level: int, start: int, end: int) -> MarkdownSection:
    """The section whose body, without the whitespace around it, lies between two places."""
    body = text[start:end]
    first = start + len(body) - len(body.lstrip())
    return MarkdownSection(title, level, first, first + len(body.strip()))


def _headings(text: str) -> list[tuple[str, int, int, int]]:
    """Title, level, first line and the line after, of each heading that is in no quote or list."""
    tokens = _parser().parse(text)
    return [
        (tokens[index + 1].content, int(token.tag[1]), token.map[0], token.map[1])
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]


@lru_cache(maxsize=1)
def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")
