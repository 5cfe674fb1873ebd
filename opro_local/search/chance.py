"""All chance of a run, derived from (run seed, step, purpose) and never carried along.

For: the seeds of every random choice, so that a resumed run makes the same ones. Not for: the
choices.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from opro_local.config.settings import Config
from opro_local.tasks.division import by_kind

# Each purpose has a number of its own; changing one would change every run.
SAMPLING, EXEMPLARS, ORDER, ROWS, PARENTS, DIVISION, DRAWS, PARAGRAPHS, WRITTEN_FROM, OPENERS = (
    range(1, 11)
)
MINIBATCHES = 11


def seeds(config: Config, step: int, purpose: int) -> np.random.SeedSequence:
    """The seed sequence of a purpose in a step."""
    return np.random.SeedSequence((config.run.seed, step, purpose))


def generator(config: Config, step: int, purpose: int) -> np.random.Generator:
    """A random generator of its own for a purpose in a step."""
    return np.random.default_rng(seeds(config, step, purpose))


def in_turns(kinds: Sequence[Hashable], rng: np.random.Generator) -> list[int]:
    """All positions of `kinds` in a random order in which the kinds take turns, for as long as each
    has any left.
    """
    turns = by_kind(kinds, rng)
    longest = max(map(len, turns), default=0)
    order = []
    for turn in range(longest):
        order += [own[turn] for own in turns if turn < len(own)]
    return order
