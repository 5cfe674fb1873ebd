"""Starts vLLM: what its LLM is built with, how it reads a config, and what its errors say.

For: the vLLM engine. Not for: asking it (vllm.py), adapters (lora.py), or which memory it gets
(placement/).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opro_local.engines.disk_faults import disk_fault
from opro_local.engines.loading import LONGEST, said
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, ModelError
from opro_local.models.footprint import DTYPES, footprint

# What vLLM and the libraries under it raise of what they can't do.
PYTHONS = (
    RuntimeError,
    ValueError,
    OSError,
    TypeError,
    AssertionError,
    LookupError,
    AttributeError,
    ImportError,
)
COUNTED = re.compile(r"\d+ validation errors? for \w+")
LANGUAGE_ONLY = "language_model_only"
CPU_KV_BYTES = 384 << 20
CPU_BATCHED = 4096  # tokens in one forward pass, vLLM's own
CPU_BLOCK = 32  # tokens; a block is what the prefix cache keeps or drops
CPU_KV_TOKENS = 2 * CPU_BATCHED
# What a failed start says, and what helps. vLLM's own texts, matched in lower case.
HINTS = {
    "free memory on device": "another process holds the GPU: free it, or lower gpu_memory",
    "no available memory for the cache": (
        "raise gpu_memory, lower max_model_len, or use a smaller model"
    ),
    "to serve at least one request": "lower max_model_len, or raise kv_cache_bytes or gpu_memory",
    "out of memory": "lower gpu_memory, max_num_seqs or max_model_len, or use a smaller model",
}


def arguments(settings: EngineSettings, config: Any, cuda: bool) -> dict[str, Any]:
    """What vLLM's LLM is built with. Nothing is passed that was not asked for or is not needed on
    the device.
    """
    text = config.get_text_config()
    longest = getattr(text, "max_position_embeddings", None) or 8192
    usual = (8192 if cuda else 2048) + settings.thinking_tokens
    args: dict[str, Any] = {
        "model": settings.model,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len or min(longest, usual),
        "max_num_seqs": settings.max_num_seqs,
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "gpu_memory_utilization": settings.gpu_memory,
        "tensor_parallel_size": settings.tensor_parallel,
        "pipeline_parallel_size": settings.pipeline_parallel,
        "enable_prefix_caching": True,
        "seed": 0,
        "trust_remote_code": True if settings.trusted_code else None,
        # What reads images or sound is never asked for it, and would take memory.
        LANGUAGE_ONLY: True if text is not config else None,
        "enable_sleep_mode": True if settings.sleep and cuda else None,  # CUDA's only
        # One dialect for every engine. On "auto" the first request decides, and others may lose
        # parts of a schema.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    if not cuda:
        # bfloat16 is five times slower without AVX-512, torch.compile takes two minutes that small
        # runs never earn back, vLLM's own 4 GiB of KV cache takes 22 s to touch, and its blocks of
        # 128 tokens rarely hit.
        args["dtype"] = "float32" if settings.dtype == "auto" else settings.dtype
        args["max_num_seqs"] = settings.max_num_seqs or 64
        args["kv_cache_memory_bytes"] = settings.kv_cache_bytes or _cpu_cache(args)
        args |= {"enforce_eager": True, "block_size": CPU_BLOCK}
        # A seeded request whose prompt is read in two parts ends the engine: "CPU Generator does
        # not use offset".
        args |= {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(CPU_BATCHED, args["max_model_len"]),
        }
    given = {name: value for name, value in args.items() if value is not None}
    return given | dict(settings.engine_args)


def read_config(settings: EngineSettings) -> Any:
    """The model's config, by vLLM's own reader: it knows families that transformers does not.

    Raises:
        ModelError: it does not load.
    """
    from huggingface_hub.errors import StrictDataclassError
    from vllm.transformers_utils.config import get_config

    try:
        return get_config(settings.model, trust_remote_code=bool(settings.trusted_code))
    except (*PYTHONS, StrictDataclassError) as error:
        raise ModelError(
            f"{settings.model}: config.json does not load: {said(error)}",
            "copy the whole folder, or take a version of vLLM that knows the model",
        ) from error


def _cpu_cache(args: Mapping[str, Any]) -> int:
    """Bytes of KV cache on a CPU, where vLLM's own choice takes too long to touch.

    Two forward passes of tokens, as many as 384 MiB hold of SmolLM2-135M's, and at least the one
    full sequence without
    which vLLM does not start: in whole blocks, and one more, as vLLM keeps a block for itself.
    """
    # Rounded up.
    blocks = -(-max(CPU_KV_TOKENS, args["max_model_len"]) // CPU_BLOCK) + 1
    try:
        model = footprint(Path(args["model"]))
    except ModelError:
        return CPU_KV_BYTES
    tokens = blocks * CPU_BLOCK
    return max(CPU_KV_BYTES, model.kv_bytes(tokens, DTYPES.get(args["dtype"], 4), ahead=tokens))


def explained(what: str, call: Callable[[], Any]) -> Any:
    """Call vLLM; what it raises comes back as an EngineError of one line and a hint."""
    expected: tuple[type[Exception], ...] = (*PYTHONS, *_vllm_errors())
    try:
        return call()
    except expected as error:
        fault = disk_fault(error)
        if fault is not None:
            raise fault from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # pydantic counts the errors first, then names them.
        telling = [line for line in lines if not COUNTED.fullmatch(line)]
        first = telling[0] if telling else type(error).__name__
        hint = hint_for(str(error))
        raise EngineError(f"vLLM does not {what}: {first[:LONGEST]}", hint) from error


def hint_for(text: str) -> str:
    """What helps where vLLM says this."""
    hints = (hint for words, hint in HINTS.items() if words in text.lower())
    return next(hints, "see the engine's log")


def _vllm_errors() -> tuple[type[Exception], ...]:
    """vLLM's own root error; older versions raise only Python's."""
    try:
        from vllm.exceptions import VLLMError
    except ImportError:
        return ()
    return (VLLMError,)
