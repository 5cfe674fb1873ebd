"""The last question of a search: whether the winner's instruction does anything, or only its worked
examples do.

For: asking it on validation with the user's own prompt in the instruction's place. Not for: how the
winner was found (loop.py).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from opro_local.scoring import comparison
from opro_local.search.state import Candidates, SearchState
from opro_local.types import Batch, BatchResult, Score, Solution, Split


def confirms(better: Score, base: Score, doubt: float) -> bool:
    """Whether validation shows a solution to be better: its one-sided p-value must not be above
    `doubt`, or, where rows are too few for that, above the least there is.
    """
    gain = comparison.difference(better, base)
    return gain.value > 0 and gain.p_value / 2 <= max(doubt, 0.5**better.n)


def pairs_kept(state: SearchState) -> int:
    """Pairs of the budget that are kept for scoring the exchanged winner on train."""
    if not _may_exchange(state):
        return 0
    return state.trajectory.entries[0].score.n


def exchange(
    state: SearchState, baseline: Solution, best: Solution, step: int
) -> Generator[Batch, BatchResult, Solution]:
    """The winner, or the baseline's text with the winner's worked examples where validation does
    not show that the winner's own text helps: ties go to the plain text.

    The plain one must itself be better than the baseline on validation. At most a batch on train
    and one on validation.

    Args:
        state: the search, over; its trajectory has both solutions' scores on validation.
        baseline: the first seed.
        best: what was chosen.
        step: the last one, which the scores belong to.
    """
    plain = replace(best, text=baseline.text)
    if not _may_exchange(state) or plain == best or not best.demonstrations:
        return best
    on_train = _scores(state, "train")
    if plain not in on_train or on_train[plain].rows is not None:
        if not _is_affordable(state):
            return best
        yield from state.score(Candidates([plain], step), "train", label=f"{step}/train/plain")
    if plain not in _scores(state, "validation"):
        label = f"{step}/validation/plain"
        yield from state.score(Candidates([plain], step), "validation", label=label)
    held_out = _scores(state, "validation")
    if plain not in held_out or plain not in _scores(state, "train"):
        return best
    doubt = state.config.evaluation.doubt
    if confirms(held_out[best], held_out[plain], doubt):
        return best
    return plain if confirms(held_out[plain], held_out[baseline], doubt) else best


def _may_exchange(state: SearchState) -> bool:
    shows = state.config.search.demonstrations > 0
    return state.config.searches_anew and shows and "validation" in state.problem.splits


def _is_affordable(state: SearchState) -> bool:
    most, trajectory = state.config.search.max_pairs, state.trajectory
    return most is None or trajectory.pairs + trajectory.entries[0].score.n <= most


def _scores(state: SearchState, split: Split) -> dict[Solution, Score]:
    """The last score of each solution on a split."""
    trajectory = state.trajectory
    entries = trajectory.entries if split == "train" else trajectory.held_out
    return {entry.solution: entry.score for entry in entries if entry.split == split}
