"""How many parameters a model has, from the shapes that its folder tells of.

For: telling small models from large ones whatever their weights are stored as. Not for: bytes of
memory (footprint.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.models.completeness import SAFETENSORS
from opro_local.models.footprint import FLOATS, header_bytes
from opro_local.models.trust import read_json

Config = Mapping[str, Any]


def parameters(folder: Path) -> int | None:
    """The model's parameters, about; None where the folder does not tell.

    Tensors stored as floats are counted. Quantized tensors hold several numbers in one, and pickles
    tell no shapes without being run: these models are reckoned from their config, to within a tenth
    or so.
    """
    config = _config(folder)
    quantized = any("quantization_config" in part for part in (config, text_part(config)))
    files = sorted(folder.glob(SAFETENSORS))
    counted = 0 if quantized else _counted(files)
    return counted or _reckoned(text_part(config))


def text_part(config: Config) -> Config:
    """The part of a config that is of the language model: itself, or a part of it where the model
    reads images or sound, too.
    """
    for path in (("text_config",), ("thinker_config", "text_config"), ("llm_config",)):
        part: Any = config
        for name in path:
            part = part.get(name) if isinstance(part, Mapping) else None
        if isinstance(part, Mapping):
            return part
    return config


def _config(folder: Path) -> Config:
    try:
        config = read_json(folder / "config.json")
    except ModelError:
        return {}
    return config if isinstance(config, dict) else {}


def _counted(files: list[Path]) -> int:
    """Numbers in tensors of floats; 0 where there are none, or where other tensors weigh more."""
    floats, others = 0, 0
    for file in files:
        try:
            stored = header_bytes(file)
        except ModelError:
            return 0
        floats += sum(bytes_ // FLOATS[kind] for kind, bytes_ in stored.items() if kind in FLOATS)
        others += sum(bytes_ for kind, bytes_ in stored.items() if kind not in FLOATS)
    return floats if floats > others else 0


def _reckoned(config: Config) -> int | None:
    """Embedding, attention and feed-forward layers of a decoder, by the usual names."""
    layers, hidden = (
        _first(config, "num_hidden_layers", "n_layer"),
        _first(config, "hidden_size", "n_embd", "d_model"),
    )
    if not layers or not hidden:
        return None
    heads = _first(config, "num_attention_heads", "n_head") or 1
    width = _first(config, "head_dim") or hidden // heads
    kv_heads = _first(config, "num_key_value_heads") or heads
    attention = 2 * hidden * width * (heads + kv_heads)
    inner = _first(config, "intermediate_size", "n_inner") or 4 * hidden
    experts = _first(config, "num_experts", "num_local_experts", "n_routed_experts") or 1
    if experts > 1:
        inner = _first(config, "moe_intermediate_size") or inner
    embeddings = 1 if config.get("tie_word_embeddings") else 2
    vocabulary = _first(config, "vocab_size") or 0
    return layers * (attention + 3 * hidden * inner * experts) + embeddings * vocabulary * hidden


def _first(config: Config, *names: str) -> int | None:
    """The first of these settings that is a positive whole number."""
    values = (config.get(name) for name in names)
    return next((value for value in values if type(value) is int and value > 0), None)
