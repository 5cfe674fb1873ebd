"""The proposer that goes beyond the paper: several operators, diverse parents, and demonstrations.

For: dividing a step's candidates among the text operators and the moves on demonstrations, with one
call of the optimizer. Not for: how either makes a candidate (drafting.py, moving.py), the starting
solutions (seeding.py), or scoring.

Only problems of the kind "prompt" have what it needs: mistakes, labels and rows that can be shown
as demonstrations.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from opro_local.config.settings import Config
from opro_local.problems.prompt.admission import Admission
from opro_local.problems.prompt.asking import Asking
from opro_local.problems.prompt.drafting import Drafting
from opro_local.problems.prompt.moves import MOVES
from opro_local.problems.prompt.moving import Moving
from opro_local.problems.prompt.operators import Forms, Slot
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.seeding import Seeding, generic_texts
from opro_local.problems.prompt.selection import RowWinners, divide, parents
from opro_local.search import chance
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Solution

# The gain hoped for before an operator was tried. Published and our own figures agree that worked
# examples move open models more than wording does (docs/search.md).
FORM_HOPE, MOVE_HOPE = 0.0, 0.1


class Mixed:
    """See Proposer.

    Args:
        problem: the prompt problem.
        config: `search`, `optimizer`, `task.description` and `run.seed` are read.
        forms: the text operators, and those that write starting texts and describe the task.
        trajectory: what was scored so far; proposals and rejections are added.

    Attributes:
        drafting: makes the candidates with new texts.
    """

    def __init__(
        self,
        problem: PromptProblem,
        config: Config,
        forms: Forms,
        trajectory: Trajectory,
    ) -> None:
        self._config, self._trajectory, self._forms = config, trajectory, forms
        given = [solution.text for solution in problem.seeds()]
        asking = Asking(problem, config, [*given, *generic_texts(problem, config)])
        admission = Admission(trajectory, config.search.near_duplicate)
        self._seeding = Seeding(problem, config, trajectory, forms, asking, admission)
        self.drafting = Drafting(problem, config, trajectory, forms, asking, admission)
        self._moving = Moving(problem, config, admission)
        self._winners = RowWinners(trajectory)

    def start(self) -> Generator[Batch, BatchResult, list[Solution]]:
        """See Proposer.start."""
        return (yield from self._seeding.start())

    def propose(self, step: int, most: int) -> Generator[Batch, BatchResult, list[Solution]]:
        """See Proposer.propose: one call of the optimizer for all texts, then the moves."""
        search = self._config.search
        slots = self._slots(step, most * search.drafts_each)
        texts = [slot for slot in slots if slot.operator in self._forms.drafting]
        moves = [slot for slot in slots if slot.operator in MOVES]
        unfilled = yield from self.drafting.draft(step, texts)
        fresh = self.drafting.screened(most)
        if search.demonstrations:
            # A text that came to nothing leaves its place to new demonstrations for the old one.
            moves += [replace(slot, operator="draw") for slot in unfilled]
        self._moving.move(step, moves, fresh)
        return list(fresh.values())

    def _slots(self, step: int, count: int) -> list[Slot]:
        """So many slots: operators by what each gained so far, and two parents for each."""
        operators = self._operators(step, count)
        rng = chance.generator(self._config, step, chance.PARENTS)
        exploration = self._config.search.exploration
        drawn = parents(self._trajectory, self._winners, 2 * count, rng, exploration)
        rng = chance.generator(self._config, step, chance.PARAGRAPHS)
        slots = []
        for operator, parent, other in zip(operators, drawn[:count], drawn[count:], strict=True):
            slot = Slot(operator, parent, other)
            slots.append(slot if operator in MOVES else self.drafting.fitted(slot, rng))
        return slots

    def _operators(self, step: int, count: int) -> list[str]:
        """The names of so many operators."""
        gains = self._trajectory.gains()
        kinds = [(FORM_HOPE, {name: gains.get(name, []) for name in self._forms.drafting})]
        if self._config.search.demonstrations:
            kinds.append((MOVE_HOPE, {name: gains.get(name, []) for name in MOVES}))
        return divide(kinds, count, chance.generator(self._config, step, chance.DIVISION))
