"""What a mixed search makes candidates with: the forms of its meta-prompts, and one slot a candidate.

For: the plain data that travels between seeding, drafting and moving. Not for: what a form asks
(search/metaprompts/), how a move on demonstrations works (moves.py), or which operator is chosen
(selection.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opro_local.search.metaprompts.metaprompt import Form
from opro_local.search.trajectory import Entry

# Operators of starting solutions, as they are recorded: the user's own texts, those that need no
# knowledge of the task, and those that the optimizer writes.
GIVEN, GENERIC, WRITTEN = "given", "generic", "written"


@dataclass(frozen=True, slots=True)
class Forms:
    """The meta-prompt forms of a search.

    Attributes:
        drafting: those that make a text from what was scored, by name, in the order of the config.
        writer: writes a starting text from rows alone.
        describer: says in a few words what the task is.
    """

    drafting: Mapping[str, Form]
    writer: Form
    describer: Form


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one candidate in a step: which operator makes it, and from whom.

    Attributes:
        operator: the name of a form or of a move, as the trajectory records it.
        parent: what is changed.
        other: a second parent, for the operators that cross two.
        paragraph: the part of the parent that is written anew, where only that is; else "".
        opener: the words that the optimizer's reply is begun with; else "".
    """

    operator: str
    parent: Entry
    other: Entry
    paragraph: str = ""
    opener: str = ""
