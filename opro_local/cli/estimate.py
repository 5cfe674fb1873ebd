"""How long a search still takes: its steps, then validation and test.

For: the progress of a run. Not for: planning one before it starts (placement/ says what fits).
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from opro_local.runs.events import BatchAnswer, TrajectoryGrowth
from opro_local.runs.plans.plan import Plan


class Estimate:
    """Counts the seconds that the store keeps with each batch, so a resumed run is estimated as
    one that went on.
    """

    def __init__(self, steps: int, held_out: Mapping[str, int]) -> None:
        """For a search of so many steps.

        Args:
            steps: at most; patience and budgets may end it before.
            held_out: answers to be scored after the steps, by split; nothing where none is.
        """
        self._steps, self._left = steps, dict(held_out)
        self._step = 0
        self._seconds = self._train_seconds = 0.0
        self._train_answers = 0
        self._by_step: list[float] = []

    @staticmethod
    def of(ready: Plan) -> Estimate:
        """For the search of a plan."""
        solutions = ready.config.evaluation.solutions
        held_out: dict[str, int] = {
            split: count * solutions[split] for split, count in ready.held_out.items()
        }
        return Estimate(ready.config.search.steps, held_out)

    def take_answer(self, event: BatchAnswer) -> None:
        """Count a batch's seconds."""
        self._seconds += event.result.seconds
        if "/train" in event.batch.label:
            self._train_seconds += event.result.seconds

    def take_growth(self, event: TrajectoryGrowth) -> None:
        """Count what was scored, and close the step it belongs to."""
        for entry in event.entries:
            if entry.split == "train":
                self._train_answers += entry.score.n
            else:
                # Validation means that there are no more steps, whatever ended them.
                self._step = self._steps
                self._left.pop(entry.split, None)

    def close_step(self, step: int) -> None:
        """A step's solutions are scored."""
        if step > self._step:
            self._by_step.append(self._seconds / (step - self._step))
        self._step, self._seconds = step, 0.0

    def seconds(self) -> float | None:
        """What is left, at most; None before there is anything to judge it by, and at the end."""
        remaining = self._steps - self._step
        if not self._by_step or not (remaining or self._left):
            return None
        # Answers without a second of their own came from programs too fast to matter.
        an_answer = self._train_seconds / max(1, self._train_answers)
        return remaining * median(self._by_step) + sum(self._left.values()) * an_answer

    def words(self) -> str:
        """ "about 3.2 min left, validation and test included"; "" where nothing can be said."""
        seconds = self.seconds()
        if seconds is None:
            return ""
        splits = " and ".join(self._left)
        included = f", {splits} included" if splits and self._step < self._steps else ""
        return f"about {seconds / 60:.1f} min left{included}"
