"""What one engine gets of the GPUs, and how a plan tells it as data.

For: the figures of a part, and what of a GPU can be used. Not for: who gets what (choose.py), or
sentences (words.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from opro_local.engines.gpus import Gpu
from opro_local.placement.demand import GIB, Demand

Choice = Literal["single", "shared", "apart", "split", "swap", "none"]

HEADROOM = GIB // 2


@dataclass(frozen=True, slots=True)
class Part:
    """What one engine gets on each GPU it uses, in bytes: `memory` in all, `cache` of it for the KV
    cache.

    `gpu` is the fullest of its GPUs. `devices` are the places of those that no other engine uses,
    among all that are there; empty where it has none of its own, and then it uses the first ones.
    """

    demand: Demand
    memory: int
    cache: int
    gpu: Gpu
    devices: tuple[int, ...] = ()

    @property
    def sequences(self) -> int:
        """How many sequences of the full context fit the cache at once; 0 where that is not
        known.
        """
        return self.cache // self.demand.sequence if self.demand.sequence else 0


def usable(gpu: Gpu) -> int:
    """What a plan hands out of a GPU's free memory, in bytes."""
    return max(0, gpu.free - HEADROOM)


def row(demand: Demand, part: Part | None) -> dict[str, Any]:
    """One engine of a plan as JSON-able data, see docs/placement.md; no part where nothing fits."""
    return {
        "roles": demand.roles.split(" and "),
        "model": demand.model,
        "context": demand.context,
        "concurrency": demand.concurrency,
        "gpus": demand.gpus,
        "workers": demand.workers,
        "devices": list(part.devices or range(demand.gpus * demand.copies)) if part else None,
        "weights": demand.weights,
        "working": demand.working,
        "sequence": demand.sequence,
        "least": demand.least,
        "memory": part.memory if part else None,
        "cache": part.cache if part else None,
        "sequences": part.sequences if part else None,
        "vllm": _logged(demand, part),
        "notes": list(demand.notes),
    }


def _logged(demand: Demand, part: Part | None) -> dict[str, float] | None:
    """The figures that vLLM logs when one worker starts, as this plan has them; None where nothing
    fits, or the cache is left to vLLM.
    """
    if part is None or not part.cache or not demand.sequence or demand.weights is None:
        return None
    cache = part.cache / demand.workers
    concurrency = cache / demand.sequence
    return {
        "model_loading_gib": round(demand.weights / GIB, 2),
        "kv_cache_gib": round(cache / GIB, 2),
        "kv_cache_tokens": int(concurrency * demand.context),
        "concurrency": round(concurrency, 2),
    }
