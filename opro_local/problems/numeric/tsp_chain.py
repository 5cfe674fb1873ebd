"""A tour built city by city under a constraint, so that a model of any size gives a tour.

For: what is asked next, and the reply that the whole makes. Not for: choosing models or reading
tours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from opro_local.types import Completion, Constraint, FinishReason, Prompt, Request, Sampling

TOKENS = 8  # for one city: three digits, a comma, the end, and room for odd tokenizers


@dataclass(frozen=True, slots=True)
class Chain:
    """A tour in the making.

    Attributes:
        tour: the cities so far; the first is 0.
        nodes: how many there are.
        sampling: how the reply is to be drawn.
        spent: prompt, cached and completion tokens so far.
        broken: the completion that was no city, if one was; nothing is asked after it.
    """

    tour: tuple[int, ...]
    nodes: int
    sampling: Sampling
    spent: tuple[int, int, int] = (0, 0, 0)
    broken: Completion | None = None

    def request(self, prompt: Prompt, lead: str) -> Request:
        """Ask for the next city among those that remain; `lead` is how the reply begins, city 0
        included.
        """
        position = len(self.tour)
        limit = Constraint("choice", tuple(f"{city}," for city in self.left()))
        sampling = replace(
            reseeded(self.sampling, position), max_tokens=TOKENS, stop=(), constraint=limit
        )
        return Request(
            replace(prompt, prefill=lead + "".join(f"{city}," for city in self.tour[1:])), sampling
        )

    def left(self) -> list[int]:
        """The cities not yet visited."""
        return [city for city in range(1, self.nodes) if city not in self.tour]

    def grown(self, done: Completion) -> Chain:
        """The chain after a reply; the last city that remains needs none."""
        prompt, cached, completion = self.spent
        spent = (
            prompt + done.prompt_tokens,
            cached + done.cached_tokens,
            completion + done.completion_tokens,
        )
        chosen = done.text.strip().rstrip(",")
        if done.finish_reason == "too_long" or chosen not in map(str, self.left()):
            return replace(self, spent=spent, broken=done)
        longer = replace(self, tour=(*self.tour, int(chosen)), spent=spent)
        left = longer.left()
        return replace(longer, tour=(*longer.tour, *left)) if len(left) == 1 else longer

    def completion(self, lead: str, close: str) -> Completion:
        """The reply that the chain makes: `lead`, the cities after 0 and `close`; of a broken one
        what there is.
        """
        cities = ",".join(map(str, self.tour[1:]))
        if self.broken is None:
            return Completion(f"{lead}{cities}{close}", "stop", *self.spent)
        too_long = self.broken.finish_reason == "too_long"
        reason: FinishReason = "too_long" if too_long else "length"
        return Completion(f"{lead}{cities},{self.broken.text}", reason, *self.spent)


def reseeded(sampling: Sampling, purpose: int) -> Sampling:
    """The same sampling with a seed of its own, derived from its seed and the purpose."""
    if sampling.seed is None:
        return sampling
    return replace(
        sampling, seed=int(np.random.SeedSequence((sampling.seed, purpose)).generate_state(1)[0])
    )
