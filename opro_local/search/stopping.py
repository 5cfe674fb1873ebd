"""When a search ends: its budgets and rules, and that no further step could be told from those
before.

For: the reason in words, from what was scored so far. Not for: which solution is chosen (loop.py).
"""

from __future__ import annotations

import numpy as np

from opro_local.config.search import SearchSettings
from opro_local.config.settings import Config
from opro_local.scoring import comparison
from opro_local.search.trajectory import Trajectory

STILL = 5  # steps without a gain before a search that could hardly gain any more ends


def stop_reason(
    trajectory: Trajectory, settings: SearchSettings, step: int, reserved: int = 0
) -> str | None:
    """Why the search should end after this step by what the user set, or None.

    Args:
        trajectory: what was scored.
        settings: the rules.
        step: the last one.
        reserved: pairs of the budget that are kept for the end of the search.
    """
    best = trajectory.best_by_step()
    if settings.target_score is not None and best[-1] >= settings.target_score:
        return f"target score {settings.target_score:g} reached"
    if settings.max_tokens is not None and trajectory.tokens >= settings.max_tokens:
        return f"token budget of {settings.max_tokens} used"
    if settings.max_seconds is not None and trajectory.seconds >= settings.max_seconds:
        return f"time budget of {settings.max_seconds:g} s used"
    rows = trajectory.entries[0].score.n
    if settings.max_pairs is not None and trajectory.pairs + rows + reserved > settings.max_pairs:
        return f"budget of {settings.max_pairs} scored pairs used"
    is_due = settings.patience and step >= settings.patience
    if is_due and _gain(trajectory, step, settings.patience) <= settings.min_gain:
        return f"no gain above {settings.min_gain:g} in {settings.patience} steps"
    return None


def end_of_gains(trajectory: Trajectory, config: Config, step: int) -> str | None:
    """Why no further step could be told from those before, or None; in searches of several ways,
    from `search.revision` 6 on, unless `search.early_stop` is false.

    Either as many solutions as validation compares are right on all train rows. Or none was better
    for some steps, and the best is wrong on so few rows that even one that is right on all of them
    would not differ from it: the sign test of so many rows gives more than `evaluation.alpha`.
    """
    if not (config.searches_anew and config.search.early_stop and step):
        return None
    finalists, best = config.evaluation.finalists, trajectory.reference
    leaders = trajectory.top(finalists, among="whole")
    rows = trajectory.entries[0].score.n
    perfect = sum(comparison.tied(entry.score.value) == 1 for entry in leaders)
    if perfect == finalists:
        return f"{perfect} solutions are right on all {rows} train rows"
    if best is None or best.score.measure is not None or step < STILL:
        return None
    wrong = int(np.count_nonzero(best.score.values < 1))
    if 0.5**wrong > config.evaluation.alpha and _gain(trajectory, step, STILL) <= 0:
        return (
            f"no better one in {STILL} steps, and none could be told from the best, "
            f"which is right on {rows - wrong} of {rows} train rows"
        )
    return None


def _gain(trajectory: Trajectory, step: int, steps: int) -> float:
    """What the last so many steps gained; steps that scored nothing left the best as it was."""
    best = trajectory.best_by_step()
    last = len(best) - 1
    return best[min(step, last)] - best[min(step - steps, last)]
