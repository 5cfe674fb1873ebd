"""A scripted model with what the contract asks of any model: greedy repeats, seeds differ, long replies are cut."""

import hashlib

from opro_local.types import Request


def reply(request: Request) -> str:
    """Forty words that depend on the prompt, and on the seed where the request is sampled."""
    prompt, sampling = request.prompt, request.sampling
    seed = sampling.seed if sampling.temperature else None
    whole = f"{prompt!r} {seed}".encode("utf-8", "surrogatepass")
    return " ".join(hashlib.sha256(whole + bytes([i])).hexdigest()[:4] for i in range(40))
