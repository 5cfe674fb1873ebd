"""A scripted model with what the contract asks of any model: greedy repeats, seeds differ, long
replies are cut.
"""

import hashlib
import re

from opro_local.types import Constraint, Request


def reply(request: Request) -> str:
    """Forty words that depend on the prompt, and on the seed where the request is sampled."""
    prompt, sampling = request.prompt, request.sampling
    seed = sampling.seed if sampling.temperature else None
    whole = f"{prompt!r} {seed}".encode("utf-8", "surrogatepass")
    if sampling.labels:
        return sorted(sampling.labels)[hashlib.sha256(whole).digest()[0] % len(sampling.labels)]
    if sampling.constraint:
        return obedient(sampling.constraint, hashlib.sha256(whole).digest())
    return " ".join(hashlib.sha256(whole + bytes([i])).hexdigest()[:4] for i in range(40))


def obedient(constraint: Constraint, draw: bytes) -> str:
    """A reply that the constraint allows. Of regexes it knows the contract's: classes and signs,
    each with a count.
    """
    if constraint.kind == "choice":
        return constraint.value[draw[0] % len(constraint.value)]
    if constraint.kind == "json":
        return '{"w":3,"words":["a","b"]}'
    if constraint.kind == "grammar":
        return "<A,B,C>"
    classes = {"[0-9]": str(draw[0] % 10), "[a-z]": "abcxyz"[draw[0] % 6]}
    parts = re.findall(r"(\[.-.\]|[-, ])(?:\{(\d+)(?:,\d+)?\})?", constraint.value)
    return "".join(classes.get(sign, sign) * int(count or 1) for sign, count in parts)
