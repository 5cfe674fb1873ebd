"""How a request is to be answered, in vLLM's own words.

For: one SamplingParams a request. Not for: the engine, or what a constraint means (constraints.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from opro_local.engines.constraints import dialect
from opro_local.types import Constraint, Sampling

# A reply whose last tokens are one pattern so many times, of so many tokens, loops. A pattern of 1
# to 47 tokens is also one of these lengths, repeated, and fewer lengths cost less: 7 us a token
# against 44 for 1 to 64 (docs/benchmarks/2026-11-plan.md).
LOOP_TOKENS, LOOP_COUNT = (24, 47), 4


def sampling_params(samplings: Sequence[Sampling]) -> Iterator[Any]:
    """One SamplingParams per request; equal greedy ones are one object, as building one costs 20
    microseconds.

    vLLM copies it for each request. A shallow copy will do, as nothing in it is changed but what is
    equal for all; what compiles a grammar keeps state of its own.
    """
    from vllm import SamplingParams

    can_skip = hasattr(SamplingParams, "skip_clone")  # newer versions have it
    built: dict[Sampling, Any] = {}
    for sampling in samplings:
        if sampling not in built:
            greedy = sampling.temperature == 0
            built[sampling] = SamplingParams(
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=1.0 if greedy else sampling.top_p,
                seed=None if greedy else sampling.seed,
                stop=list(sampling.stop),
                structured_outputs=_structured(sampling.constraint),
                **_loop_end(sampling),
            )
            if can_skip and sampling.constraint is None:
                built[sampling].skip_clone = True
        yield built[sampling]


def _loop_end(sampling: Sampling) -> dict[str, Any]:
    """What makes vLLM end a reply that loops; nothing where this version can't."""
    if not sampling.ends_loops:
        return {}
    try:
        from vllm.sampling_params import RepetitionDetectionParams
    except ImportError:
        return {}
    least, most = LOOP_TOKENS
    return {"repetition_detection": RepetitionDetectionParams(most, least, LOOP_COUNT)}


def _structured(constraint: Constraint | None) -> Any:
    from vllm.sampling_params import StructuredOutputsParams

    if constraint is None:
        return None
    kind, text = dialect(constraint)
    values: dict[str, Any] = {kind: text}
    return StructuredOutputsParams(**values)
