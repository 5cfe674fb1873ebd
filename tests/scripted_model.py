"""A deterministic stand-in for both models, for tests and scripts/bench_host.py.

As scorer it answers right more often the more of a fixed set of words an instruction holds; as
optimizer it appends words drawn by the request's seed to "Question".
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from opro_local.types import Request

WORDS = (
    "carefully",
    "briefly",
    "always",
    "read",
    "think",
    "the",
    "text",
    "label",
    "please",
    "then",
)
GOOD = {"carefully", "read", "think"}


def answer(request: Request) -> str:
    """The reply to a request of either role."""
    if request.sampling.seed is not None:
        return propose(request.sampling.seed)
    return score(request.prompt.text)


def writing(reply: Callable[[], str]) -> Callable[[Request], str]:
    """The same, but as optimizer it replies what `reply` gives, whatever it is asked."""
    return lambda request: answer(request) if request.sampling.seed is None else reply()


def propose(seed: int) -> str:
    """Four words that depend on the seed alone, in the marks of every form."""
    picked = [WORDS[(seed // 10**i) % 10] for i in range(4)]
    return " ".join(["Answer", *picked]) + "?"


def score(text: str) -> str:
    """ "positive" or "negative": right with a probability that grows with the good words in the
    text.
    """
    truth = "positive" if "good" in text else "negative"
    share = 40 + 18 * len(GOOD & set(re.findall(r"\w+", text.lower())))
    right = zlib.crc32(text.encode("utf-8", "replace")) % 100 < share
    return truth if right else {"positive": "negative", "negative": "positive"}[truth]
