"""Selection: which operators propose, which parents they start from, and which drafts are worth
scoring.

For: three choices of a mixed search, each a pure function of the scores so far and a random
generator. Not for: what an operator does (moves.py, the meta-prompt forms), or where drafts come
from (drafting.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    tallies = []
    for _, gains in kinds:
        # Summed as arrays: thousands of gains are looked at in every step.
        sums = [float(np.asarray(own, float).sum()) for own in gains.values()]
        tallies.append((np.array([len(own) for own in gains.values()]), np.array(sums)))
    hopes = [hope for hope, _ in kinds]
    tried = np.array([own.sum() for own, _ in tallies])
    earned = np.array([own.sum() for _, own in tallies])
    chosen = _highest(np.array(hopes), tried, earned, count, rng)
    # Drawn for every candidate in every kind, so that what one kind gained moves no other's draws.
    within = [_highest(hope, *own, count, rng) for hope, own in zip(hopes, tallies, strict=True)]
    operators = [list(gains) for _, gains in kinds]
    return [operators[kind][within[kind][place]] for place, kind in enumerate(chosen)]


def _highest(
    hope: float | np.ndarray,
    tried: np.ndarray,
    gained: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    """For each of `count` candidates the place of the highest draw.

    Args:
        hope: the gain hoped for before anything was tried.
        tried, gained: shape (places,): how often each was, and the sum of its gains.
        count: how many candidates.
        rng: the source of chance.
    """
    mean, spread = (hope + gained) / (tried + 1), GAIN_SPREAD / np.sqrt(tried + 1)
    drawn = rng.normal(mean, spread, (count, len(tried)))
    return [int(best) for best in drawn.argmax(axis=1)]


class RowWinners:
    """What each solution's wins on train rows are worth, kept as the trajectory grows.

    On each row the solutions with the highest score share 1. Rows on which all earned the same say
    nothing and are left out. Who wins where is kept as one bit for each pair, so that tens of
    thousands of solutions stay small.

    Args:
        trajectory: what was scored so far; it may grow.
    """

    def __init__(self, trajectory: Trajectory) -> None:
        self._trajectory = trajectory
        self._begin()

    def weights(self) -> np.ndarray:
        """For each of the trajectory's distinct solutions what its wins are worth, shape (n,).

        0 for those that win nowhere or were not scored on all rows; where no row tells solutions
        apart, 1 for all.
        """
        self._take_new()
        if not self._is_known or not self._differs.any():
            return np.ones(self._taken)
        worth = np.where(self._differs, 1 / np.maximum(self._winners, 1), 0.0)
        padded = np.zeros(8 * self._bits.shape[1])
        padded[: len(worth)] = worth
        # What each value of a byte of eight rows is worth.
        byte_worth = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        weights = np.zeros(self._taken)
        for column, rows in enumerate(padded.reshape(-1, 8)):
            weights += (byte_worth @ rows)[self._bits[: self._taken, column]]
        return weights

    def _begin(self) -> None:
        """Know of no solution."""
        self._revision, self._taken = self._trajectory.revision, 0
        self._is_known = False

    def _take_new(self) -> None:
        """Look at what the trajectory gained."""
        if self._revision != self._trajectory.revision:
            self._begin()
        distinct = self._trajectory.distinct
        while self._taken < len(distinct):
            entry = distinct[self._taken]
            if not self._is_known and not entry.partial:
                self._first(entry.score.values)
            self._grow(len(distinct))
            if not entry.partial:
                self._take(self._taken, entry.score.values)
            self._taken += 1

    def _first(self, values: np.ndarray) -> None:
        """Make room for as many rows as there are."""
        self._is_known = True
        self._best, self._lead = values.copy(), values
        self._differs = np.zeros(len(values), bool)
        self._winners = np.zeros(len(values), np.int64)
        self._bits = np.zeros((self._taken + 1, -(-len(values) // 8)), np.uint8)

    def _grow(self, count: int) -> None:
        """Make room for so many solutions, and for as many again where room is made."""
        if self._is_known and len(self._bits) < count:
            bits = np.zeros((2 * count, self._bits.shape[1]), np.uint8)
            bits[: len(self._bits)] = self._bits
            self._bits = bits

    def _take(self, place: int, values: np.ndarray) -> None:
        """Note where a solution wins, and who no longer does for that."""
        self._differs |= values != self._lead
        better = values > self._best
        if better.any():
            self._best[better] = values[better]
            self._winners[better] = 0
            self._bits[:place] &= ~np.packbits(better)
        wins = values == self._best
        self._winners += wins
        self._bits[place] = np.packbits(wins)


def parents(
    trajectory: Trajectory,
    winners: RowWinners,
    count: int,
    rng: np.random.Generator,
    exploration: float = 0.0,
) -> list[Entry]:
    """Draw `count` parents with repetition: every other one from the best, the rest from those that
    win on some rows (as GEPA does, arXiv 2507.19457).

    Of the best the first is drawn twice as often as the second, and so on; of the others each as
    often as the rows that it wins are worth (see `RowWinners`).

    Args:
        trajectory: what was scored so far.
        winners: of the same trajectory.
        count: how many.
        rng: the source of chance.
        exploration: what a best one's similarity to those before it costs (see Trajectory.top).
    """
    best = trajectory.top(TOP, exploration)
    by_rank = _cumulative(0.5 ** np.arange(len(best)))
    order = trajectory.order("whole")
    by_wins = _cumulative(winners.weights()[order])
    drawn = []
    for number in range(count):
        if number % 2 == 0:
            drawn.append(best[_drawn(by_rank, rng)])
        else:
            drawn.append(trajectory.distinct[order[_drawn(by_wins, rng)]])
    return drawn


def _cumulative(weights: np.ndarray) -> np.ndarray:
    """The cumulative shares of weights, as Generator.choice makes them in every call."""
    shares = (weights / weights.sum()).cumsum()
    return shares / shares[-1]


def _drawn(cumulative: np.ndarray, rng: np.random.Generator) -> int:
    """A place drawn by these shares: what Generator.choice draws, without its checks."""
    return int(cumulative.searchsorted(rng.random(), side="right"))


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
