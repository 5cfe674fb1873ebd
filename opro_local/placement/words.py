"""A plan's reasons as sentences with their numbers.

For: what a user reads of a placement. Not for: making one (choose.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.engines.gpus import Gpu
from opro_local.placement.demand import GIB, Demand
from opro_local.placement.part import Choice, Part, usable


def sentence(choice: Choice, gpu: Gpu, parts: Sequence[Part], how: str) -> str:
    """How engines share one GPU."""
    each = "; ".join(f"{part.demand.roles} {_contents(part)}" for part in parts)
    return f"{choice} on {gpu.name}, {gib(gpu.free)} free ({how}): {each}"


def sentence_apart(parts: Sequence[Part]) -> str:
    """How engines lie on GPUs of their own."""
    each = "; ".join(_part_apart(part) for part in parts)
    return f"apart, with GPUs of its own for each engine: {each}"


def _part_apart(part: Part) -> str:
    devices = ", ".join(map(str, part.devices))
    gpu = f"{part.gpu.name}, {gib(part.gpu.free)} free"
    return f"{part.demand.roles} on GPU {devices} ({gpu}) {_contents(part)}"


def _contents(part: Part) -> str:
    loading = part.demand.quantizing and f" before {part.demand.quantizing}"
    several = f"{part.demand.workers} times " if part.demand.workers > 1 else ""
    weights = f"{several}{gib(part.demand.weights)} of weights{loading}"
    if part.demand.is_open:
        return f"{weights} and a cache that vLLM alone can size, as the config does not tell it"
    return (
        f"{weights} and {gib(part.cache)} of cache, "
        f"{part.sequences} sequences of {part.demand.context} tokens at once"
    )


def refusal(demands: Sequence[Demand], gpu: Gpu) -> str:
    """Why nothing fits."""
    each = "; ".join(_needs(demand) for demand in demands)
    return f"no place on {gpu.name}: {gib(usable(gpu))} of {gib(gpu.total)} can be used; {each}"


def _needs(demand: Demand) -> str:
    cache = f"for one sequence of {demand.context} tokens"
    if demand.cache is not None:
        cache = "as set"
    elif demand.is_open:
        cache = "as the config does not tell what a sequence takes"
    share = "" if demand.share is None else f", gpu_memory is {demand.share:g}"
    several = f"for each of {demand.workers} workers " if demand.workers > 1 else ""
    return (
        f"{demand.roles} needs {gib(demand.least)} ({several}weights {gib(demand.weights)}, "
        f"cache {gib(demand.least_cache)} {cache}, "
        f"working memory about {gib(demand.working)}){share}"
    )


def gib(memory: int) -> str:
    """Bytes as people read them."""
    return f"{memory / GIB:.1f} GiB"
