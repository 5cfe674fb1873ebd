"""How a conversation is put to a chat template, so that all of it comes through.

For: the ways there are, and which of them a template lets everything through. Not for: rendering,
or tokens (tokenizer.py).

Templates refuse or drop what they were not written for: a system message, earlier turns, or content
that is a text where they expect a list of parts. Each way is tried with marked texts, once per kind
of conversation, and the first one serves that brings every mark through, in order.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Stands for a text; no template has it. Every letter is in it, in both cases, so that a template
# that changes letters lets no mark through.
MARK = "OPROaBcDeFgHiJkLmNoPqRsTuVwXyZ{number}AbCdEfGhIjKlMnOpQrStUvWxYzOPRO"

NUMBER = "3141592653589793"  # a text without a letter
# What a text may hold besides letters, by what people call it.
CHARACTERS = {
    **{one: one for one in "&<>\"'\\{}#*_`|"},
    "two spaces": "  ",
    "a line's end": "\n",
    "an empty line": "\n\n",
    "a tab": "\t",
    "letters with accents": "äÉß",
    "other alphabets": "ДжΩ日本",
}

REPLY = MARK.format(number="REPLY")

# A part of content as it stands in a list, which a template that wants a text writes as it is.
PART = re.compile(r"""['"]type['"]:\s*['"]text['"]""")

# What a template is given: a list of {"role": ..., "content": ...}.
Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to put a conversation.

    Attributes:
        name: what it does, for people; "" for the plain one.
        folds: the system message stands at the head of the first user's turn.
        merges: everything stands in one turn, its parts divided by blank lines.
        lists: content is a list of parts, as templates of models for texts and images want it.
    """

    name: str
    folds: bool = False
    merges: bool = False
    lists: bool = False

    def messages(self, system: str | None, contents: Sequence[str]) -> Messages:
        """The messages of a conversation: its system message, and turns of user and assistant by
        turns, the user's last.
        """
        texts = list(contents)
        if self.merges:
            before = [part for part in (system, *contents[:-1]) if part]
            # What is asked keeps its place even where it is empty.
            texts = ["\n\n".join([*before, contents[-1]])]
        elif self.folds and system:
            # An empty system message is there to silence a template's default one.
            texts[0] = f"{system}\n\n{texts[0]}"
        turns = [(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
        if system is not None and not (self.folds or self.merges):
            turns.insert(0, ("system", system))
        return [{"role": role, "content": self._content(text)} for role, text in turns]

    def _content(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self.lists else text


# In this order: the first that brings everything through is taken.
WAYS = (
    Way(""),
    Way("system message in the user's turn", folds=True),
    Way("content as a list", lists=True),
    Way("content as a list, system message in the user's turn", folds=True, lists=True),
    Way("all turns in one", merges=True),
    Way("all turns in one, content as a list", merges=True, lists=True),
)


def ways_through(apply: Callable[[Messages], str], system: str | None, turns: int) -> Iterator[Way]:
    """The ways by which a template brings everything through, the best first.

    Args:
        apply: renders messages; a jinja2.TemplateError where the template refuses them.
        system: the system message; only whether it is there, and empty, counts.
        turns: how many contents there are, the last one the user's.
    """
    from jinja2 import TemplateError

    marks = [MARK.format(number=number) for number in range(turns + 1)]
    first = marks[0] if system else system
    wanted = marks if system else marks[1:]
    for way in WAYS:
        try:
            rendered = apply(way.messages(first, marks[1:]))
        except TemplateError:
            continue
        if _in_order(rendered, wanted) and not (way.lists and PART.search(rendered)):
            yield way


def before_reply(opened: str, replied: str) -> str:
    """What a template writes between the place where a reply begins and the reply's text: the
    channel of harmony, or a thought that is over; "" where that is spaces at most.

    Args:
        opened: a prompt, up to where the reply begins.
        replied: the same conversation with the reply of `REPLY`.
    """
    head, mark, _ = replied.rpartition(REPLY)
    # Where the two begin otherwise, the template makes a finished reply another way.
    between = head[len(opened) :] if mark and head.startswith(opened) else ""
    return between if between.strip() else ""


def fault(apply: Callable[[Messages], str], system: str | None, turns: int) -> str:
    """What a template does to a conversation that no way brings through, for a message."""
    if turns > 1 and any(ways_through(apply, system, 1)):
        return "it loses earlier turns"
    if system and any(ways_through(apply, None, turns)):
        return "it loses the system message"
    if _keeps_places(apply):
        return "it changes letters of the user's text"
    return "it loses the user's text"


def _keeps_places(apply: Callable[[Messages], str]) -> bool:
    """Whether a template writes the user's text at its place, with its letters changed: a number,
    which has none, comes through.
    """
    from jinja2 import TemplateError

    for way in WAYS:
        with contextlib.suppress(TemplateError):
            if NUMBER in apply(way.messages(None, [NUMBER])):
                return True
    return False


def changed_characters(apply: Callable[[Messages], str], way: Way) -> tuple[str, ...]:
    """The characters of a user's text that a template writes otherwise, though it keeps all
    letters: of markup, quotes, spaces between words, lines.

    Args:
        apply: see `ways_through`.
        way: one that brings everything through.

    Returns:
        names for people, such as "&"; () where the text comes through letter for letter, but for
        spaces at its ends.
    """
    from jinja2 import TemplateError

    changed = []
    for name, text in CHARACTERS.items():
        asked = f"{NUMBER}{text}{NUMBER}"
        try:
            rendered = apply(way.messages(None, [asked]))
        except TemplateError:
            rendered = ""
        if asked not in rendered:
            changed.append(name)
    return tuple(changed)


def _in_order(rendered: str, marks: Sequence[str]) -> bool:
    """Whether the text holds all of these, each after the one before."""
    at = 0
    for mark in marks:
        at = rendered.find(mark, at)
        if at < 0:
            return False
        at += len(mark)
    return True
