"""What one engine needs of each GPU it uses, from its settings and its model's footprint.

For: weights, cache and working memory in bytes, and what its user has fixed. Not for: reading model
folders (models/footprint.py), or where it goes (choose.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opro_local.engines.settings import EngineSettings
from opro_local.models.footprint import Footprint

GIB = 1 << 30
CONTEXT = 8192  # what engines/vllm_start.py asks for on a GPU when nothing is said
CONCURRENCY = 8
# What a split fixes, so that its working memory is known; vLLM's own numbers double with the GPU's
# size.
BATCHED_TOKENS = 8192
RUNNING = 256
# Not run on a GPU: taken from what vLLM's issues tell of the CUDA context and graphs, and from
# tensor sizes.
CONTEXT_AND_GRAPHS = 5 * GIB // 4
LOGIT_BYTES = 16  # four float32 copies: logits, probabilities and what sorting takes


@dataclass(frozen=True, slots=True)
class Demand:
    """What one engine needs on each GPU it uses; memory in bytes.

    Attributes:
        roles: whom it answers for, such as "scorer and optimizer".
        model: the model's folder.
        weights: of the loaded model.
        working: activations, logits, CUDA context and graphs: an estimate.
        sequence: the cache of one sequence of `context` tokens; 0 where the model's config does
            not tell.
        context: tokens of prompt and reply together.
        concurrency: sequences of the full context that should run at once; short prompts run many
        more.
        gpus: on how many GPUs it is spread.
        copies: how many of it there are, each with so many GPUs.
        workers: how many share each of these GPUs, with weights and working memory each.
        cache: the KV cache asked for; None leaves it to the plan.
        share: the share of the GPU asked for; None leaves it to the plan.
        notes: what is not known of the model.
        sleepless: why it can't sleep while another is asked; "" if it can.
        quantizing: what vLLM is to make of the weights while it loads them, where nothing here
            knows how small that is; `weights` are those before it.
    """

    roles: str
    model: str
    weights: int
    working: int
    sequence: int
    context: int
    concurrency: int = CONCURRENCY
    gpus: int = 1
    copies: int = 1
    workers: int = 1
    cache: int | None = None
    share: float | None = None
    notes: tuple[str, ...] = ()
    sleepless: str = ""
    quantizing: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nobody knows yet what its cache takes: the config does not tell, nor its user."""
        return self.cache is None and not self.sequence

    @property
    def least_cache(self) -> int:
        return self.workers * self.sequence if self.cache is None else self.cache

    @property
    def least(self) -> int:
        """The least an engine needs beside others."""
        return self.loaded + self.least_cache

    @property
    def loaded(self) -> int:
        """What all its workers on a GPU take besides their caches."""
        return self.workers * (self.weights + self.working)

    @property
    def least_alone(self) -> int:
        """The least it needs alone: vLLM measures its working memory then, so the estimate refuses
        nothing.

        Nor do weights whose size it alone will know.
        """
        if self.workers > 1:
            return self.least  # beside its own kind
        return (0 if self.quantizing else self.weights) + self.least_cache


def demand(roles: Sequence[str], settings: EngineSettings, model: Footprint) -> Demand:
    """What an engine with these settings needs, spread evenly over its tensor and pipeline parallel
    ranks.
    """
    gpus = settings.tensor_parallel * settings.pipeline_parallel
    context = settings.max_model_len or min(model.context, CONTEXT + settings.thinking_tokens)
    batched = int(settings.engine_args.get("max_num_batched_tokens", BATCHED_TOKENS))
    number = 4 if settings.dtype in ("float32", "float") else 2
    cached = 1 if str(settings.engine_args.get("kv_cache_dtype", "")).startswith("fp8") else number
    quantization = "" if model.quantized else str(settings.engine_args.get("quantization", ""))
    eight = quantization.startswith("fp8")
    dtype = "fp8" if eight else settings.dtype
    weights = math.ceil(model.weights(dtype, _is_language_only(settings)) / gpus)
    offloaded = int(float(settings.engine_args.get("cpu_offload_gb", 0)) * GIB)  # of each GPU
    logits = (settings.max_num_seqs or RUNNING) * model.vocabulary * LOGIT_BYTES
    return Demand(
        roles=" and ".join(roles),
        model=model.folder,
        weights=max(0, weights - offloaded),
        working=CONTEXT_AND_GRAPHS + batched * model.wide * number + logits,
        sequence=model.kv_bytes(
            context, cached, batched, settings.tensor_parallel, settings.pipeline_parallel
        ),
        context=context,
        concurrency=settings.max_num_seqs or CONCURRENCY,
        gpus=gpus,
        copies=settings.data_parallel,
        workers=settings.gpu_workers,
        cache=settings.kv_cache_bytes,
        share=settings.gpu_memory,
        notes=model.notes,
        sleepless=_sleepless(settings),
        quantizing="" if eight or not quantization else f"quantization = {quantization!r}",
    )


def _is_language_only(settings: EngineSettings) -> bool:
    """Whether the engine loads the language model alone, as vLLM is told to (vllm_start.py)."""
    return settings.kind != "transformers" and bool(
        settings.engine_args.get("language_model_only", True)
    )


def _sleepless(settings: EngineSettings) -> str:
    """Why an engine with these settings is stopped rather than put to sleep; "" if it can sleep."""
    if settings.adapters:
        # vLLM's issues 39934 and 53888: it died at level 2, and at level 1 lost the adapter without
        # a word.
        return "adapters may not survive vLLM's sleep mode"
    if settings.data_parallel > 1:
        return "data_parallel makes several workers of one"
    if settings.gpu_workers > 1:
        return "gpu_workers makes several workers of one"
    return "" if settings.engine_args.get("enable_sleep_mode", True) else "enable_sleep_mode is off"
