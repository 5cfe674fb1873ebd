"""Stand-ins for the optimizer of a numeric problem: a perfect one, a random one, and one that
repeats itself.
"""

from __future__ import annotations

import re
from random import Random

from opro_local.types import Request


def random_pair(request: Request) -> str:
    """A uniform pair on the default grid, by the request's seed."""
    draw = Random(request.sampling.seed)
    return f"[{draw.randint(-50, 50)}, {draw.randint(-50, 50)}]"


def perfect_pair(request: Request) -> str:
    """The default true pair."""
    return "Let me think: [w, b] is [15, 14]"


def repeated_pair(request: Request) -> str:
    """Always the same pair."""
    return "[12, 12]"


def random_tour(request: Request) -> str:
    """A uniform tour of as many cities as the meta-prompt lists, or a uniform choice where one is
    asked for.
    """
    draw = Random(request.sampling.seed)
    if request.sampling.constraint:
        return draw.choice(request.sampling.constraint.value)
    cities = list(range(1, len(re.findall(r"\(\d+\): \(", request.prompt.text))))
    draw.shuffle(cities)
    return f"<trace> {','.join(map(str, [0, *cities]))} </trace>"


def no_tour(request: Request) -> str:
    """Never a tour."""
    return "<trace> 0,1,1 </trace>"
