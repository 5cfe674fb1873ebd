"""Shapes of weights against config.json, before vLLM takes a part of them."""

from __future__ import annotations

import json
import struct

import pytest

from opro_local.errors import ModelError
from opro_local.models.shapes import check_shapes

CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 16,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
WHOLE = {
    "model.embed_tokens.weight": [99, 16],
    "model.layers.0.self_attn.q_proj.weight": [16, 16],
    "model.layers.0.self_attn.k_proj.weight": [8, 16],
    "model.layers.0.self_attn.v_proj.weight": [8, 16],
    "model.layers.0.self_attn.v_proj.bias": [8],
    "model.layers.0.self_attn.o_proj.weight": [16, 16],
    "model.layers.0.mlp.gate_proj.weight": [48, 16],
    "model.layers.0.mlp.up_proj.weight": [48, 16],
    "model.layers.0.mlp.down_proj.weight": [16, 48],
}


def write(folder, config, shapes):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    table = {
        name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]}
        for name, shape in shapes.items()
    }
    packed = json.dumps({"__metadata__": {"format": "pt"}, **table}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed)
    return folder


FITTING = {
    "as it is": CONFIG,
    "in a part": {"model_type": "mistral3", "text_config": CONFIG | {"model_type": "mistral"}},
    # Widths that are not said, or not those of every layer, are not compared.
    "quantized": CONFIG | {"intermediate_size": 24, "quantization_config": {}},
    "experts": CONFIG | {"model_type": "qwen3_moe", "intermediate_size": 24},
    "widths in a list": CONFIG | {"intermediate_size": [24, 48]},
    "no widths": {"model_type": "llama"},
    "heads of a family": {
        "model_type": "gemma2",
        "hidden_size": 16,
        "intermediate_size": 48,
        "num_attention_heads": 2,
    },
    "no object": [],
}


@pytest.mark.parametrize("name", FITTING)
def test_a_folder_passes_that_fits_or_is_not_known(tmp_path, name):
    check_shapes(write(tmp_path / "m", FITTING[name], WHOLE))


REFUSED = {
    "narrower": ({"intermediate_size": 24}, "mlp.down_proj.weight has the shape 16x48, and 16x24"),
    "wider": ({"intermediate_size": 96}, "mlp.down_proj.weight has the shape 16x48, and 16x96"),
    "fewer heads": ({"num_attention_heads": 2}, "k_proj.weight has the shape 8x16, and 16x16"),
    "fewer keys": ({"num_key_value_heads": 1}, "k_proj.weight has the shape 8x16, and 4x16"),
    "no shared keys": ({"num_key_value_heads": 4}, "k_proj.weight has the shape 8x16, and 16x16"),
    "wider heads": ({"head_dim": 8}, "k_proj.weight has the shape 8x16, and 16x16"),
    "another size": ({"hidden_size": 32}, "mlp.down_proj.weight has the shape 16x48, and 32x48"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_config_of_other_weights_is_refused_by_the_tensors_name(tmp_path, name):
    changed, says = REFUSED[name]
    for config in (
        CONFIG | changed,
        {"model_type": "gemma3", "text_config": CONFIG | {"model_type": "llama"} | changed},
    ):
        with pytest.raises(ModelError) as caught:
            check_shapes(write(tmp_path / "m", config, WHOLE))
        assert says in caught.value.message and caught.value.message.endswith(" by config.json")


def test_a_header_that_is_none_is_refused(tmp_path):
    folder = write(tmp_path / "m", CONFIG, WHOLE)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"[]")
    with pytest.raises(ModelError, match="header is broken"):
        check_shapes(folder)
