"""Selection: which operators propose, which parents they start from, and which drafts are worth
scoring.

For: three choices of a mixed search, each a pure function of the scores so far and a random
generator. Not for: what an operator does (moves.py, the meta-prompt forms), or where drafts come
from (mixed.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from opro_local.search.similarity import sparse_ngrams
from opro_local.search.trajectory import Entry, Trajectory

GAIN_SPREAD = 0.07  # the spread of one gain; what is hoped of a way before it was tried weighs as much as one trial


def divide(
    kinds: Sequence[tuple[float, Mapping[str, Sequence[float]]]],
    count: int,
    rng: np.random.Generator,
) -> list[str]:
    """Choose a way for each of `count` proposals: first the kind, by the gains of all its ways,
    then one of its ways.

    For each proposal a mean gain is drawn from what is believed of every kind, and the highest draw
    has it: a normal posterior with known spread (Thompson 1933); within the kind the same again.
    What pays is chosen more often, what seldom was tried still has its chance; and where a kind
    never pays, that is learnt from all its ways together.

    Args:
        kinds: for each kind the gain hoped for before it was tried, and for each of its ways the
            gains of its proposals so far, 0 for one that came to nothing.
        count: how many proposals.
        rng: the source of chance.
    """
    whole = [[gain for gains in ways.values() for gain in gains] for _, ways in kinds]
    chosen = _highest([hope for hope, _ in kinds], whole, count, rng)
    within = [_highest([hope] * len(ways), list(ways.values()), count, rng) for hope, ways in kinds]
    return [list(kinds[kind][1])[within[kind][place]] for place, kind in enumerate(chosen)]


def _highest(
    hopes: Sequence[float], gains: Sequence[Sequence[float]], count: int, rng: np.random.Generator
) -> list[int]:
    """For each proposal which draw was the highest."""
    tried = np.array([len(own) for own in gains])
    mean = np.array([hope + sum(own) for hope, own in zip(hopes, gains, strict=True)]) / (tried + 1)
    drawn = rng.normal(mean, GAIN_SPREAD / np.sqrt(tried + 1), (count, len(gains)))
    return [int(best) for best in drawn.argmax(axis=1)]


TOP = 4


def parents(
    trajectory: Trajectory, count: int, rng: np.random.Generator, exploration: float = 0.0
) -> list[Entry]:
    """So many parents, drawn with repetition: every other one from the best, the rest from those
    that win on some rows.

    Of the best the first is drawn twice as often as the second, and so on; of the others each as
    often as the rows that it wins are worth (see `pareto`). `exploration` is what a best one's
    likeness to those before it costs.
    """
    best = trajectory.top(TOP, exploration)
    ranks = 0.5 ** np.arange(len(best))
    others = trajectory.top(len(trajectory.entries), among="whole")
    worth = pareto([entry.score.values for entry in others])
    drawn = []
    for number in range(count):
        pool, weights = (best, ranks) if number % 2 == 0 else (others, worth)
        drawn.append(pool[int(rng.choice(len(pool), p=weights / weights.sum()))])
    return drawn


def pareto(values: Sequence[np.ndarray]) -> np.ndarray:
    """What each solution's wins are worth: on each row those with the highest score share 1; shape
    (solutions,).

    A solution that is nowhere among the best has 0. Rows on which all earn the same say nothing and
    are left out; where there are no others, all have the same worth.
    """
    table = np.stack(values)
    told = table[:, (table != table[0]).any(axis=0)]
    if not told.size:
        return np.ones(len(table))
    wins = told == told.max(axis=0)
    return (wins / wins.sum(axis=0)).sum(axis=1)


ROWS_DOUBT = 12.5  # rows: a score on so many weighs half of one without error
UNKNOWN = 0.25  # the quantile of the scores that a text like no other is expected to have


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
    vectors, level = sparse_ngrams(known), float(np.quantile(values, UNKNOWN))
    weights = np.array(rows) / (np.array(rows) + ROWS_DOUBT)
    ridge = KernelRidge(alpha=1.0, kernel="precomputed")
    ridge.fit((vectors @ vectors.T).toarray(), np.array(values) - level, sample_weight=weights)
    guessed = level + ridge.predict((sparse_ngrams(texts) @ vectors.T).toarray())
    # Rounded, so that the last bits of a matrix product decide nothing.
    return guessed.round(6)
