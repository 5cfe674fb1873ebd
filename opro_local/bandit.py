"""A bandit that divides a step's proposals among the ways to propose, by what each has gained.

For: Thompson sampling on realised gains. Not for: what the ways are, or what a gain is (proposing.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

DOUBT = 0.07  # the spread of one gain; what is hoped of a way before it was tried weighs as much as one trial


def divide(
    kinds: Sequence[tuple[float, Mapping[str, Sequence[float]]]], count: int, rng: np.random.Generator
) -> list[str]:
    """Choose a way for each of `count` proposals: first the kind, by the gains of all its ways, then one of its ways.

    For each proposal a mean gain is drawn from what is believed of every kind, and the highest draw has it: a normal
    posterior with known spread (Thompson 1933); within the kind the same again. What pays is chosen more often, what
    seldom was tried still has its chance; and where a kind never pays, that is learnt from all its ways together.

    Args:
        kinds: for each kind the gain hoped for before it was tried, and for each of its ways the gains of its
            proposals so far, 0 for one that came to nothing.
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
    drawn = rng.normal(mean, DOUBT / np.sqrt(tried + 1), (count, len(gains)))
    return [int(best) for best in drawn.argmax(axis=1)]
