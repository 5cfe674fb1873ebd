"""A bandit that divides a step's proposals among the ways to propose, by what each has gained.

For: Thompson sampling on realised gains. Not for: what the ways are, or what a gain is (proposing.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

DOUBT = 0.1  # the spread of one gain; what is hoped of a way before it was tried weighs as much as one trial


def divide(
    gains: Mapping[str, Sequence[float]], hopes: Mapping[str, float], count: int, rng: np.random.Generator
) -> list[str]:
    """Choose a way for each of `count` proposals.

    For each proposal a mean gain is drawn from what is believed of every way, and the highest draw has it: a normal
    posterior with known spread (Thompson 1933). A way that pays is chosen more often, one that seldom was tried still
    has its chance.

    Args:
        gains: for each way the gains of its proposals so far, 0 for one that came to nothing.
        hopes: for each way the gain hoped for before it was tried.
        count: how many proposals.
        rng: the source of chance.
    """
    names = list(gains)
    tried = np.array([len(gains[name]) for name in names])
    mean = np.array([hopes[name] + sum(gains[name]) for name in names]) / (tried + 1)
    drawn = rng.normal(mean, DOUBT / np.sqrt(tried + 1), (count, len(names)))
    return [names[int(best)] for best in drawn.argmax(axis=1)]
