"""Moves: candidates that keep their parent's text and show other demonstrations.

For: making a move until it gives something new. Not for: what each move does (moves.py), or which
one a slot has (selection.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from opro_local.config.search import SearchSettings
from opro_local.config.settings import Config
from opro_local.problems.prompt.admission import Admission
from opro_local.problems.prompt.moves import MOVES, DemonstrationPool
from opro_local.problems.prompt.operators import Slot
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.search import chance
from opro_local.types import Solution

TRIES = 8  # of a move that gives nothing new


class Moving:
    """Makes candidates with other demonstrations; asks no model.

    Args:
        problem: knows which rows can be shown, and what each solution got wrong.
        config: `search` and `run.seed` are read.
        admission: what is new, and where attempts are recorded.
    """

    def __init__(self, problem: PromptProblem, config: Config, admission: Admission) -> None:
        self._problem, self._config, self._admission = problem, config, admission

    def move(self, step: int, slots: Sequence[Slot], fresh: dict[str, Solution]) -> None:
        """Fill the slots and add the candidates to the step's fresh ones, by key.

        A slot whose move gives nothing new is left out.
        """
        rng = chance.generator(self._config, step, chance.DRAWS)
        for slot in slots:
            candidate = self._candidate(slot, fresh, rng)
            if candidate:
                fresh[candidate.key] = candidate
                self._admission.accept(step, slot.operator, slot.parent, candidate)

    def _candidate(
        self, slot: Slot, fresh: dict[str, Solution], rng: np.random.Generator
    ) -> Solution | None:
        """A new candidate; the slot's own move has half of the tries, the last resort is a draw."""
        parent, other = slot.parent.solution, slot.other.solution
        wrong = [mistake.id for mistake in self._problem.demonstrations.mistakes(parent)]
        known = pool(self._problem, self._config.search, wrong, rng)
        for attempt in range(TRIES):
            move = MOVES[slot.operator if attempt < TRIES // 2 else "draw"]
            ids = move(known, parent.demonstrations, other.demonstrations)
            candidate = replace(parent, demonstrations=ids)
            if not self._admission.seen(candidate) and candidate.key not in fresh:
                return candidate
        return None


def pool(
    problem: PromptProblem, search: SearchSettings, wrong: Sequence[str], rng: np.random.Generator
) -> DemonstrationPool:
    """What moves may draw from now; `wrong` are ids of rows that the parent got wrong."""
    known = problem.demonstrations.available()
    return DemonstrationPool(known, search.demonstrations, search.demonstration_tokens, wrong, rng)
