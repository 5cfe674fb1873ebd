"""Which candidates of a mixed search are new, and the record of those that were and were not.

For: duplicates, near-duplicates, and one Proposal in the trajectory for each attempt. Not for: what
makes a text unfit by itself (PromptProblem, leaks.py), or scoring.
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.search.similarity import NearDuplicates
from opro_local.search.trajectory import Entry, Proposal, Trajectory
from opro_local.types import Rejection, Solution


class Admission:
    """Judges candidates by those before them.

    Args:
        trajectory: proposals and rejections are added to it.
        near_duplicate: the cosine of character n-grams from which two texts count as the same.
    """

    def __init__(self, trajectory: Trajectory, near_duplicate: float) -> None:
        self._trajectory = trajectory
        self._texts = NearDuplicates(near_duplicate)

    def seen(self, candidate: Solution) -> bool:
        """Whether exactly this was scored or tried before."""
        return self._trajectory.seen(candidate)

    def expect(self, texts: Sequence[str]) -> None:
        """Get ready to judge these texts, which is cheaper for all at once."""
        self._texts.measure(texts)

    def near(self, candidate: Solution) -> str | None:
        """An earlier text that the candidate's nearly is; None for a new text or exactly that one.

        The same text may come again, with other demonstrations.
        """
        earlier = self._texts.find(candidate.text)
        return None if earlier == candidate.text else earlier

    def accept(
        self,
        step: int,
        operator: str,
        parent: Entry | None,
        candidate: Solution,
        reply: str = "",
    ) -> None:
        """Record a candidate, with the reply that it came from if there is one; later ones are
        compared with its text.
        """
        self._texts.add(candidate.text)
        self._trajectory.proposals.append(Proposal(step, operator, parent, candidate.key))
        if step and reply:
            self._trajectory.count_written(reply)

    def refuse(self, step: int, operator: str, parent: Entry | None, text: str, why: str) -> None:
        """Record an attempt that came to nothing, with the optimizer's text and the reason."""
        self._trajectory.proposals.append(Proposal(step, operator, parent, None))
        self._trajectory.reject(Rejection(step, text, why))
