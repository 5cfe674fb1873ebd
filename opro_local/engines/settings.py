"""How one model is hosted, as its engine and the engine's worker take it.

For: the settings that placement completes. Not for: what a user writes (config/settings.py), which
runs/hosting.py turns into these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

# Marks a setting that decides no answer, or that a running engine names better (a digest for the
# folder, the real context). Every other one is a part of the key that cached answers are found by:
# a setting that is new and not marked can only cost a miss.
NOT_IN_CACHE_KEY: Mapping[str, bool] = MappingProxyType({"in_cache_key": False})
# Marks a setting that came after the first caches: at its default it is no part of the key.
ADDED: Mapping[str, bool] = MappingProxyType({"added": True})


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one model is hosted. None means that the engine decides.

    Attributes:
        model: the model's local folder.
        kind: the engine that hosts it, a name in engines/kinds.py.
        max_model_len: context in tokens (prompt and reply together).
        kv_cache_bytes: memory for the KV cache in bytes; vLLM only.
        gpu_memory: share of the GPU vLLM may take, in (0, 1].
        tensor_parallel: GPUs that every layer is spread over; vLLM only.
        pipeline_parallel: groups of GPUs that the layers are divided between; vLLM only.
        data_parallel: workers with a copy of the model each, which share every batch.
        gpu_workers: the same for each of the GPUs that such a worker would have: they share its
            memory, so that `gpu_memory` and `kv_cache_bytes` are those of all of them together.
        sleep: how the engine leaves the GPU when it is told to sleep: 1 keeps its weights in host
            memory, 2 reads them again when it wakes, 0 can't sleep; vLLM on CUDA only, and the
            scripted engine, which always can.
        batch_tokens: padded tokens per forward batch of the transformers engine.
        adapters: folders of the LoRA adapters that requests may ask for; vLLM only.
        template_args: extra arguments of the chat template, such as {"enable_thinking": False}.
        chat_template: the Jinja source that prompts are made with; "" for the folder's own.
        date: the day that the chat template writes, as "2026-11-28"; "" where it writes none.
        thinking_tokens: new tokens for a thought, by which the context is longer where
            `max_model_len` is None.
        engine_args: passed to the engine's constructor as they are.
        script: "file.py:function" for the scripted engine.
        base_url: the server that the openai engine asks, as "http://127.0.0.1:8000/v1".
        served_model: the model's name there; "" for the only one.
        api_key_variable: the environment variable with the server's key; "" for none.
        allowed_hosts: hosts outside the site that the server may be on.
        trusted_code: code in the folder, or kernels of a hub, that may run (models/trust.py).
        allow_pickle: whether weights may be pickles.
        stall_seconds: a batch without any progress for this long ends as an EngineError.
        load_seconds: a model not ready after this long ends as an EngineError.
    """

    model: str = field(metadata=NOT_IN_CACHE_KEY)
    kind: str = field(metadata=NOT_IN_CACHE_KEY)
    dtype: str = field(default="auto", metadata=NOT_IN_CACHE_KEY)
    max_model_len: int | None = field(default=None, metadata=NOT_IN_CACHE_KEY)
    max_num_seqs: int | None = field(default=None, metadata=NOT_IN_CACHE_KEY)
    kv_cache_bytes: int | None = field(default=None, metadata=NOT_IN_CACHE_KEY)
    gpu_memory: float | None = field(default=None, metadata=NOT_IN_CACHE_KEY)
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = field(default=1, metadata=NOT_IN_CACHE_KEY)
    gpu_workers: int = field(default=1, metadata=NOT_IN_CACHE_KEY)
    sleep: Literal[0, 1, 2] = field(default=0, metadata=NOT_IN_CACHE_KEY)
    batch_tokens: int = field(default=8192, metadata=NOT_IN_CACHE_KEY)
    adapters: tuple[str, ...] = field(default=(), metadata=NOT_IN_CACHE_KEY)
    template_args: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str = field(default="", metadata=ADDED)
    date: str = field(default="", metadata=ADDED)
    thinking_tokens: int = field(default=0, metadata=NOT_IN_CACHE_KEY)
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    script: str | None = field(default=None, metadata=NOT_IN_CACHE_KEY)
    base_url: str = field(default="", metadata=NOT_IN_CACHE_KEY)
    served_model: str = field(default="", metadata=NOT_IN_CACHE_KEY)
    api_key_variable: str = field(default="", metadata=NOT_IN_CACHE_KEY)
    allowed_hosts: tuple[str, ...] = field(default=(), metadata=NOT_IN_CACHE_KEY)
    trusted_code: tuple[str, ...] = field(default=(), metadata=NOT_IN_CACHE_KEY)
    allow_pickle: bool = field(default=False, metadata=NOT_IN_CACHE_KEY)
    stall_seconds: float = field(default=900.0, metadata=NOT_IN_CACHE_KEY)
    load_seconds: float = field(default=1800.0, metadata=NOT_IN_CACHE_KEY)

    @property
    def spans_machines(self) -> bool:
        """Whether the engine uses other machines' GPUs too, by its `engine_args`."""
        backend = self.engine_args.get("distributed_executor_backend")
        return backend == "ray" or self.engine_args.get("nnodes") not in (1, None)
