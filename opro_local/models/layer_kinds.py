"""Which layers of a model keep keys and values, and how far back, read from its config.json.

For: one kind a layer, from the many ways in which families write it. Not for: bytes
(kv_cache.py), or the state of layers without attention (recurrent.py). The rules are those of
vLLM 0.32's models and of transformers 5.19's configs; a family that is new is a line in RULES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

# What a layer keeps of the tokens before: all, those of its window, a state of fixed size, a state
# beside all, or nothing.
Kind = Literal["full", "sliding", "chunked", "state", "both", "none"]

# The names in lists such as `layer_types`.
NAMES: Mapping[str, Kind] = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "state",
    "mamba": "state",
    "mamba2": "state",
    "conv": "state",
    "hybrid": "both",
    "mlp": "none",
    "moe": "none",
}
# Nemotron-H writes one letter a layer.
LETTERS: Mapping[str, Kind] = {"M": "state", "*": "full", "-": "none", "E": "none"}
LISTS = ("layer_types", "layers_block_type", "block_types")
# Every so many layers one sees everything, where the config leaves the number out.
USUAL_PERIODS = {
    "gemma2": 2,
    "gemma3_text": 6,
    "gemma3n_text": 5,
    "gemma4_text": 6,
    "cohere2": 4,
    "gpt_oss": 2,
    "olmo3": 4,
    "qwen3_next": 4,
    "qwen3_5_text": 4,
    "qwen3_5_moe_text": 4,
    "llama4_text": 4,
}
ATTENTION_FREE = ("mamba", "mamba2", "falcon_mamba")


def layer_kinds(config: Mapping[str, Any], layers: int) -> tuple[list[Kind], tuple[str, ...]]:
    """What each layer keeps, and notes on what was not known.

    Args:
        config: of the text model.
        layers: how many there are.

    Returns:
        `layers` kinds, and the notes. A layer of a kind that is not known counts as full attention:
        too much rather than too little.
    """
    for name in LISTS:
        names = config.get(name)
        if isinstance(names, list) and names:
            return _named(names, layers)
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:
        return [LETTERS.get(letter, "full") for letter in pattern][:layers], ()
    for rule in RULES:
        kinds = rule(config, layers)
        if kinds is not None:
            return kinds, ()
    return ["full"] * layers, ()


def window(config: Mapping[str, Any]) -> int:
    """How many tokens a sliding layer looks back; 0 where none is set, or it is switched off."""
    # A list of layers that slide means it; Qwen's other configs have a window that is off unless
    # they say so, and elsewhere the word is missing.
    is_usual = "layer_types" in config or not str(config.get("model_type")).startswith("qwen")
    if not config.get("use_sliding_window", is_usual):
        return 0
    return int(config.get("sliding_window") or config.get("attention_window_size") or 0)


def _named(names: list[Any], layers: int) -> tuple[list[Kind], tuple[str, ...]]:
    # A list that is shorter than the model is a pattern that repeats (RecurrentGemma).
    every = [str(names[i % len(names)]) for i in range(layers)]
    unknown = sorted(set(every) - set(NAMES))
    notes = tuple(f"{name} layers are counted as full attention" for name in unknown)
    return [NAMES.get(name, "full") for name in every], notes


def _at(places: list[int], layers: int, others: Kind) -> list[Kind]:
    """Full attention at these places."""
    return ["full" if i in places else others for i in range(layers)]


def _every(period: int, layers: int, others: Kind) -> list[Kind]:
    """Full attention in every so-manieth layer, the last of each group."""
    return ["full" if (i + 1) % period == 0 else others for i in range(layers)]


def _attention_free(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    return ["state"] * layers if config.get("model_type") in ATTENTION_FREE else None


def _parallel(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    """Falcon-H1: attention and Mamba side by side in every layer."""
    return ["both"] * layers if config.get("model_type") == "falcon_h1" else None


def _jamba(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    period = config.get("attn_layer_period")
    if not period:
        return None
    return _at(
        list(range(int(config.get("attn_layer_offset", 0)), layers, period)), layers, "state"
    )


def _listed(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    """Bamba and LFM2 list the layers with attention."""
    for name in ("attn_layer_indices", "full_attn_idxs"):
        if isinstance(config.get(name), list):
            return _at(config[name], layers, "state")
    return None


def _zamba(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    """Zamba2: Mamba everywhere, and attention beside it in some layers."""
    places = config.get("hybrid_layer_ids")
    if not isinstance(places, list):
        return None
    return ["both" if i in places else "state" for i in range(layers)]


def _kimi_linear(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    linear = config.get("linear_attn_config")
    if not isinstance(linear, dict):
        return None
    # It counts layers from 1.
    return _at([place - 1 for place in linear.get("full_attn_layers", [])], layers, "state")


def _minimax(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    kinds = config.get("attn_type_list")
    if not isinstance(kinds, list):
        return None
    return _at([i for i, kind in enumerate(kinds) if kind == 1], layers, "state")


def _gated_delta(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    """Qwen3-Next: linear attention, and full attention in every fourth layer."""
    usual = USUAL_PERIODS.get(str(config.get("model_type")))
    period = config.get("full_attention_interval", usual)
    if "linear_num_value_heads" not in config or not period:
        return None
    return _every(int(period), layers, "state")


def _llama4(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    if not config.get("attention_chunk_size") or config.get("model_type") != "llama4_text":
        return None
    flags = config.get("no_rope_layers")
    if isinstance(flags, list) and len(flags) >= layers:
        # 1 where the layer has rotated positions, and so sees its chunk only.
        return ["chunked" if flag else "full" for flag in flags[:layers]]
    return _every(int(config.get("no_rope_layer_interval", 4)), layers, "chunked")


def _alternating(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    """Gemma, Cohere and their like: one layer in so many sees everything."""
    usual = USUAL_PERIODS.get(str(config.get("model_type")))
    pattern = config.get("sliding_window_pattern") or config.get("_sliding_window_pattern") or usual
    if not window(config) or not pattern:
        return None
    if isinstance(pattern, str):
        # EXAONE 4 writes "LLLG": local, local, local, global.
        every = [pattern[i % len(pattern)] for i in range(layers)]
        return ["sliding" if letter == "L" else "full" for letter in every]
    return _every(int(pattern), layers, "sliding")


def _qwen2(config: Mapping[str, Any], layers: int) -> list[Kind] | None:
    """Qwen2 slides from layer `max_window_layers` on, Mistral everywhere."""
    if not window(config):
        return None
    first = int(config.get("max_window_layers", 0)) if config.get("use_sliding_window") else 0
    return ["sliding" if i >= first else "full" for i in range(layers)]


RULES: tuple[Callable[[Mapping[str, Any], int], list[Kind] | None], ...] = (
    _attention_free,
    _parallel,
    _jamba,
    _listed,
    _zamba,
    _kimi_linear,
    _minimax,
    _gated_delta,
    _llama4,
    _alternating,
    _qwen2,
)
