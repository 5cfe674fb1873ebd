"""Demonstrations for the scorer: train rows with an answer, shown before the row that is asked.

For: which train rows can be shown, with which answer, what each costs, and what solutions answered
wrongly. Not for: which ones a solution should show (moves.py), or where they stand in a prompt
(layout.py).

Everything here is derived from answers on train, so a resumed run comes to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.scoring.reading.thoughts import spoken
from opro_local.types import Completion, Demonstration, Example, Mistake, Solution

MISTAKES = 8  # remembered of each solution
# From search.revision 6 on: a few are drawn of them for each reflection.
MORE_MISTAKES, RIGHTS = 24, 8
CHARACTERS_PER_TOKEN = 2  # where no model counted: fewer than there are, to be on the safe side


@dataclass(slots=True)
class _Row:
    """What is known of a train row: tokens of its question (0 before it was asked), the first right
    answer, and the answer that the user gave.
    """

    example: Example
    tokens: int = 0
    trace: Completion | None = None
    given: str | None = None


class Demonstrations:
    """What train rows have to offer.

    Args:
        rows: the train rows.
        own: whether an example's answer is the model's own first right answer on the row (a trace;
            rows it never got right are not shown, unless they were given an answer) or the row's
            target.
        mistakes, rights: how many rows that a solution got wrong, and right, are remembered.
    """

    def __init__(
        self, rows: Sequence[Example], own: bool, mistakes: int = MISTAKES, rights: int = 0
    ) -> None:
        self._rows = {row.id: _Row(row) for row in rows}
        self._own = own
        self._most_mistakes, self._most_rights = mistakes, rights
        self._rights: dict[str, list[Mistake]] = {}
        self._mistakes: dict[str, list[Mistake]] = {}
        # By row, answer and remark.
        self._made: dict[tuple[str, str, str], Mistake] = {}

    def give(self, key: str, answer: str | None) -> None:
        """Have a row shown with this answer from now on, unless it already has one; None stands for
        its target.

        Unknown rows are passed over.
        """
        row = self._rows.get(key)
        if row and row.given is None:
            row.given = row.example.target if answer is None else answer

    def note(
        self,
        solutions: Sequence[Solution],
        rows: Sequence[Example],
        answers: Sequence[Completion],
        values: np.ndarray,
        remarks: Sequence[str] = (),
    ) -> None:
        """Remember what an evaluation on train showed.

        Args:
            rows: the rows asked.
            answers, values: by solution, shape (solutions * rows,).
            remarks: on the answers; empty for none on any.
        """
        for number, solution in enumerate(solutions):
            first = number * len(rows)
            wrong = self._mistakes.setdefault(solution.key, [])
            right = self._rights.setdefault(solution.key, []) if self._most_rights else None
            for place, row in enumerate(rows):
                known, answer = self._rows[row.id], answers[first + place]
                value = values[first + place]
                # An answer that was cut would teach the model to stop in the middle.
                if value == 1 and known.trace is None and answer.finish_reason == "stop":
                    known.trace = answer
                elif value < 1 and len(wrong) < self._most_mistakes:
                    remark = remarks[first + place] if remarks else ""
                    wrong.append(self._mistake(row, answer, remark))
                if value == 1 and right is not None and len(right) < self._most_rights:
                    right.append(self._mistake(row, answer, ""))
                if not known.tokens and not solution.demonstrations:
                    known.tokens = answer.prompt_tokens

    def _mistake(self, row: Example, answer: Completion, remark: str) -> Mistake:
        """What was said of a row; the same of many solutions is kept once."""
        output = (spoken(answer.text) or "").strip()
        made = self._made.get((row.id, output, remark))
        if made is None:
            made = Mistake(row.id, row.input, row.target, output, remark)
            self._made[row.id, output, remark] = made
        return made

    def available(self) -> list[Demonstration]:
        """The rows that can be shown now, in order, with what each adds to a prompt in tokens."""
        demonstrations = []
        for key, row in self._rows.items():
            if self._is_available(row):
                tokens = self._question_tokens(row) + self._answer_tokens(row)
                demonstrations.append(Demonstration(key, row.example.target, tokens))
        return demonstrations

    def _is_available(self, row: _Row) -> bool:
        return row.trace is not None or row.given is not None or not self._own

    def mistakes(self, solution: Solution) -> list[Mistake]:
        """Some train rows that the solution got wrong, in the order they were asked."""
        return self._mistakes.get(solution.key, [])

    def rights(self, solution: Solution) -> list[Mistake]:
        """Some train rows that the solution got right, in the order they were asked."""
        return self._rights.get(solution.key, [])

    def worked(self, ids: Sequence[str]) -> list[tuple[Example, str]]:
        """The rows with these ids and the answer each is shown with."""
        return [(self._rows[key].example, self._answer(self._rows[key])) for key in ids]

    def without(self, row: Example, ids: Sequence[str]) -> list[tuple[Example, str]]:
        """Demonstrations for a train row that is among them: in its place stands another with the
        same target.

        Left out without a substitute, its target would be the rarer one among the rest, and the row
        would look harder than it is. The substitute is the next row after it that has the target;
        where there is none, one is missing.
        """
        substitute = self._substitute(row, ids)
        kept: list[str] = []
        for key in ids:
            if self._rows[key].example.input != row.input:
                kept.append(key)
            elif substitute:
                kept.append(substitute)
                substitute = None
        return self.worked(kept)

    def _substitute(self, row: Example, ids: Sequence[str]) -> str | None:
        order = list(self._rows)
        start = order.index(row.id)
        shown = {self._rows[key].example.input for key in ids}
        for key in (*order[start + 1 :], *order[:start]):
            other = self._rows[key]
            if (
                self._is_available(other)
                and other.example.target == row.target
                and other.example.input not in shown
            ):
                return key
        return None

    def _answer(self, row: _Row) -> str:
        if row.given is not None:
            return row.given
        return row.trace.text.strip() if self._own and row.trace else row.example.target

    def _question_tokens(self, row: _Row) -> int:
        """As counted when the row was asked; before that a guess."""
        return row.tokens or 1 + len(row.example.input) // CHARACTERS_PER_TOKEN

    def _answer_tokens(self, row: _Row) -> int:
        if self._own and row.trace and row.given is None:
            # Its thought was counted too, and is not shown: a token is a byte or more, the end one.
            return min(
                row.trace.completion_tokens, len(row.trace.text.encode("utf-8", "replace")) + 1
            )
        return 1 + len(self._answer(row)) // CHARACTERS_PER_TOKEN
