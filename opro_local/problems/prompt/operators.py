"""The operators of a mixed search: which forms write texts, and the slot that each of them fills.

For: the table of the forms, and the plain data that travels between seeding, drafting and moving.
Not for: what a form asks (search/metaprompts/), the moves on demonstrations (their table is in
moves.py), or which operator is chosen (selection.py).

A new form is a TOML file in search/metaprompts/ and its name in `FORMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opro_local.config.search import SearchSettings
from opro_local.errors import UsageError
from opro_local.models.cards import Card, continues
from opro_local.search.metaprompts.metaprompt import Form, load
from opro_local.search.trajectory import Entry
from opro_local.types import Mistake

# The forms that write texts besides the one that a model's card names, in the order in which they
# stand in for another that a parent has too little for. Chat models are asked in words; small and
# base models, which follow none, are given lines to continue.
FORMS: Mapping[str, tuple[str, ...]] = {
    "chat": ("paraphrase", "induction", "crossover", "reflection", "paragraph"),
    "line": ("paraphrase_line", "induction_line", "crossover_line", "reflection_line"),
}
WRITERS: Mapping[str, str] = {"chat": "induction", "line": "induction_line"}
DESCRIBERS: Mapping[str, str] = {"chat": "description", "line": "description_line"}
# Forms that continue end after a line, which is hardly ever too long.
SHORTENERS: Mapping[str, str] = {"chat": "shorter"}

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
        shortener: says a text that is too long in fewer words; None where no form does.
    """

    drafting: Mapping[str, Form]
    writer: Form
    describer: Form
    shortener: Form | None = None


def load_forms(search: SearchSettings, card: Card) -> Forms:
    """The forms of a search: those that the config names, else the card's, else those of its kind.

    Args:
        search: `operators` and `metaprompt` are read.
        card: of the optimizer.

    Raises:
        UsageError: a form is not there or wrong, or none of them can do with any one parent.
    """
    kind = "line" if continues(card) else "chat"
    named = search.operators
    if not named and search.metaprompt != "auto":
        named = (search.metaprompt,)
    names = named or card.operators or (card.metaprompt, *FORMS[kind])
    forms = [load(name) for name in names]
    if all(form.needs for form in forms):
        listed = ", ".join(form.name for form in forms)
        raise UsageError(
            f"search.operators: each of {listed} needs more than one parent has",
            "add a plain form",
        )
    drafting = {form.name: form for form in forms}
    shortener = load(SHORTENERS[kind]) if kind in SHORTENERS else None
    return Forms(drafting, load(WRITERS[kind]), load(DESCRIBERS[kind]), shortener)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one candidate in a step: which operator makes it, and from whom.

    Attributes:
        operator: the name of a form or of a move, as the trajectory records it.
        parent: what is changed.
        other: a second parent, for the operators that cross two.
        paragraph: the part of the parent that is written anew, where only that is; else "".
        opener: the words that the optimizer's reply is begun with; else "".
        exemplars: the rows that its meta-prompt shows; () for those of the step.
        mistakes, rights: rows that the parent got wrong and right, as far as they are shown.
        long: a proposal that is to be said in fewer words, in the place of a new one; else "".
    """

    operator: str
    parent: Entry
    other: Entry
    paragraph: str = ""
    opener: str = ""
    exemplars: tuple[Mapping[str, str], ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    rights: tuple[Mistake, ...] = ()
    long: str = ""
