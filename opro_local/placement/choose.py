"""Decides, before anything loads, how the models of a run share GPUs: one engine, apart, side by
side or in turns.

For: the choice. Not for: what each engine needs (demand.py), the reasons in words (words.py),
reading model folders (models/footprint.py) or GPUs (engines/gpus.py), or starting engines (runs/).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from opro_local.engines.gpus import Gpu
from opro_local.engines.settings import EngineSettings
from opro_local.placement.demand import BATCHED_TOKENS, CONTEXT_AND_GRAPHS, RUNNING, Demand
from opro_local.placement.part import Choice, Part, row, usable
from opro_local.placement.words import gib, refusal, sentence, sentence_apart

Wanted = Literal["auto", "split", "swap"]

SHARE = 0.92  # vLLM's own
# Host memory that sleeping weights take, in their size: PyTorch rounds it up to powers of two.
PINNED = 2
# Cache beyond that was never seen to help, and free memory makes a start safer.
MOST_SEQUENCES = 64


@dataclass(frozen=True, slots=True)
class Placement:
    """The choice, in bytes and in words.

    Attributes:
        choice: "single" (one engine, one role), "shared" (one engine, several roles), "apart"
            (several engines, each on GPUs of its own), "split" (several side by side), "swap"
            (several, one at a time) or "none" (nothing fits).
        gpu: the fullest of the GPUs used.
        parts: what each engine gets; empty for "none". In a swap each has the GPU to itself, less
        what sleepers keep.
        demands: what each engine asked for.
        why: one sentence with the numbers.
        sleep: how engines in a swap leave the GPU, see EngineSettings; 0 stops them.
        lacks_gpus: whether nothing fits because there are fewer GPUs than were asked for.
    """

    choice: Choice
    gpu: Gpu
    parts: tuple[Part, ...]
    demands: tuple[Demand, ...]
    why: str
    sleep: Literal[0, 1, 2] = 0
    lacks_gpus: bool = False

    @property
    def asks_engine(self) -> bool:
        """Whether one engine is left to try what doesn't fit by these numbers: they may be too
        high, and it says in its own words what it lacks.
        """
        is_one = len(self.demands) == 1 and self.demands[0].workers * self.demands[0].copies == 1
        return self.choice == "none" and is_one and not self.lacks_gpus

    def settings_for(self, index: int, settings: EngineSettings) -> EngineSettings:
        """The settings of the engine of this part: what its user has set stays.

        Alone on the GPU, vLLM sizes its cache itself. Beside others it can't: it takes their memory
        for its own.
        """
        part = self.parts[index]
        if self.choice != "split" and part.demand.workers == 1:
            share = settings.gpu_memory or min(SHARE, _share(part.memory, part.gpu))
            return replace(settings, gpu_memory=share, sleep=self.sleep)
        return replace(
            settings,
            gpu_memory=settings.gpu_memory or _share(part.memory, part.gpu),
            kv_cache_bytes=part.cache or None,
            max_num_seqs=settings.max_num_seqs or RUNNING,
            engine_args={"max_num_batched_tokens": BATCHED_TOKENS, **settings.engine_args},
        )

    def described(self) -> dict[str, Any]:
        """The plan as JSON-able data; its shape is documented in docs/placement.md."""
        gets = {part.demand.roles: part for part in self.parts}
        return {
            "choice": self.choice,
            "why": self.why,
            "sleep": self.sleep,
            "gpu": {
                "name": self.gpu.name,
                "total": self.gpu.total,
                "free": self.gpu.free,
                "usable": usable(self.gpu),
            },
            "engines": [row(demand, gets.get(demand.roles)) for demand in self.demands],
        }


def plan(
    demands: Sequence[Demand], gpus: Sequence[Gpu], wanted: Wanted = "auto", host: int = 0
) -> Placement:
    """Choose how these engines share the GPUs.

    One engine gets the first GPU to itself, or, where that holds too little, the one with the most
    free memory. Each of several gets one of its own where there are enough. Failing that, they
    stand side by side if each can hold at least one sequence of its full context; the rest of the
    memory is divided by what they would like, `concurrency` sequences each. Failing that, or on
    wish, each has the GPU while it is asked; meanwhile the others sleep if they can and the GPU has
    room for it.

    Args:
        demands: one per engine; roles with equal settings are one engine already.
        gpus: what is there, at least one.
        wanted: "auto", or the way that several engines must share.
        host: the host's free memory in bytes, where weights can sleep.

    Returns:
        the plan; its choice is "none" when nothing fits.
    """
    used = max(d.gpus for d in demands)
    gpu = min(gpus[:used], key=lambda gpu: gpu.free)
    if len(gpus) < used:
        why = (
            f"{used} GPUs are asked for by tensor_parallel and pipeline_parallel, "
            f"{len(gpus)} are there"
        )
        return Placement("none", gpu, (), tuple(demands), why, lacks_gpus=True)
    side = _side_by_side(demands, gpu) if len(demands) > 1 and wanted != "swap" else ()
    apart = _apart(demands, gpus) if wanted == "auto" else ()
    # By the estimate of working memory, GPUs that others use may hold too little, where the first
    # one holds all.
    if apart and (not side or _fit_by_estimate(apart)):
        fullest = min((part.gpu for part in apart), key=lambda gpu: gpu.free)
        return Placement("apart", fullest, apart, tuple(demands), sentence_apart(apart))
    if side:
        return Placement(
            "split", gpu, side, tuple(demands), sentence("split", gpu, side, "side by side")
        )
    alone = tuple(part for d in demands if (part := _part_alone(d, gpu)))
    if not alone and len(demands) == 1:
        # Where there are too few for all copies, the one that holds too little is among them.
        alone = _handed_out(demands, gpus, _freest_first(gpus))
    if len(alone) < len(demands) or (len(demands) > 1 and wanted == "split"):
        why = refusal(demands, gpu)
        if wanted == "auto" and _enough(demands, gpus) and len(gpus) > used:
            nor = "apart" if len(demands) > 1 else "elsewhere"
            memories = ", ".join(gib(usable(gpu)) for gpu in gpus)
            why += f"; nor {nor}: of GPU 0, 1 and so on {memories} can be used"
        return Placement("none", gpu, (), tuple(demands), why)
    if len(demands) > 1:
        why = "as asked for" if wanted == "swap" else _why_not_split(demands)
        return _swap(demands, gpu, alone, f"one at a time, {why}", host)
    return _one_engine(alone[0])


def _one_engine(part: Part) -> Placement:
    choice: Choice = "shared" if " and " in part.demand.roles else "single"
    how = (
        "one engine for all roles, as their model and settings are the same"
        if choice == "shared"
        else "one engine"
    )
    if part.devices:
        how += f"; on GPU {', '.join(map(str, part.devices))}, as the first holds too little"
    return Placement(
        choice, part.gpu, (part,), (part.demand,), sentence(choice, part.gpu, (part,), how)
    )


def _apart(demands: Sequence[Demand], gpus: Sequence[Gpu]) -> tuple[Part, ...]:
    """Every engine's part on GPUs of its own, or none at all: there are too few, or they are too
    small.

    GPUs of one size are handed out in their order, as neighbours are often linked. Where they
    differ, or so handed out
    hold too little, the engine that needs most gets those with the most free memory: no other order
    fits more.
    """
    if len(demands) == 1 or not _enough(demands, gpus):
        return ()
    if len({gpu.total for gpu in gpus}) == 1:
        parts = _handed_out(demands, gpus, range(len(gpus)))
        if parts and _fit_by_estimate(parts):
            return parts
    by_need = sorted(demands, key=lambda d: -d.least_alone)
    parts = _handed_out(by_need, gpus, _freest_first(gpus))
    return tuple(sorted(parts, key=lambda part: demands.index(part.demand)))


def _enough(demands: Sequence[Demand], gpus: Sequence[Gpu]) -> bool:
    """Whether each engine can have GPUs of its own."""
    return len(gpus) >= sum(d.gpus * d.copies for d in demands)


def _freest_first(gpus: Sequence[Gpu]) -> list[int]:
    return sorted(range(len(gpus)), key=lambda place: -gpus[place].free)


def _handed_out(
    demands: Sequence[Demand], gpus: Sequence[Gpu], places: Sequence[int]
) -> tuple[Part, ...]:
    """Every engine's part if each takes as many of the places as it needs, in order; none at all if
    one can't fit.
    """
    parts, taken = [], 0
    for d in demands:
        own = tuple(places[taken : taken + d.gpus * d.copies])
        taken += len(own)
        part = _part_alone(d, min((gpus[place] for place in own), key=lambda gpu: gpu.free))
        if part is None:
            return ()
        parts.append(replace(part, devices=own))
    return tuple(parts)


def _fit_by_estimate(parts: Sequence[Part]) -> bool:
    return all(part.demand.least <= part.memory for part in parts)


def _swap(
    demands: Sequence[Demand], gpu: Gpu, alone: tuple[Part, ...], why: str, host: int
) -> Placement:
    """One at a time. The estimate of working memory decides as in a split: to be wrong here costs a
    start at most.
    """
    kept = (len(demands) - 1) * CONTEXT_AND_GRAPHS
    # The GPU as an engine that is awake has it: less what the sleeping ones keep.
    remaining = replace(gpu, free=max(0, gpu.free - kept))
    hindrance = next((d.sleepless for d in demands if d.sleepless), "")
    fits = all(d.least <= _least(d, remaining) <= usable(remaining) for d in demands)
    if not hindrance and not fits:
        hindrance = f"sleeping ones would keep about {gib(kept)} here, which leaves too little"
    if hindrance:
        how = f"{why}: every change of role starts an engine, as {hindrance}"
        return Placement("swap", gpu, alone, tuple(demands), sentence("swap", gpu, alone, how))
    parts = tuple(part for d in demands if (part := _part_alone(d, remaining)))
    weights = sum(d.weights * d.gpus for d in demands)
    level: Literal[1, 2] = 1 if PINNED * weights <= host else 2
    kept_where = (
        "their weights in host memory"
        if level == 1
        else "and read their weights again when they wake"
    )
    how = (
        f"{why}: the others sleep meanwhile, {kept_where}, as the host has {gib(host)} free for "
        f"{gib(weights)} of weights; asleep they keep about {gib(kept)} here"
    )
    return Placement("swap", gpu, parts, tuple(demands), sentence("swap", gpu, parts, how), level)


def _part_alone(demand: Demand, gpu: Gpu) -> Part | None:
    memory = usable(gpu)
    if demand.share is not None:
        memory = min(memory, int(demand.share * gpu.total))
    if demand.least_alone > memory:
        return None
    cache = demand.cache
    if cache is None:
        # Working memory is an estimate and may leave less than nothing; vLLM measures it then.
        cache = max(memory - demand.loaded, demand.least_cache)
    return Part(demand, memory, cache, gpu)


def _side_by_side(demands: Sequence[Demand], gpu: Gpu) -> tuple[Part, ...]:
    """Every engine's part, or none at all if they don't fit beside each other."""
    if any(d.is_open for d in demands):
        return ()
    least = [_least(d, gpu) for d in demands]
    left = usable(gpu) - sum(least)
    if left < 0 or any(d.least > part for d, part in zip(demands, least, strict=True)):
        return ()
    wishes = [_wish(d) for d in demands]
    parts = []
    for d, part, wish in zip(demands, least, wishes, strict=True):
        cache = d.cache if d.cache is not None else part - d.loaded
        if wish:
            most = max(MOST_SEQUENCES, d.concurrency) * d.sequence
            cache = min(cache + left * wish // sum(wishes), most)
        parts.append(Part(d, d.loaded + cache, cache, gpu))
    return tuple(parts)


def _wish(demand: Demand) -> int:
    """The cache an engine would like, in bytes; 0 if its user has said what it gets."""
    is_set = demand.share is not None or demand.cache is not None
    return 0 if is_set else demand.concurrency * demand.sequence


def _why_not_split(demands: Sequence[Demand]) -> str:
    unknown = [d.roles for d in demands if d.is_open]
    if unknown:
        return f"as nobody knows yet what the cache of {' and '.join(unknown)} takes"
    return "as they don't fit side by side"


def _least(demand: Demand, gpu: Gpu) -> int:
    """What an engine takes before the rest is divided: the share its user gave it, or the least it
    needs.
    """
    return demand.least if demand.share is None else int(demand.share * gpu.total)


def _share(memory: int, gpu: Gpu) -> float:
    """Part of the GPU's total, rounded down so that the parts never add up to more."""
    return math.floor(10_000 * memory / gpu.total) / 10_000
