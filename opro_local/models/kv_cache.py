"""What a model keeps of each sequence while it runs, read from its config.json: keys and values of
its attention layers, and the state of the others.

For: the count in numbers, and in bytes on each GPU. Not for: weights (footprint.py), or what else
an engine takes (the wing `placement`). What a config does not say is filled in from its family's
defaults, with a note, or left to vLLM: a plan must not end a run that vLLM would have started.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from opro_local.models.layer_kinds import Kind, layer_kinds, window
from opro_local.models.recurrent import State, layer_state

# What transformers 5.19 assumes where a config leaves it out. Text models inside multimodal ones
# are often written so: Gemma 3's without heads and vocabulary, LLaVA's with little but a name.
FAMILY_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gemma2": {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256}
    | {"num_hidden_layers": 26, "hidden_size": 2304, "intermediate_size": 9216}
    | {"vocab_size": 256_000, "max_position_embeddings": 8192, "sliding_window": 4096},
    "gemma3_text": {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256}
    | {"num_hidden_layers": 26, "hidden_size": 2304, "intermediate_size": 9216}
    | {"vocab_size": 262_208, "max_position_embeddings": 131_072, "sliding_window": 4096},
    "gemma3n_text": {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256}
    | {"num_hidden_layers": 35, "hidden_size": 2048, "intermediate_size": 16_384}
    | {"vocab_size": 262_400, "max_position_embeddings": 32_768, "sliding_window": 512}
    | {"num_kv_shared_layers": 15},
    "llama": {"num_attention_heads": 32, "hidden_size": 4096, "num_hidden_layers": 32}
    | {"intermediate_size": 11_008, "vocab_size": 32_000, "max_position_embeddings": 2048},
    "mistral": {"num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    | {"num_hidden_layers": 32, "intermediate_size": 14_336, "vocab_size": 32_000}
    | {"max_position_embeddings": 131_072},
}
# Where a multimodal config keeps its text model, in the order of vLLM's own look.
TEXT_PARTS = ("thinker_config", "text_config", "llm_config", "language_config")
# Latent attention by its config that vLLM serves with whole keys and values.
EXPANDED_LATENT = ("minicpm3",)
# vLLM keeps the state before and after the block at hand, as prefix caching is on.
STATES = 2
MOST = 1 << 30  # no number of a model's config is larger; a list that long would fill the memory
MOST_LAYERS = 100_000
NO_STATE = State(0)
UNKNOWN = "what it keeps of a sequence is left to vLLM: "


@dataclass(frozen=True, slots=True)
class CacheLayers:
    """Layers that keep keys and values alike.

    Attributes:
        count: how many there are.
        heads: of keys and values, in each; 1 where one compressed vector stands for all.
        width: numbers that a head keeps of a token, keys and values together.
        window: tokens back that are kept; 0 keeps all.
    """

    count: int
    heads: int
    width: int
    window: int = 0


@dataclass(frozen=True, slots=True)
class SequenceCache:
    """What a model keeps of one sequence.

    Attributes:
        attention: its attention layers; empty where it has none, or none are known.
        state: of each layer without attention, and how many such layers there are.
        notes: what was assumed, and what is not known.
        is_known: whether the count stands for the whole model.
    """

    attention: tuple[CacheLayers, ...] = ()
    state: State = NO_STATE
    state_layers: int = 0
    notes: tuple[str, ...] = ()
    is_known: bool = True

    def bytes(
        self, tokens: int, size: int = 2, ahead: int = 8192, tensor: int = 1, pipeline: int = 1
    ) -> int:
        """Bytes on each GPU for one sequence; 0 where that is not known.

        A head of keys and values is never divided: with fewer heads than tensor parallel ranks
        each rank keeps one whole, and every rank keeps the compressed vector of latent attention.

        Args:
            tokens: its length.
            size: bytes of one cached number.
            ahead: tokens of one forward batch; a sliding layer holds them beside its window.
            tensor: GPUs that every layer is spread over.
            pipeline: groups of GPUs that the layers are divided between; the largest part counts.
        """
        if not self.is_known:
            return 0
        numbers = 0
        for layers in self.attention:
            kept = min(tokens, layers.window + ahead) if layers.window else tokens
            heads = ceil(layers.heads / tensor)
            numbers += ceil(layers.count / pipeline) * heads * layers.width * kept
        # An 8-bit cache of keys and values leaves states as they are.
        one_state = self.state.narrow * max(size, 2) + self.state.float32 * 4
        states = STATES * ceil(self.state_layers / pipeline) * ceil(one_state / tensor)
        return size * numbers + states


def text_config(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The text model's part of a config, with its family's defaults in the gaps that are usual."""
    for name in TEXT_PARTS:
        inner = whole.get(name)
        if isinstance(inner, dict):
            return text_config(inner)
    return dict(whole)


def sequence_cache(config: Mapping[str, Any]) -> SequenceCache:
    """What the model of a text config keeps of a sequence; see SequenceCache.notes for what is not
    known of it.
    """
    filled, notes = with_defaults(config)
    try:
        return _counted(filled, notes)
    except KeyError as error:
        return SequenceCache(notes=(*notes, UNKNOWN + str(error.args[0])), is_known=False)
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        why = error if isinstance(error, ValueError) else "its config has an unexpected form"
        return SequenceCache(notes=(*notes, f"{UNKNOWN}{why}"), is_known=False)


def with_defaults(config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A text config with its family's defaults where it says nothing, and a note of those."""
    usual = FAMILY_DEFAULTS.get(str(config.get("model_type")), {})
    absent = {name: value for name, value in usual.items() if name not in config}
    # GPT's names for the same things: nothing is absent where one of these is there.
    renamed = {"n_layer", "n_head", "n_embd"} & set(config)
    if not absent or renamed:
        return dict(config), ()
    named = ", ".join(f"{name} {value}" for name, value in absent.items())
    return {**absent, **config}, (f"not in its config, assumed as usual: {named}",)


def number(config: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    """The first of these settings that is there, a positive whole number.

    Raises:
        KeyError: none is there, and there is no default.
        ValueError: it is something else.
    """
    for name in names:
        value = config.get(name)
        if value is not None:
            # True is an int to Python, and no number of layers.
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if not is_whole or not 1 <= value <= MOST:
                raise ValueError(f"{name} is {repr(value)[:40]}")
            return value
    if default is None:
        raise KeyError(f"{names[0]} is missing")
    return default


def _counted(config: Mapping[str, Any], notes: tuple[str, ...]) -> SequenceCache:
    layers = number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if layers > MOST_LAYERS:
        raise ValueError(f"num_hidden_layers is {layers}")
    kinds, unknown = layer_kinds(config, layers)
    states = sum(kind in ("state", "both") for kind in kinds)
    state = layer_state(config) if states else NO_STATE
    if state is None:
        # Too much rather than too little.
        unknown += (f"{states} layers of unknown state are counted as full attention",)
        kinds = ["full" if kind == "state" else kind for kind in kinds]
        state, states = NO_STATE, 0
    return SequenceCache(_attention(config, kinds), state, states, (*notes, *unknown))


def _attention(config: Mapping[str, Any], kinds: list[Kind]) -> tuple[CacheLayers, ...]:
    """The layers that keep keys and values, like ones together."""
    # The last layers of Gemma 3n read what earlier ones keep.
    own = len(kinds) - int(config.get("num_kv_shared_layers") or 0)
    back = window(config)
    chunk = int(config.get("attention_chunk_size") or 0)
    counts: Counter[tuple[int, int, int]] = Counter()
    for place, kind in enumerate(kinds[:own]):
        if kind in ("state", "none"):
            continue
        heads, width = _heads_and_width(config, place, kind)
        limit = {"sliding": back, "chunked": chunk}.get(kind, 0)
        if heads:
            counts[heads, width, limit] += 1
    return tuple(CacheLayers(count, *alike) for alike, count in counts.items())


def _heads_and_width(config: Mapping[str, Any], place: int, kind: Kind) -> tuple[int, int]:
    """Of one layer: its heads of keys and values, and what each keeps of a token."""
    rotated = int(config.get("qk_rope_head_dim") or 0)
    is_latent = bool(config.get("kv_lora_rank"))
    if is_latent and config.get("model_type") not in EXPANDED_LATENT:
        # DeepSeek V3.2's indexer keeps an 8-bit vector with a scale beside it.
        indexer = (int(config["index_head_dim"]) + 4) // 2 if config.get("index_head_dim") else 0
        return 1, number(config, "kv_lora_rank") + rotated + indexer
    heads = number(config, "num_attention_heads", "n_head", "n_heads")
    if is_latent:
        return heads, 2 * (number(config, "qk_nope_head_dim") + rotated)
    size = _head_size(config, heads)
    kv_heads = _kv_heads(config, heads, place)
    if kind == "full" and config.get("global_head_dim"):
        # Gemma 4: layers that see everything have heads of their own.
        own = config.get("num_global_key_value_heads") or kv_heads
        return int(own), 2 * number(config, "global_head_dim")
    return kv_heads, 2 * size


def _head_size(config: Mapping[str, Any], heads: int) -> int:
    names = ("attention_head_dim", "head_dim", "kv_channels", "hidden_size_per_head")
    if any(config.get(name) for name in names):
        return number(config, *names)
    return max(1, number(config, "hidden_size", "n_embd", "d_model") // heads)


def _kv_heads(config: Mapping[str, Any], heads: int, place: int) -> int:
    """Heads of keys and values in one layer, by vLLM's own rules; 0 where it has no attention."""
    blocks = config.get("block_configs")
    if isinstance(blocks, list) and blocks and "attention" in blocks[place]:
        # Nemotron's models by architecture search: each layer has its own number, or none.
        group = blocks[place]["attention"].get("n_heads_in_group")
        return heads // int(group) if group else 0
    inner = config.get("attn_config")
    if isinstance(inner, dict) and inner.get("kv_n_heads"):
        return number(inner, "kv_n_heads")
    # Falcon's older models share one head, whatever number stands beside that.
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        return 1
    names = ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num")
    each = next((config[name] for name in names if config.get(name) is not None), None)
    if isinstance(each, list) and len(each) > place:
        return int(each[place])
    return number(config, *names, "num_attention_groups", default=heads)
