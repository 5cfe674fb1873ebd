"""LoRA adapters as roles: several fine-tunings of one base model in one engine.

For: reading an adapter's folder, what vLLM must be told, and an engine as a role with an adapter
sees it. Not for: training or merging adapters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.models import completeness, offline
from opro_local.models.footprint import header_bytes
from opro_local.models.trust import read_json
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM accepts as max_lora_rank
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


def rank(folder: Path) -> int:
    """The rank of the adapter in a folder.

    Raises:
        ModelError: it is no LoRA adapter with whole weights, or one that vLLM does not serve.
    """
    hint = "give a folder as PEFT writes it: adapter_config.json and adapter_model.safetensors"
    try:
        config = read_json(folder / "adapter_config.json")
        # Some layers may have ranks of their own; vLLM needs room for the largest.
        others = (config.get("rank_pattern") or {}).values()
        largest = max([int(config["r"]), *map(int, others)])
    except (ModelError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{folder}: not a LoRA adapter ({type(error).__name__}: {error})", hint
        ) from None
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise ModelError(f"{folder}: a LoRA adapter without weights", hint)
    completeness.refuse_pointers(sorted(folder.iterdir()))
    if (folder / WEIGHTS[0]).is_file():
        header_bytes(folder / WEIGHTS[0])
    if largest > RANKS[-1]:
        raise ModelError(
            f"{folder}: a LoRA adapter of rank {largest}", f"vLLM takes ranks up to {RANKS[-1]}"
        )
    what = _unserved(config)
    if what:
        raise ModelError(
            f"{folder}: an adapter with {what}, which vLLM does not serve",
            "merge it into its base model (PEFT's merge_and_unload), and name the merged folder",
        )
    return largest


def _unserved(config: Mapping[str, Any]) -> str:
    """What an adapter has that vLLM refuses when the first request comes (its
    lora/peft_helper.py); empty if nothing.
    """
    kind = config.get("peft_type") or "LORA"
    if kind != "LORA":
        return f"peft_type {kind!r}"
    if config.get("use_dora"):
        return "DoRA (use_dora)"
    modules = config.get("modules_to_save")
    if modules:
        return f"modules_to_save {modules!r}"
    bias = config.get("bias") or "none"
    if bias != "none" or config.get("lora_bias"):
        return "trained biases (bias, lora_bias)"
    return ""


def arguments(adapters: Sequence[str]) -> dict[str, Any]:
    """What vLLM's LLM has to be built with for these adapters; nothing where there are none."""
    if not adapters:
        return {}
    most = max(rank(Path(folder)) for folder in adapters)
    return {
        "enable_lora": True,
        "max_loras": len(adapters),
        "max_lora_rank": next(allowed for allowed in RANKS if allowed >= most),
    }


def requests(adapters: Sequence[str]) -> dict[str, Any]:
    """vLLM's name for each adapter, by its folder.

    The number is part of the name: vLLM 0.26 tells the KV cache of two adapters apart by their
    names alone, and `checkpoint-500` is the name of many.
    """
    if not adapters:
        return {}
    from vllm.lora.request import LoRARequest

    return {
        folder: LoRARequest(f"{number}-{Path(folder).name}", number, folder)
        for number, folder in enumerate(adapters, 1)
    }


class AdapterEngine(Engine):
    """An engine as a role with an adapter sees it; the engine may serve other roles with others, or
    without one.

    Args:
        engine: hosts the base model and knows the adapter.
        adapter: the adapter's folder.
    """

    def __init__(self, engine: Engine, adapter: str) -> None:
        self._engine, self._adapter = engine, adapter
        self.fingerprint: Mapping[str, Any] = {
            **engine.fingerprint,
            "adapter": offline.model_digest(Path(adapter)),
        }
        self.max_model_len = engine.max_model_len

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request, with the adapter; see the Engine protocol."""
        own = [replace(request, adapter=self._adapter) for request in requests]
        return self._engine.generate(own, progress)

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take."""
        return self._engine.count_tokens(prompts)

    def close(self) -> None:
        """Free the model for all roles. Safe to call twice."""
        self._engine.close()
