"""A test of two arms that may be looked at after every outcome: a betting e-process for a
difference of means.

For: randomised arms with scores in [0, 1], any share of traffic, means that drift together. Not
for: who is in which arm, when to stop waiting, or any I/O.

The t-th user goes to the challenger (a = 1) with the known probability `share`, whatever happened
before. With c, a guess of the mean score made before the outcome y is seen,

    x = (a - share) / (share * (1 - share)) * (y - c)

has the conditional mean m1 - m0, challenger's mean minus champion's, because a - share has the mean
0 (the importance-weighted, centred outcome of Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro,
"Anytime-valid off-policy inference for contextual bandits", arXiv 2210.10768, section 2). Where m1
- m0 <= d holds at every t, the wealth of a gambler who bets the fraction b on x being above d,

    E_t = mean over b of  product over s <= t of  1 + b * (x_s - d),        0 < b, b * (x - d) > -1,

is a non-negative supermartingale that starts at 1 (Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting", arXiv 2010.09686, section 4; the mean over fixed bets instead
of one tuned bet is Orabona and Jun's universal portfolio, arXiv 2110.14099, on a grid). By Ville's
inequality it ever reaches 1 / alpha with
probability at most alpha: not at one look, at all of them together. Nothing is assumed of the
scores but their range.
"""

from __future__ import annotations

import math

import numpy as np

# Bets fall from the largest allowed one by this factor: neighbours lose at most a third of the best
# growth between them, and the smallest, 1/43 of the largest, is right for a difference of one
# point.
RATIO, BETS = 1.6, 9


def gaps(challenger: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """The x of the module's formula: one unbiased guess of challenger minus champion per outcome.

    Args:
        challenger: bool, shape (..., n): who was assigned to the challenger, in the order of the
        outcomes.
        scores: the same shape, in [0, 1].
        share: the probability of the challenger, in (0, 1).

    Returns:
        shape (..., n), within ±1 / min(share, 1 - share). A later outcome changes no earlier gap.
    """
    scores = np.asarray(scores, dtype=float)
    before = np.cumsum(scores, axis=-1) - scores
    centre = (before + 0.5) / (np.arange(scores.shape[-1]) + 1)
    return np.where(challenger, 1 / share, -1 / (1 - share)) * (scores - centre)


def bets(share: float) -> np.ndarray:
    """The fractions that are bet, shape (9,): no outcome and no difference in [-1, 1] can lose
    everything.
    """
    largest = 0.99 / (1 / min(share, 1 - share) + 1)
    return largest * RATIO ** -np.arange(BETS, dtype=float)


def log_evidence(found: np.ndarray, share: float, difference: float = 0.0) -> np.ndarray:
    """log E_t against "the challenger is better by at most `difference`", after each outcome.

    For evidence against "better by at least `difference`" give the negated gaps and the negated
    difference.

    Args:
        found: shape (..., n), from `gaps`.
        share: as given to `gaps`.
        difference: in [-1, 1].

    Returns:
        shape (..., n). It crosses log(1 / alpha) somewhere with probability at most alpha where the
        claim is true.
    """
    total = np.full(found.shape, -np.inf)
    for bet in bets(share):
        np.logaddexp(total, np.cumsum(np.log1p(bet * (found - difference)), axis=-1), out=total)
    return total - math.log(BETS)


def crossing(log_e: np.ndarray, alpha: float) -> np.ndarray:
    """How many outcomes had been seen when the evidence first reached 1 / alpha; 0 where it never
    did.

    Args:
        log_e: shape (..., n), from `log_evidence`.

    Returns:
        integers, shape (...), from 1 to n or 0.
    """
    since = np.logical_or.accumulate(log_e >= -math.log(alpha), axis=-1).sum(axis=-1)
    return np.where(since > 0, log_e.shape[-1] - since + 1, 0)


def anytime_p(log_e: np.ndarray) -> float:
    """The p-value that stays valid whenever it is looked at: 1 / the evidence's maximum so far, at
    most 1.
    """
    return float(math.exp(-max(0.0, log_e.max(initial=0.0))))


def interval(found: np.ndarray, share: float, alpha: float, harm: float) -> tuple[float, float]:
    """The differences not yet ruled out at any look: a confidence sequence, valid at all looks
    together.

    Its lower end is above 0 exactly when the test at `alpha` has shown the challenger better, its
    upper end below 0 exactly when the test at `harm` has shown it worse. A constant difference lies
    in it at every look with probability at least 1 - alpha - harm.

    Args:
        found: shape (n,), from `gaps`.
        alpha, harm: the error rates of the lower and of the upper end, in (0, 1).
    """
    return _lower(found, share, alpha), -_lower(-found, share, harm)


def _lower(found: np.ndarray, share: float, alpha: float) -> float:
    """The largest difference that the evidence rules out as an upper bound. It falls with the
    difference: bisect.
    """
    if crossing(log_evidence(found, share, -1.0), alpha) == 0:
        return -1.0
    ruled_out, possible = (0.0, 1.0) if crossing(log_evidence(found, share), alpha) else (-1.0, 0.0)
    while possible - ruled_out > 1e-4:
        middle = (ruled_out + possible) / 2
        if crossing(log_evidence(found, share, middle), alpha):
            ruled_out = middle
        else:
            possible = middle
    # Just above 0 where 0 itself is ruled out, as promised; never above what was ruled out.
    return ruled_out if ruled_out != 0.0 else math.nextafter(0.0, 1.0)


def imbalance(challengers: int, champions: int, share: float) -> float:
    """log evidence that the arms' sizes don't fit the share: outcomes of one arm are lost, or
    assigned otherwise.

    A beta mixture against the binomial of the share (Lindon and Malek, "Anytime-valid inference for
    multinomial count data", arXiv 2011.03567, section 3), centred on the share with the weight of
    100 outcomes. Valid at all looks: it ever reaches log(1 / alpha) with probability at most alpha
    where the arms are as assigned.
    """
    a, b = 100 * share, 100 * (1 - share)
    mixed = _log_beta(a + challengers, b + champions) - _log_beta(a, b)
    return mixed - challengers * math.log(share) - champions * math.log1p(-share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
