"""What the planner counts of 31 published models, each with the figure of its publisher or one
worked out by hand.

families.json holds their configs as they are on the hub, as far as the count reads them; with each
of them transformers makes a model of exactly the parameters named there
(scripts/compare_footprints.py, DeepSeek-V3 but for 14,848 that it holds as buffers).
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from opro_local.engines.settings import EngineSettings
from opro_local.models.footprint import footprint
from opro_local.models.kv_cache import sequence_cache, text_config
from opro_local.models.towers import has_towers, is_of_tower
from opro_local.placement.demand import demand

sys.path.insert(0, str(Path(__file__).parents[1] / "placement"))
from test_placement import write_model, write_weights

FAMILIES = json.loads((Path(__file__).parent / "families.json").read_text())
K = 8192
# Bytes at 16 bits: of one more token at the start; of a sequence of 8192; and on each of 8 GPUs.
TABLE = {
    # 2 (keys, values) * layers * heads * head size * 2 bytes.
    "Llama-3.1-8B-Instruct": (2 * 32 * 8 * 128 * 2, 1 << 30, (1 << 30) // 8),
    # 516.096, 327.680 and 70.272 kB a token: "Insights into DeepSeek-V3" (2505.09343), table 1.
    "Llama-3.1-405B-Instruct": (516_096, 516_096 * K, 516_096 * K // 8),
    "Qwen2.5-72B-Instruct": (327_680, 327_680 * K, 327_680 * K // 8),
    # The compressed vector is whole on every rank.
    "DeepSeek-V3": (70_272, 70_272 * K, 70_272 * K),
    "DeepSeek-V2-Lite-Chat": (27 * 576 * 2, 31_104 * K, 31_104 * K),
    # 4 heads on 8 ranks: each rank keeps one, a quarter of all.
    "Qwen2.5-7B-Instruct": (2 * 28 * 4 * 128 * 2, 57_344 * K, 57_344 * K // 4),
    "Qwen3-8B": (2 * 36 * 8 * 128 * 2, 147_456 * K, 147_456 * K // 8),
    "Qwen3-30B-A3B": (2 * 48 * 4 * 128 * 2, 98_304 * K, 98_304 * K // 4),
    "Mistral-7B-Instruct-v0.3": (131_072, 1 << 30, (1 << 30) // 8),
    "Mixtral-8x7B-Instruct-v0.1": (131_072, 1 << 30, (1 << 30) // 8),
    # 10 heads on 8 ranks: two on the fullest.
    "phi-4": (2 * 40 * 10 * 128 * 2, 204_800 * K, 204_800 * K // 5),
    "OLMo-2-1124-7B-Instruct": (2 * 32 * 32 * 128 * 2, 4 << 30, (4 << 30) // 8),
    "granite-3.3-8b-instruct": (2 * 40 * 8 * 128 * 2, 163_840 * K, 163_840 * K // 8),
    "SmolLM2-1.7B-Instruct": (2 * 24 * 32 * 64 * 2, 196_608 * K, 196_608 * K // 8),
    "SmolLM3-3B": (2 * 36 * 4 * 128 * 2, 73_728 * K, 73_728 * K // 4),
    # Neither heads nor vocabulary are in its config: 8 and 4 of 256. 1 layer in 6 sees everything;
    # the others keep their window and one forward batch, here more than the sequence.
    "gemma-3-4b-it": (2 * 34 * 4 * 256 * 2, 139_264 * K, 139_264 * K // 4),
    "gemma-3-27b-it": (2 * 62 * 16 * 128 * 2, 507_904 * K, 507_904 * K // 8),
    "gemma-2-9b-it": (2 * 42 * 8 * 256 * 2, 344_064 * K, 344_064 * K // 8),
    "gpt-oss-20b": (2 * 24 * 8 * 64 * 2, 49_152 * K, 49_152 * K // 8),
    # Falcon-7B has one head of keys and values, Falcon-40B eight, and both say "multi_query".
    "falcon-7b-instruct": (2 * 32 * 1 * 64 * 2, 8192 * K, 8192 * K),
    "falcon-40b-instruct": (2 * 60 * 8 * 64 * 2, 122_880 * K, 122_880 * K // 8),
    # 12 of 48 layers attend. The others keep, twice, 3 * (2 * 16 * 128 + 32 * 128) numbers of their
    # convolution and 32 * 128 * 128 of their state.
    "Qwen3-Next-80B-A3B-Instruct": (
        2 * 12 * 2 * 256 * 2,
        24_576 * K + 2 * 36 * (24_576 + 524_288) * 2,
        24_576 * K // 2 + 2 * 36 * (24_576 + 524_288) * 2 // 8,
    ),
    # 4 of 56 attend, 27 are Mamba 2, whose state vLLM keeps in 32 bits, 25 neither.
    "NVIDIA-Nemotron-Nano-9B-v2": (
        2 * 4 * 8 * 128 * 2,
        16_384 * K + 2 * 27 * (3 * (10_240 + 2 * 8 * 128) * 2 + 10_240 * 128 * 4),
        (16_384 * K + 2 * 27 * (3 * (10_240 + 2 * 8 * 128) * 2 + 10_240 * 128 * 4)) // 8,
    ),
    # 4 of 32 attend: 4 GiB at 256K tokens, "Jamba" (2403.19887), table 1, and 28 Mamba layers.
    "Jamba-v0.1": (
        (4 << 30) // (256 << 10),
        16_384 * K + 2 * 28 * 8192 * (3 + 16) * 2,
        (16_384 * K + 2 * 28 * 8192 * (3 + 16) * 2) // 8,
    ),
    "Bamba-9B-v2": (
        2 * 3 * 8 * 128 * 2,
        12_288 * K + 2 * 29 * (3 * (8192 + 2 * 128) + 8192 * 128) * 2,
        (12_288 * K + 2 * 29 * (3 * (8192 + 2 * 128) + 8192 * 128) * 2) // 8,
    ),
    "mamba-2.8b-hf": (0, 2 * 64 * 5120 * (3 + 16) * 2, 2 * 64 * 5120 * (3 + 16) * 2 // 8),
    "granite-4.0-h-tiny": (
        2 * 4 * 4 * 128 * 2,
        8192 * K + 2 * 36 * (3 * (3072 + 2 * 128) + 3072 * 128) * 2,
        8192 * K // 4 + 2 * 36 * (3 * (3072 + 2 * 128) + 3072 * 128) * 2 // 8,
    ),
    # 36 of 48 layers see chunks of 8192 only, which is all of this sequence.
    "Llama-4-Scout-17B-16E-Instruct": (2 * 48 * 8 * 128 * 2, 196_608 * K, 196_608 * K // 8),
    "Mistral-Small-3.1-24B-Instruct-2503": (2 * 40 * 8 * 128 * 2, 163_840 * K, 163_840 * K // 8),
    "Qwen2.5-VL-7B-Instruct": (2 * 28 * 4 * 128 * 2, 57_344 * K, 57_344 * K // 4),
    "LFM2-1.2B": (2 * 6 * 8 * 64 * 2, 12_288 * K + 2 * 10 * 2048 * 2 * 2, 12_603_392),
}


def test_every_family_of_the_table_is_there():
    assert set(TABLE) == set(FAMILIES) and len(TABLE) == 31


@pytest.mark.parametrize("name", TABLE)
def test_a_sequence_takes_what_its_publisher_or_a_hand_count_says(name):
    token, sequence, of_eight = TABLE[name]
    cache = sequence_cache(text_config(FAMILIES[name]["config"]))
    assert cache.is_known
    assert cache.bytes(2) - cache.bytes(1) == token
    assert (cache.bytes(K), cache.bytes(K, tensor=8)) == (sequence, of_eight)


@pytest.mark.parametrize(
    ("name", "tokens", "ahead", "expected"),
    [
        # 10 of 62 layers keep all; 52 keep 1024 and the batch.
        ("gemma-3-27b-it", 131_072, 8192, 2 * 16 * 128 * 2 * (10 * 131_072 + 52 * 9216)),
        # 5 of 34 with the defaults of its family.
        ("gemma-3-4b-it", 131_072, 8192, 2 * 4 * 256 * 2 * (5 * 131_072 + 29 * 9216)),
        ("gemma-2-9b-it", 8192, 1024, 2 * 8 * 256 * 2 * (21 * 8192 + 21 * 5120)),
        ("gpt-oss-20b", 131_072, 2048, 2 * 8 * 64 * 2 * (12 * 131_072 + 12 * 2176)),
        ("Llama-4-Scout-17B-16E-Instruct", 65_536, 8192, 4096 * (12 * 65_536 + 36 * 16_384)),
    ],
)
def test_layers_that_slide_keep_their_window_and_one_batch(name, tokens, ahead, expected):
    cache = sequence_cache(text_config(FAMILIES[name]["config"]))
    assert cache.bytes(tokens, ahead=ahead) == expected


def test_layers_are_divided_over_pipeline_ranks_and_the_fullest_counts():
    cache = sequence_cache(FAMILIES["Llama-3.1-405B-Instruct"]["config"])
    assert cache.bytes(1, pipeline=4, tensor=8) == 2 * 32 * 1 * 128 * 2
    mamba = sequence_cache(FAMILIES["mamba-2.8b-hf"]["config"])
    assert mamba.bytes(K, pipeline=3) == 2 * 22 * 5120 * 19 * 2


def test_an_eight_bit_cache_leaves_states_as_they_are():
    cache = sequence_cache(FAMILIES["Jamba-v0.1"]["config"])
    assert cache.bytes(K, 1) == 16_384 * K // 2 + 2 * 28 * 8192 * 19 * 2
    assert cache.bytes(K, 4) == 2 * cache.bytes(K, 2)


@pytest.mark.parametrize("name", TABLE)
def test_weights_are_two_bytes_a_parameter_and_divided_over_ranks(name, tmp_path):
    known = FAMILIES[name]
    config = {k: v for k, v in known["config"].items() if k != "quantization_config"}
    folder = write_model(tmp_path / "m", config, known["parameters"], shards=3)
    model = footprint(folder)
    assert model.weights() == 2 * known["parameters"]
    settings = EngineSettings(str(folder), "vllm", tensor_parallel=4, max_model_len=K)
    need = demand(["scorer"], settings, model)
    assert need.weights == -(-2 * known["parameters"] // 4)
    assert need.sequence == sequence_cache(text_config(config)).bytes(K, tensor=4)


# Numbers of what reads images, counted by hand: the tower, and what joins it to the language model.
SIGLIP = (
    588 * 1152 + 1152 + 4096 * 1152
    # A layer: queries, keys, values and output with biases; two matrices; two norms.
    + 27 * (4 * (1152 * 1152 + 1152) + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152)
    + 2 * 1152
)  # fmt: skip
PIXTRAL = 588 * 1024 + 1024 + 24 * (2 * 1024 + 4 * 1024 * 1024 + 3 * 1024 * 4096)
QWEN_VISION = (
    2 * 588 * 1280
    + 32 * (2 * 1280 + 1280 * 3840 + 3840 + 1280 * 1280 + 1280 + 3 * 1280 * 3420 + 2 * 3420 + 1280)
    + 1280 + 5120 * 5120 + 5120 + 5120 * 3584 + 3584
)  # fmt: skip
LLAMA4_VISION = (
    1408 + 577 * 1408 + 588 * 1408 + 4 * 1408
    + 34 * (4 * (1408 * 1408 + 1408) + 2 * 1408 * 5632 + 5632 + 1408 + 4 * 1408)
    + 5632 * 4096 + 4096 * 4096
)  # fmt: skip
# Under the names that the files on the hub have.
TOWERS = {
    # "Gemma 3 technical report" (2503.19786), table 1: 417M of vision encoder.
    "gemma-3-4b-it": {
        "vision_tower.vision_model.encoder": SIGLIP,
        "multi_modal_projector.mm_input_projection_weight": 1152 * 2560 + 1152,
    },
    "gemma-3-27b-it": {
        "model.vision_tower.vision_model.encoder": SIGLIP,
        "model.multi_modal_projector.mm_soft_emb_norm.weight": 1152 * 5376 + 1152,
    },
    "Mistral-Small-3.1-24B-Instruct-2503": {
        "vision_tower.transformer": PIXTRAL,
        "multi_modal_projector.linear_1.weight": 1024 + 4096 * 1024 + 1024 * 5120 + 5120 * 5120,
    },
    "Qwen2.5-VL-7B-Instruct": {"visual.blocks": QWEN_VISION},
    "Llama-4-Scout-17B-16E-Instruct": {
        "vision_model.model.layers": LLAMA4_VISION,
        "multi_modal_projector.linear_1.weight": 4096 * 5120,
    },
}
# What transformers makes of their configs on the meta device (scripts/compare_footprints.py).
LANGUAGE = {
    "gemma-3-4b-it": 3_880_263_168,
    "gemma-3-27b-it": 27_009_346_304,
    "Mistral-Small-3.1-24B-Instruct-2503": 22_901_314_560 + 671_088_640,
    "Qwen2.5-VL-7B-Instruct": 7_070_619_136 + 544_997_376,
    "Llama-4-Scout-17B-16E-Instruct": 106_735_375_360 + 1_034_485_760,
}
# How the files name the language model.
WORDS = {"gemma-3-27b-it": "model.language_model.layers.0", "Qwen2.5-VL-7B-Instruct": "model.norm"}


@pytest.mark.parametrize("name", TOWERS)
def test_what_reads_images_does_not_count_where_the_engine_leaves_it_out(name, tmp_path):
    known, seeing = FAMILIES[name], TOWERS[name]
    words = {WORDS.get(name, "language_model.model.layers.0"): LANGUAGE[name]}
    assert sum(seeing.values()) + LANGUAGE[name] == known["parameters"]
    folder = write_model(tmp_path / "m", known["config"])
    tensors = {one: ("BF16", 2 * numbers) for one, numbers in (seeing | words).items()}
    write_weights(folder / "model.safetensors", tensors)
    model = footprint(folder)
    assert model.weights() == 2 * known["parameters"]
    assert model.weights(language_only=True) == 2 * LANGUAGE[name]
    engine = EngineSettings(str(folder), "vllm", tensor_parallel=2)
    assert demand(["scorer"], engine, model).weights == LANGUAGE[name]
    for other in (
        replace(engine, kind="transformers"),
        replace(engine, engine_args={"language_model_only": False}),
    ):
        assert demand(["scorer"], other, model).weights == known["parameters"]


# Names of tensors, and whether they are the language model's; as published files write them.
PLACES = {
    "thinker.visual.blocks.0.attn.qkv.weight": False,
    "thinker.audio_tower.conv1.weight": False,
    "talker.model.layers.0.mlp.up_proj.weight": False,
    "model.vision_backbone.image_vit.positional_embedding": False,
    "model.connector.modality_projection.proj.weight": False,
    "model.embed_vision.embedding.weight": False,
    "vision_encoder.transformer.layers.0.attention.wq.weight": False,
    "image_newline": False,
    "thinker.model.layers.0.mlp.up_proj.weight": True,
    "model.embed_tokens.weight": True,
    "model.embed_tokens_per_layer.weight": True,
    "model.layers.0.vision.weight": True,
    "model.language_model.visual.weight": True,
    "visualizer.weight": True,
    "lm_head.weight": True,
}


def test_towers_are_known_by_the_names_of_their_tensors():
    assert {name: not is_of_tower(name) for name in PLACES} == PLACES


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "gemma3", "text_config": {}, "vision_config": {}}, True),
        ({"thinker_config": {"text_config": {}, "audio_config": {}}}, True),
        ({"model_type": "qwen2_vl", "vision_config": {}}, True),
        # No part of its own for the language model: the engine does not know to leave anything out.
        ({"model_type": "internvl_chat", "llm_config": {}, "vision_config": {}}, False),
        ({"model_type": "llama"}, False),
        ({"model_type": "x", "text_config": {}}, False),
        ({"text_config": [], "vision_config": {}}, False),
    ],
)
def test_only_models_that_engines_divide_have_towers(config, expected):
    assert has_towers(config) is expected


def test_a_text_models_tensors_count_whatever_they_are_called(tmp_path):
    folder = write_model(tmp_path / "m", FAMILIES["Qwen3-8B"]["config"])
    write_weights(folder / "model.safetensors", {"model.visual.w": ("BF16", 10)})
    assert footprint(folder).weights(language_only=True) == 10


def test_quantized_and_pickled_towers(tmp_path):
    config = FAMILIES["gemma-3-4b-it"]["config"] | {"quantization_config": {}}
    folder = write_model(tmp_path / "m", config)
    tensors = {"vision_tower.w": ("BF16", 10), "language_model.w": ("I32", 400)}
    write_weights(folder / "model.safetensors", tensors)
    model = footprint(folder)
    assert (model.weights(), model.weights(language_only=True)) == (410, 400)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert footprint(folder).weights(language_only=True) == footprint(folder).weights()


# In the forms of such files; only the sum of gpt-oss-20b is a published one, 13,761,264,768.
STORED = [
    # AWQ and GPTQ: 4-bit weights packed in I32 with F16 scales, 16-bit embeddings.
    ("awq", {"qweight": ("I32", 3_262_906_368), "rest": ("F16", 2_308_180_480)}, 5_571_086_848),
    ("gptq", {"qweight": ("I32", 3_262_906_368), "rest": ("F16", 2_325_000_000)}, 5_587_906_368),
    # FP8: one byte a weight, scales in F32, embeddings and head in BF16.
    (
        "fp8",
        {"w": ("F8_E4M3", 6_979_321_856), "scales": ("F32", 1024), "head": ("BF16", 2_101_346_304)},
        9_080_669_184,
    ),
    # gpt-oss: blocks and scales of mxfp4 are U8, the rest BF16.
    ("mxfp4", {"blocks": ("U8", 10_153_820_160), "rest": ("BF16", 3_607_444_608)}, 13_761_264_768),
    ("bitsandbytes", {"w": ("U8", 4_000_000_000), "absmax": ("F32", 4096)}, 4_000_004_096),
]


@pytest.mark.parametrize(("method", "tensors", "expected"), STORED)
@pytest.mark.parametrize("dtype", ["auto", "float16", "float32"])
def test_quantized_weights_stay_as_they_are_stored(method, tensors, expected, dtype, tmp_path):
    config = {**FAMILIES["Qwen2.5-7B-Instruct"]["config"]}
    folder = write_model(
        tmp_path / "m", {**config, "quantization_config": {"quant_method": method}}
    )
    write_weights(folder / "model.safetensors", tensors)
    assert footprint(folder).weights(dtype) == expected


@pytest.mark.parametrize(
    ("dtype", "asked", "expected"),
    [
        ("float32", "auto", 2000),
        ("float32", "float32", 4000),
        ("float16", "auto", 4000),
        ("bfloat16", "float32", 8000),
        (None, "auto", 4000),
    ],
)
def test_a_pickled_file_holds_numbers_of_the_configs_dtype(dtype, asked, expected, tmp_path):
    config = {**FAMILIES["Llama-3.1-8B-Instruct"]["config"], "torch_dtype": dtype}
    folder = write_model(tmp_path / "m", config)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x" * 4000)
    assert footprint(folder).weights(asked) == expected


def test_layers_that_guess_ahead_are_not_loaded_and_do_not_count(tmp_path):
    deepseek = write_model(tmp_path / "d", FAMILIES["DeepSeek-V3"]["config"])
    guessing = {"model.layers.60.w": ("F8_E4M3", 70), "model.layers.61.w": ("F8_E4M3", 7)}
    write_weights(deepseek / "model.safetensors", guessing)
    assert footprint(deepseek).weights() == 70
    qwen = write_model(tmp_path / "q", FAMILIES["Qwen3-Next-80B-A3B-Instruct"]["config"])
    write_weights(qwen / "model.safetensors", {"model.w": ("BF16", 70), "mtp.w": ("BF16", 6)})
    assert footprint(qwen).weights() == 70


@pytest.mark.parametrize(
    ("config", "token"),
    [
        # Nemotron's searched models: heads of one layer, none in the next.
        (
            {
                "num_hidden_layers": 3,
                "num_attention_heads": 64,
                "hidden_size": 8192,
                "block_configs": [
                    {"attention": {"n_heads_in_group": 8, "no_op": False}},
                    {"attention": {"n_heads_in_group": None, "no_op": True}},
                    {"attention": {"n_heads_in_group": 16, "no_op": False}},
                ],
            },
            2 * (8 + 4) * 128 * 2,
        ),
        # Gemma 4: other heads where a layer sees everything.
        (
            {
                "model_type": "gemma4_text",
                "num_hidden_layers": 6,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
                "head_dim": 256,
                "global_head_dim": 512,
                "num_global_key_value_heads": 2,
                "sliding_window": 1024,
            },
            2 * (5 * 8 * 256 + 2 * 512) * 2,
        ),
        # Gemma 3n: the last layers read what earlier ones keep.
        ({"model_type": "gemma3n_text"}, 2 * 20 * 2 * 256 * 2),
        # EXAONE 4 writes its pattern as letters; OpenELM its heads as a list; ChatGLM its own names.
        (
            {
                "num_hidden_layers": 4,
                "num_attention_heads": 8,
                "num_kv_heads": [1, 2, 3, 4],
                "head_dim": 64,
            },
            2 * 10 * 64 * 2,
        ),
        (
            {
                "num_layers": 28,
                "num_attention_heads": 32,
                "multi_query_group_num": 2,
                "kv_channels": 128,
                "hidden_size": 4096,
            },
            2 * 28 * 2 * 128 * 2,
        ),
        # DBRX keeps its heads inside; GPT has names of its own; MPT as many as heads.
        (
            {
                "n_layers": 40,
                "n_heads": 48,
                "d_model": 6144,
                "attn_config": {"kv_n_heads": 8},
            },
            2 * 40 * 8 * 128 * 2,
        ),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, 2 * 12 * 12 * 64 * 2),
        # Kimi-Linear: one layer in four with latent attention, counted from 1.
        (
            {
                "num_hidden_layers": 4,
                "kv_lora_rank": 512,
                "qk_rope_head_dim": 64,
                "linear_attn_config": {
                    "full_attn_layers": [4],
                    "kda_layers": [1, 2, 3],
                    "num_heads": 32,
                    "head_dim": 128,
                    "short_conv_kernel_size": 4,
                },
            },
            576 * 2,
        ),
        ({"thinker_config": {"text_config": FAMILIES["Qwen3-8B"]["config"]}}, 147_456),
    ],
)
def test_other_ways_to_write_heads_and_layers(config, token):
    cache = sequence_cache(text_config(config))
    assert cache.is_known
    assert cache.bytes(2) - cache.bytes(1) == token


def test_what_a_family_leaves_out_is_named(tmp_path):
    model = footprint(write_model(tmp_path / "m", FAMILIES["gemma-3-4b-it"]["config"]))
    assert model.vocabulary == 262_208 and model.context == 131_072
    (note,) = model.notes
    assert note.startswith("not in its config, assumed as usual: num_attention_heads 8, ")
