"""The state that a layer without attention keeps of a sequence: its size, read from config.json.

For: Mamba, gated delta nets, lightning attention and short convolutions, by the shapes of vLLM's
MambaStateShapeCalculator (0.32). Not for: which layers have one (layer_kinds.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

WIDE_FLOATS = ("float32", "float")


@dataclass(frozen=True, slots=True)
class State:
    """What one layer keeps of one sequence, however long it is, in numbers.

    Attributes:
        narrow: in the model's own dtype.
        float32: in four bytes each, whatever the dtype.
    """

    narrow: int
    float32: int = 0


def layer_state(config: Mapping[str, Any]) -> State | None:
    """The state of one of the model's layers without attention; None where its size is not known.

    Raises:
        KeyError, TypeError, ValueError: the config has some of its numbers, and not all.
    """
    for mark, size in SIZES:
        if config.get(mark) is not None:
            return size(config)
    return None


def _split(config: Mapping[str, Any], window: int, recurrent: int) -> State:
    """A convolution's window and a recurrent state, whose dtype the config may name."""
    named = config.get("mamba_ssm_cache_dtype") or config.get("mamba_ssm_dtype")
    if named is None and config.get("model_type") == "nemotron_h":
        named = "float32"  # vLLM's own default for it
    if named in WIDE_FLOATS:
        return State(window, recurrent)
    return State(window + recurrent)


def _gated_delta(config: Mapping[str, Any]) -> State:
    keys = config["linear_num_key_heads"] * config["linear_key_head_dim"]
    values = config["linear_num_value_heads"] * config["linear_value_head_dim"]
    window = (2 * keys + values) * (config["linear_conv_kernel_dim"] - 1)
    return _split(config, window, values * config["linear_key_head_dim"])


def _kimi_delta(config: Mapping[str, Any]) -> State:
    linear = config["linear_attn_config"]
    wide = linear["num_heads"] * linear["head_dim"]
    return State(3 * wide * (linear["short_conv_kernel_size"] - 1), wide * linear["head_dim"])


def _lightning(config: Mapping[str, Any]) -> State:
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return State(config["num_attention_heads"] * size * size)


def _short_convolution(config: Mapping[str, Any]) -> State:
    return State(config.get("conv_dim", config["hidden_size"]) * (config["conv_L_cache"] - 1))


def _mamba2(config: Mapping[str, Any]) -> State:
    heads = _first(config, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    size = config.get("mamba_d_head", config.get("mamba_head_dim", config.get("mamba_headdim")))
    expanded = int(config.get("mamba_expand", config.get("expand", 2)) * config["hidden_size"])
    if not isinstance(size, int):  # "auto", or Mamba 2's own head_dim
        size = config["head_dim"] if config.get("model_type") == "mamba2" else expanded // heads
    state = _first(config, "mamba_d_state", "ssm_state_size", "state_size")
    groups = _first(config, "mamba_n_groups", "mamba_ngroups", "n_groups")
    kernel = _first(config, "mamba_d_conv", "conv_kernel")
    window = (heads * size + 2 * groups * state) * (kernel - 1)
    return _split(config, window, heads * size * state)


def _mamba1(config: Mapping[str, Any]) -> State:
    if config.get("model_type") == "mamba2":
        return _mamba2(config)
    expanded = int(config.get("mamba_expand", config.get("expand", 2)) * config["hidden_size"])
    # Jamba's intermediate_size is its feed-forward part's.
    is_pure = config.get("mamba_d_state") is None
    wide = config.get("intermediate_size", expanded) if is_pure else expanded
    state = _first(config, "mamba_d_state", "state_size")
    kernel = _first(config, "mamba_d_conv", "conv_kernel")
    return _split(config, wide * (kernel - 1), wide * state)


def _first(config: Mapping[str, Any], *names: str) -> int:
    """The first of these settings that is there. Raises KeyError."""
    for name in names:
        if config.get(name) is not None:
            return int(config[name])
    raise KeyError(f"{names[0]} is missing")


# By the setting that only this sort has; the first that is there decides.
SIZES: tuple[tuple[str, Callable[[Mapping[str, Any]], State]], ...] = (
    ("linear_num_value_heads", _gated_delta),
    ("linear_attn_config", _kimi_delta),
    ("attn_type_list", _lightning),
    ("conv_L_cache", _short_convolution),
    ("mamba_n_heads", _mamba2),
    ("mamba_num_heads", _mamba2),
    ("n_mamba_heads", _mamba2),
    ("mamba_d_state", _mamba1),
    ("state_size", _mamba1),
)
