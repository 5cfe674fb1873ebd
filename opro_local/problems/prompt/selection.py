"""Selection: which operators propose, which parents they start from, and which drafts are worth
scoring.

For: three choices of a mixed search, each a pure function of the scores so far and a random
generator. Not for: what an operator does (moves.py, the meta-prompt forms), or where drafts come
from (drafting.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from opro_local.search.similarity import sparse_ngrams
from opro_local.search.trajectory import Entry, Trajectory

# The spread of one gain. The hope before an operator was tried weighs as much as one trial.
GAIN_SPREAD = 0.07
TOP = 4  # solutions from which every other parent is drawn
ROWS_DOUBT = 12.5  # rows: a score on so many weighs half of one without error
UNKNOWN = 0.25  # the quantile of the scores that a text like no other is expected to have

Gains = Mapping[str, Sequence[float]]  # by operator, what each of its proposals gained so far


def divide(kinds: Sequence[tuple[float, Gains]], count: int, rng: np.random.Generator) -> list[str]:
    """Choose an operator for each of `count` candidates: first its kind, by the gains of all
    operators of the kind, then one of these.

    For each candidate a mean gain is drawn from what is believed of every kind, and the highest
    draw has it: a normal posterior with known spread (Thompson 1933); within the kind the same
    again. What pays is chosen more often, what was seldom tried still has its chance; and where a
    kind never pays, that is learnt from all its operators together.

    Args:
        kinds: for each kind the gain hoped for before it was tried, and the gains of its operators;
            a proposal that came to nothing gained 0.
        count: how many candidates.
        rng: the source of chance.
    """
    hopes = [hope for hope, _ in kinds]
    pooled = [list(chain.from_iterable(gains.values())) for _, gains in kinds]
    chosen = _highest(hopes, pooled, count, rng)
    # Drawn for every candidate in every kind, so that what one kind gained moves no other's draws.
    within = []
    for hope, gains in kinds:
        within.append(_highest([hope] * len(gains), list(gains.values()), count, rng))
    operators = [list(gains) for _, gains in kinds]
    return [operators[kind][within[kind][place]] for place, kind in enumerate(chosen)]


def _highest(
    hopes: Sequence[float], gains: Sequence[Sequence[float]], count: int, rng: np.random.Generator
) -> list[int]:
    """For each of `count` candidates the place of the highest draw."""
    tried = np.array([len(own) for own in gains])
    total = np.array([hope + sum(own) for hope, own in zip(hopes, gains, strict=True)])
    mean, spread = total / (tried + 1), GAIN_SPREAD / np.sqrt(tried + 1)
    drawn = rng.normal(mean, spread, (count, len(gains)))
    return [int(best) for best in drawn.argmax(axis=1)]


def parents(
    trajectory: Trajectory, count: int, rng: np.random.Generator, exploration: float = 0.0
) -> list[Entry]:
    """Draw `count` parents with repetition: every other one from the best, the rest from those that
    win on some rows (as GEPA does, arXiv 2507.19457).

    Of the best the first is drawn twice as often as the second, and so on; of the others each as
    often as the rows that it wins are worth (see `pareto`).

    Args:
        trajectory: what was scored so far.
        count: how many.
        rng: the source of chance.
        exploration: what a best one's similarity to those before it costs (see Trajectory.top).
    """
    best = trajectory.top(TOP, exploration)
    by_rank = 0.5 ** np.arange(len(best))
    whole = trajectory.top(len(trajectory.entries), among="whole")
    by_wins = pareto([entry.score.values for entry in whole])
    drawn = []
    for number in range(count):
        entries, weights = (best, by_rank) if number % 2 == 0 else (whole, by_wins)
        drawn.append(entries[int(rng.choice(len(entries), p=weights / weights.sum()))])
    return drawn


def pareto(values: Sequence[np.ndarray]) -> np.ndarray:
    """What each solution's wins are worth: on each row those with the highest score share 1.

    A solution that is nowhere among the best has 0. Rows on which all earn the same say nothing and
    are left out; where there are no others, all have the same worth.

    Args:
        values: for each solution its scores on the rows, shape (rows,), the same rows for all.

    Returns:
        shape (solutions,), at least 0.
    """
    table = np.stack(values)
    differs = (table != table[0]).any(axis=0)
    if not differs.any():
        return np.ones(len(table))
    table = table[:, differs]
    wins = table == table.max(axis=0)
    return (wins / wins.sum(axis=0)).sum(axis=1)


def promise(texts: Sequence[str], scored: Sequence[tuple[str, float, int]]) -> np.ndarray:
    """What each text is expected to score; shape (texts,).

    The mean of a Gaussian process whose kernel is the cosine of character n-grams (kernel ridge
    regression): a text is expected to score what those like it do, and one like no other a low
    score, as most do that are about something else. How well it guesses is in docs/benchmarks.

    Args:
        texts: what is guessed for.
        scored: texts with their scores and the number of rows that they were scored on; at least
            one.
    """
    from sklearn.kernel_ridge import KernelRidge

    known, values, rows = zip(*scored, strict=True)
    vectors = sparse_ngrams(known)
    # Ridge regression tends to 0 where nothing is known, so 0 must be what such a text is given.
    level = float(np.quantile(values, UNKNOWN))
    weights = np.array(rows) / (np.array(rows) + ROWS_DOUBT)
    ridge = KernelRidge(alpha=1.0, kernel="precomputed")
    ridge.fit((vectors @ vectors.T).toarray(), np.array(values) - level, sample_weight=weights)
    guessed = level + ridge.predict((sparse_ngrams(texts) @ vectors.T).toarray())
    # Rounded, so that the last bits of a matrix product decide nothing.
    return guessed.round(6)
