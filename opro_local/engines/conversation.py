"""How a conversation is put to a chat template, so that all of it comes through.

For: the ways there are, and which of them a template lets everything through. Not for: rendering,
or tokens (tokenizer.py).

Templates refuse or drop what they were not written for: a system message, earlier turns, or content
that is a text where they expect a list of parts. Each way is tried with marked texts, once per kind
of conversation, and the first one serves that brings every mark through, in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MARK = "OPROMARK{number}OPRO"  # stands for a text; no template has it

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


def lost(apply: Callable[[Messages], str], system: str | None, turns: int) -> str:
    """What a template drops of a conversation that no way brings through, for a message."""
    if turns > 1 and any(ways_through(apply, system, 1)):
        return "earlier turns"
    if system and any(ways_through(apply, None, turns)):
        return "the system message"
    return "the user's text"


def _in_order(rendered: str, marks: Sequence[str]) -> bool:
    """Whether the text holds all of these, each after the one before."""
    at = 0
    for mark in marks:
        at = rendered.find(mark, at)
        if at < 0:
            return False
        at += len(mark)
    return True
