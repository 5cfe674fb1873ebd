"""Which train rows a slot's meta-prompt shows: some that the parent got wrong and right, and rows
to guess a text from.

For: a fresh choice for every request, and a smaller one where a prompt is over the optimizer's
context. Not for: what a solution answered (demonstrations.py), or the rows that all forms of a step
show (search/proposing.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local.config.settings import Config
from opro_local.problems.prompt.operators import Slot
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.search import chance
from opro_local.search.metaprompts.metaprompt import Form
from opro_local.types import Mistake

SHOWN_MISTAKES, SHOWN_RIGHTS = 4, 2
# Of a long output: reasoning begins with how it goes about it, and ends with its answer.
WHOLE_OUTPUT, BEGINNING, END = 600, 120, 400


class Minibatches:
    """Chooses rows for slots.

    Args:
        problem: gives rows, and what solutions answered.
        config: `search` is read.
    """

    def __init__(self, problem: PromptProblem, config: Config) -> None:
        self._problem, self._config = problem, config
        self._most: int | None = None  # rows to guess from, once a prompt was over the context

    def filled(self, slot: Slot, form: Form, rng: np.random.Generator) -> Slot:
        """The slot with the rows that its form shows."""
        known, parent = self._problem.demonstrations, slot.parent.solution
        wrong = known.mistakes(parent)
        if not self._config.searches_anew:
            return replace(slot, mistakes=tuple(wrong[:SHOWN_MISTAKES]))
        if form.rows:
            return replace(slot, exemplars=tuple(self.rows(form.rows, rng)))
        if "mistakes" not in form.template:
            return slot
        mistakes = [_cut(mistake) for mistake in _drawn(wrong, SHOWN_MISTAKES, rng)]
        rights = [_cut(right) for right in _drawn(known.rights(parent), SHOWN_RIGHTS, rng)]
        return replace(slot, mistakes=tuple(mistakes), rights=tuple(rights))

    def rows(self, count: int, rng: np.random.Generator) -> list[dict[str, str]]:
        """So many train rows, every label as often as the others as far as that goes; fewer once
        they were over the context.
        """
        order = balanced(self._problem.targets(), rng)
        return self._problem.exemplars(order[: min(count, self._most or count)])

    def fewer(self, slot: Slot) -> Slot | None:
        """The slot with half of its rows, and as many for all after it; None where none can be
        left out.
        """
        if len(slot.exemplars) > 1:
            self._most = len(slot.exemplars) // 2
            return replace(slot, exemplars=slot.exemplars[: self._most])
        if len(slot.mistakes) > 1 and self._config.searches_anew:
            half = len(slot.mistakes) // 2
            return replace(slot, mistakes=slot.mistakes[:half], rights=slot.rights[: half // 2])
        return None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to guess a text from, for what asks with nothing but rows.

    Attributes:
        shown: the rows.
        opener: how the reply is begun.
    """

    shown: Sequence[Mapping[str, str]]
    opener: str = ""

    def fewer(self) -> Rows | None:
        """Half of the rows; None where none can be left out."""
        half = len(self.shown) // 2
        return replace(self, shown=self.shown[:half]) if half else None


def balanced(targets: Sequence[str], rng: np.random.Generator) -> list[int]:
    """All places in a random order; where rows share targets, these take turns in it."""
    if len(set(targets)) * 2 > len(targets):
        return [int(place) for place in rng.permutation(len(targets))]
    return chance.in_turns(targets, rng)


def _drawn(answered: Sequence[Mistake], count: int, rng: np.random.Generator) -> list[Mistake]:
    """So many of these rows, each once, their targets in turns."""
    distinct = list({one.id: one for one in answered}.values())
    order = balanced([one.target for one in distinct], rng)
    return [distinct[place] for place in order[:count]]


def _cut(answered: Mistake) -> Mistake:
    """The row with what matters of a long output."""
    output = answered.output
    if len(output) <= WHOLE_OUTPUT:
        return answered
    return replace(answered, output=f"{output[:BEGINNING].rstrip()} [...] {output[-END:].lstrip()}")
