"""Whether the shapes of a folder's weights are those that its config.json tells of.

For: vLLM, which takes the part of a larger tensor that its config asks for and answers nonsense
(0.32 does so with feed-forward layers of another width). Not for: the transformers engine, which
compares every tensor itself (engines/loading.py), or whether files are whole (completeness.py).

Only families whose layers are all alike are compared, and only what their config says itself: a
folder that is wrongly refused would be worse than one that is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.models.completeness import SAFETENSORS
from opro_local.models.footprint import header
from opro_local.models.kv_cache import text_config
from opro_local.models.trust import read_json

COMPLETE = "check that the folder is complete, and that config.json is the one of these weights"
ALIKE = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "olmo2", "olmo3", "smollm3")
# Families that have a width of heads which their config may leave out.
OWN_WIDTH = ("gemma2", "gemma3_text")
LAYER = re.compile(
    r"""
    (?: model \. | language_model \. )* layers \. \d+ \.
    (?: self_attn | mlp ) \. (?P<part> [qkvo] | gate | up | down ) _proj \. weight
    """,
    re.VERBOSE,
)


def check_shapes(folder: Path) -> None:
    """Compare the matrices of a folder's layers with its config.

    Raises:
        ModelError: one has another shape; names the first by name.
    """
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or "quantization_config" in config:
        return
    expected = _expected(text_config(config))
    if not expected:
        return
    for file in sorted(folder.glob(SAFETENSORS)):
        if file.name.startswith("consolidated"):
            continue  # Mistral's own format of the same weights
        for name, entry in sorted(header(file)[0].items()):
            match = LAYER.fullmatch(name)
            wanted = expected.get(match["part"]) if match else None
            stored = entry.get("shape")
            if wanted and stored != list(wanted):
                raise ModelError(
                    f"{folder}: {name} has the shape {_written(stored)}, and {_written(wanted)} by "
                    "config.json",
                    COMPLETE,
                )


def _expected(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The shape of each matrix of a layer, as far as the config says."""
    kind = config.get("model_type")
    if kind not in ALIKE or "quantization_config" in config:
        return {}
    hidden, inner = config.get("hidden_size"), config.get("intermediate_size")
    heads, width = config.get("num_attention_heads"), config.get("head_dim")
    keys = config.get("num_key_value_heads", heads)
    expected: dict[str, tuple[int, int]] = {}
    if not isinstance(hidden, int):
        return expected
    if isinstance(inner, int):
        expected |= {"gate": (inner, hidden), "up": (inner, hidden), "down": (hidden, inner)}
    if width is None and kind not in OWN_WIDTH and isinstance(heads, int) and heads > 0:
        width = hidden // heads
    if isinstance(heads, int) and isinstance(keys, int) and isinstance(width, int):
        expected |= {"q": (heads * width, hidden), "o": (hidden, heads * width)}
        expected |= {"k": (keys * width, hidden), "v": (keys * width, hidden)}
    return expected


def _written(shape: Any) -> str:
    return "x".join(map(str, shape)) if isinstance(shape, list | tuple) else str(shape)
