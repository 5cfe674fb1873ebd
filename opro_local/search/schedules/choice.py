"""Which schedule a search has, and why: what its config names, or for "auto" what suits the search
and the machine it was begun on.

For: the choice as a name and a sentence. Not for: how any schedule scores, or what a machine can
(runs/concurrency.py).

Pairs that are not scored save seconds only where the engine is full without them: every block of a
race or of halves waits for its longest reply. So all rows are scored while a step's pairs hardly
exceed what the engine answers at once and replies are long, and halves are dropped elsewhere
(scripts/simulate_scoring.py, docs/benchmarks/2026-11-plan.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from opro_local.config.settings import Config

# Times the requests in flight: up to here one batch of everything is as fast as halves.
FITS = 1.5
LONG_ANSWER = 256  # new tokens at most; labels and numbers have far fewer


@dataclass(frozen=True, slots=True)
class Choice:
    """A schedule's name, and why it is this one, for people."""

    schedule: str
    reason: str


def choose_schedule(config: Config, rows: int, answer_tokens: int) -> Choice:
    """The schedule of a search.

    Args:
        config: the run's; `evaluation.running` says what the machine can that it was begun on.
        rows: of train.
        answer_tokens: new tokens of an answer at most.
    """
    usual, running = config.scoring_schedule, config.evaluation.running
    if config.evaluation.mode != "auto":
        return Choice(usual, "evaluation.mode names it")
    if usual != "halve":
        return Choice(usual, "the search proposes as the paper's does")
    if not running:
        return Choice("halve", "how many requests the engine runs at once is not known")
    pairs = config.search.candidates * rows
    batch = f"{config.search.candidates} candidates x {rows} rows = {pairs:,} pairs"
    if answer_tokens < LONG_ANSWER:
        return Choice("halve", f"answers are short ({answer_tokens} tokens at most): {batch}")
    if pairs <= FITS * running:
        return Choice("full", f"{batch} are hardly more than the {running:,} that run at once")
    return Choice("halve", f"{batch} are more than {FITS:g} times the {running:,} that run at once")
