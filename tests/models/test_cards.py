"""The cards under models/, and which model each speaks of."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

import pytest

from opro_local.models.cards import CONTINUED, card_for, cards, named_card, plain_name
from opro_local.models.size import parameters
from opro_local.search.metaprompts import metaprompt

CARDS = {card.name: card for card in cards()}
FAMILIES = {
    *("Llama 3.1", "Llama 3.2", "Llama 3.3", "Qwen2.5", "Qwen3", "Qwen3 2507", "Gemma 3"),
    *("Mistral Small 3", "Phi-4", "Phi-4 reasoning", "gpt-oss", "DeepSeek-R1 distills"),
    *("OLMo 2", "OLMo 3", "Granite 3", "SmolLM2", "SmolLM3"),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_what_is_needed_and_nothing_else(name):
    card = CARDS[name]
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", card.repository) and card.license and card.tested
    assert card.metaprompt in {"", "brackets", "tags", *CONTINUED}
    assert card.demonstrations in ("turns", "text")
    assert card.metaprompt or card.matches, "a form by size is a family's"
    assert all(pattern == pattern.lower() for pattern in card.matches)
    assert all(isinstance(line, str) and line.endswith(".") for line in card.quirks)
    assert all(isinstance(what, str) and what for what in card.switches.values())
    assert not card.family or (card.source and card.matches)
    json.dumps([dict(card.template_args), dict(card.switches)])
    if card.metaprompt:
        assert metaprompt.load(card.metaprompt)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_where_its_facts_were_read_and_what_was_run(name):
    card = CARDS[name]
    assert len(card.source) > 10
    was_run = name == "smollm2-135m-instruct"
    assert ("the model was not run" in card.tested) is not was_run


def test_every_family_has_a_card():
    assert {card.family for card in CARDS.values() if card.family} == FAMILIES


def test_a_name_is_one_cards():
    """No name that one card matches is another's, by pattern or by name."""
    examples = {
        pattern.replace("*", "7"): name for name, card in CARDS.items() for pattern in card.matches
    }
    for example, owner in examples.items():
        matching = [
            name
            for name, card in CARDS.items()
            if example == card.name or any(fnmatchcase(example, p) for p in card.matches)
        ]
        assert matching == [owner], example
    for name, card in CARDS.items():
        assert named_card([card.repository.rpartition("/")[2]]).name == name


NAMED = {
    "Qwen2.5-7B-Instruct": "qwen2.5-7b-instruct",
    "Qwen2.5-7B-Instruct-AWQ": "qwen2.5-7b-instruct",
    "Qwen2.5-7B-Instruct-GPTQ-Int4": "qwen2.5-7b-instruct",
    "Qwen2.5-32B-Instruct-AWQ": "qwen2.5-instruct",
    "Qwen2.5-72B-Instruct-GPTQ-Int8": "qwen2.5-instruct",
    "Qwen2.5-1.5B-Instruct-unsloth-bnb-4bit": "qwen2.5-instruct",
    "Qwen3-8B-FP8": "qwen3-8b",
    "Qwen3-8B-AWQ": "qwen3-8b",
    "Qwen3-4B": "qwen3",
    "Qwen3-30B-A3B-FP8": "qwen3",
    "Qwen3-235B-A22B-GPTQ-Int4": "qwen3",
    "Qwen3-4B-Instruct-2507": "qwen3-instruct-2507",
    "Qwen3-30B-A3B-Instruct-2507-FP8": "qwen3-instruct-2507",
    "Qwen3-30B-A3B-Instruct-2507-AWQ-4bit": "qwen3-instruct-2507",
    "Qwen3-4B-Thinking-2507": "qwen3-thinking-2507",
    "Meta-Llama-3.1-8B-Instruct": "llama-3.1-8b-instruct",
    "Meta-Llama-3.1-8B-Instruct-quantized.w4a16": "llama-3.1-8b-instruct",
    "Meta-Llama-3.1-70B-Instruct-AWQ-INT4": "llama-3.1-instruct",
    "Llama-3.1-8B-Instruct-FP8-dynamic": "llama-3.1-8b-instruct",
    "Llama-3.2-1B-Instruct-bnb-4bit": "llama-3.2-1b-instruct",
    "Llama-3.2-3B-Instruct-FP8": "llama-3.2-instruct",
    "Llama-3.3-70B-Instruct-NVFP4": "llama-3.3-instruct",
    "gemma-3-4b-it": "gemma-3-it",
    "gemma-3-27b-it-qat-q4_0-unquantized": "gemma-3-it",
    "gemma-3-12b-it-bnb-4bit": "gemma-3-it",
    "gemma-3-270m": "gemma-3-270m",
    "Mistral-Small-24B-Instruct-2501-AWQ": "mistral-small-instruct",
    "Mistral-Small-3.2-24B-Instruct-2506-FP8": "mistral-small-instruct",
    "phi-4": "phi-4",
    "Phi-4-mini-instruct": "phi-4",
    "Phi-4-reasoning-plus": "phi-4-reasoning",
    "gpt-oss-20b": "gpt-oss",
    "gpt-oss-120b-BF16": "gpt-oss",
    "DeepSeek-R1-Distill-Qwen-1.5B": "deepseek-r1-distill",
    "DeepSeek-R1-Distill-Llama-70B-AWQ": "deepseek-r1-distill",
    "OLMo-2-1124-7B-Instruct": "olmo-2-instruct",
    "Olmo-3-7B-Instruct": "olmo-3-instruct",
    "Olmo-3-32B-Think": "olmo-3-think",
    "granite-3.3-2b-instruct": "granite-instruct",
    "SmolLM2-135M-Instruct": "smollm2-135m-instruct",
    "SmolLM2-1.7B-Instruct": "smollm2-instruct",
    "SmolLM3-3B": "smollm3",
    # Base models, other models, and names that only begin alike.
    "Qwen2.5-7B": None,
    "Qwen2.5-7B-AWQ": None,
    "Qwen3-8B-Base": None,
    "Qwen3-4B-Base": None,
    "Qwen3-Embedding-4B": None,
    "Llama-3.1-8B": None,
    "gemma-3-4b-pt": None,
    "Llama-Guard-3-8B": None,
    "my-Qwen2.5-7B-Instruct-finetune": None,
    "model": None,
    "awq": None,
    "-awq": None,
    "": None,
}


@pytest.mark.parametrize("name", NAMED)
def test_a_model_is_known_by_its_family_whatever_it_is_stored_as(name):
    card = named_card([name])
    assert (card.name if card else None) == NAMED[name]


@pytest.mark.parametrize("owner", ["Qwen", "unsloth", "someone-else"])
def test_a_model_in_the_hubs_cache_is_known_by_its_name(tmp_path, owner):
    folder = tmp_path / f"models--{owner}--Qwen2.5-7B-Instruct-AWQ" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    assert card_for(folder).name == "qwen2.5-7b-instruct"


def test_no_size_is_taken_for_a_way_of_storing():
    for name in ("qwen3-4b", "qwen3-8b", "phi-4", "gpt-oss-20b", "gemma-3-4b-it", "x-8b-a3b"):
        assert plain_name(name) == name


# config, tensors as {dtype: bytes}, and the form of a chat model of that size.
QWEN_7B = {
    "num_hidden_layers": 28,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
}
QWEN_15B = {
    "num_hidden_layers": 28,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
QWEN_30B_A3B = {
    "num_hidden_layers": 48,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151936,
}
SIZES = {
    "AWQ": (QWEN_7B | {"quantization_config": {}}, {"I32": 3 << 30, "F16": 2 << 30}, 7.62e9),
    "GPTQ": (QWEN_15B | {"quantization_config": {}}, {"I32": 1 << 30}, 1.54e9),
    "FP8": (QWEN_7B | {"quantization_config": {}}, {"F8_E4M3": 6 << 30, "BF16": 1 << 30}, 7.62e9),
    "packed without a word": (QWEN_7B, {"U8": 4 << 30, "BF16": 1 << 30}, 7.62e9),
    "text part": ({"text_config": QWEN_7B, "quantization_config": {}}, {"U8": 1}, 7.62e9),
    "thinker": ({"thinker_config": {"text_config": QWEN_7B}}, {"I32": 1}, 7.62e9),
    "experts": (QWEN_30B_A3B | {"quantization_config": {}}, {"I32": 16 << 30}, 30.5e9),
    "pickles": (QWEN_7B, {}, 7.62e9),
    "bfloat16": ({}, {"BF16": 2 * 1_540_000_000}, 1.54e9),
    "float32": ({}, {"F32": 4 * 1_540_000_000}, 1.54e9),
}


def write(folder, config, tensors):
    """A model's folder, with holes where the weights would be."""
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    if not tensors:
        return
    table, end = {}, 0
    for kind, size in tensors.items():
        table[kind] = {"dtype": kind, "shape": [size], "data_offsets": [end, end + size]}
        end += size
    packed = json.dumps(table).encode()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(packed).to_bytes(8, "little") + packed)
        stream.truncate(8 + len(packed) + end)


@pytest.mark.parametrize("name", SIZES)
def test_the_size_is_that_of_the_model_and_not_of_its_files(tmp_path, name):
    config, tensors, published = SIZES[name]
    write(tmp_path, config, tensors)
    assert parameters(tmp_path) == pytest.approx(published, rel=0.1)
    assert card_for(tmp_path).metaprompt == ("brackets" if published >= 3e9 else "rewording")


@pytest.mark.parametrize("config", [{}, {"num_hidden_layers": "28"}, {"hidden_size": 3584}, []])
def test_where_no_shape_is_told_bytes_are_all_there_is(tmp_path, config):
    write(tmp_path, config, {})
    assert parameters(tmp_path) is None
    for size, form in ((1 << 20, "rewording"), (6_000_000_000, "brackets")):
        with (tmp_path / "pytorch_model.bin").open("wb") as stream:
            stream.truncate(size)
        assert card_for(tmp_path).metaprompt == form
