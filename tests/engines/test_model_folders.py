"""Model folders as people have them, hosted by the real engines: what each is asked with, token by
token, and what it replies; or the line that refuses it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from running import real

pytest.importorskip("torch")
pytest.importorskip("transformers")
from tiny_models import MARKS, TEMPLATES, as_list_of_templates, save

from opro_local.config.settings import Config, ModelSettings
from opro_local.engines.kinds import engine_class
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, ModelError, UsageError
from opro_local.models.cards import Card
from opro_local.runs import hosting
from opro_local.types import Prompt, Request, Sampling

ASKED = Prompt("Hi?", "Be brief.", prefill="So", turns=(("a", "b"),))
DAY = "2024-07-26"
TURNS = "<s>Be brief.<u>a<a>b<u>Hi?<a>So"
FOLDED = "<u>Be brief.\n\na<a>b<u>Hi?<a>So"
MERGED = "<u>Be brief.\n\na\n\nb\n\nHi?<a>So"
NAMED = {"default": TEMPLATES["one turn"], "tools": TEMPLATES["usual"]}


def pickled(folder: Path) -> None:
    """The weights as torch writes them."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(str(folder / "model.safetensors")), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def sharded(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(str(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:3]}
    parts["model-00002-of-00002.safetensors"] = names[3:]
    for file, own in parts.items():
        save_file({name: tensors[name] for name in own}, folder / file, {"format": "pt"})
    weights = {name: file for file, own in parts.items() for name in own}
    index = {"metadata": {}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def named(folder: Path) -> None:
    as_list_of_templates(folder, **NAMED)


def as_json(folder: Path) -> None:
    """The template in the file that readers of images have."""
    file = folder / "chat_template.jinja"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": file.read_text()}))
    file.unlink()


def nothing(folder: Path) -> None:
    """Leave the folder as it is."""


# Each with its template, what `save` is told, what is done to the folder, the model's settings, and
# the text that its prompt is.
FOLDERS = {
    "usual": ("usual", {}, nothing, {}, TURNS),
    "tied": ("usual", {"tied": True}, nothing, {}, TURNS),
    "padded vocabulary": ("usual", {"rows": 22}, nothing, {}, TURNS),
    "pickles": ("usual", {}, pickled, {"allow_pickle": True}, TURNS),
    "parts": ("usual", {}, sharded, {}, TURNS),
    "no template": (None, {}, nothing, {"chat": True}, "<bos>Be brief.\n\na\n\nb\n\nHi?\n\nSo"),
    "named, default": ("usual", {}, named, {}, MERGED),
    "named, chosen": ("usual", {}, named, {"chat_template": "tools"}, TURNS),
    "template as JSON": ("usual", {}, as_json, {}, TURNS),
    "date": ("date", {}, nothing, {}, "<s>26 Jul 2024" + TURNS),
    "thinking": (
        "thinking",
        {},
        nothing,
        {"template_args": {"enable_thinking": False}},
        "<s>Be brief.<u>a<a>b<u>Hi?<a><think></think>So",
    ),
    "no system": ("no system", {}, nothing, {}, FOLDED),
    "system dropped": ("system dropped", {}, nothing, {}, FOLDED),
    "alternation": ("alternation", {}, nothing, {}, FOLDED),
    "one turn": ("one turn", {}, nothing, {}, MERGED),
    "list content": ("list content", {}, nothing, {}, TURNS),
    "list content, no system": ("list content, no system", {}, nothing, {}, FOLDED),
}
# The folders that hold the same weights, and are asked the same.
ALIKE = ("usual", "pickles", "parts", "named, chosen", "alternation", "list content")


def ids_of(text: str) -> list[int]:
    """The tokens of a text by the vocabulary alone: marks, then characters."""
    names = [*MARKS, "<unk>", *map(chr, range(32, 127)), "\n"]
    ids = []
    while text:
        name = next((mark for mark in MARKS if text.startswith(mark)), text[0])
        ids.append(names.index(name))
        text = text[len(name) :]
    return ids


def hosted(folder: Path, more: dict) -> EngineSettings:
    """The folder's settings as a run makes them; the day is fixed, where there is one."""
    config = Config(scorer=ModelSettings(model=str(folder), **more).model_dump())
    place = hosting.folder_of(config.scorer)
    settings = hosting._hosting(config, "scorer", place, Card("m")).settings
    return replace(settings, date=settings.date and DAY, max_model_len=256)


def made(tmp_path: Path, name: str) -> EngineSettings:
    template, options, change, more, _ = FOLDERS[name]
    folder = save(tmp_path / "m", TEMPLATES[template] if template else None, **options)
    change(folder)
    return hosted(folder, more)


def reply(kind: str, settings: EngineSettings) -> tuple[list[int], str, int]:
    """What the model is asked with, in tokens; what it says; and how many tokens it counts."""
    engine = engine_class(kind)(replace(settings, kind=kind))
    try:
        (ids,) = engine._encode([ASKED])
        (said,) = engine.generate([Request(ASKED, Sampling(6))])
        assert engine.count_tokens([ASKED]) == [said.prompt_tokens] == [len(ids)]
        return ids, said.text, said.completion_tokens
    finally:
        engine.close()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_asked_with_these_tokens(tmp_path, name):
    ids, text, count = reply("transformers", made(tmp_path, name))
    assert ids == ids_of(FOLDERS[name][-1])
    assert 1 <= count <= 6 and isinstance(text, str)


def test_weights_say_the_same_however_they_are_stored(tmp_path):
    replies = {
        (name == "alternation", reply("transformers", made(tmp_path / name, name))[1:])
        for name in ALIKE
    }
    # Folded, the prompt is another one; the rest are asked the same and say the same.
    assert len({said for is_other, said in replies if not is_other}) == 1


@pytest.mark.real
@pytest.mark.parametrize("name", ["usual", "list content"])
def test_with_smollm2s_tokenizer_too(tmp_path, name):
    real("transformers")
    from transformers import AutoTokenizer

    folder = save(tmp_path / "m", TEMPLATES[FOLDERS[name][0]], smol=True)
    ids, _, _ = reply("transformers", hosted(folder, {}))
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert ids == tokenizer.encode(FOLDERS[name][-1], add_special_tokens=False)


# What vLLM itself has to read differently; the others differ in their templates, which both engines
# put to the same tokenizer.
STORED = ("usual", "tied", "padded vocabulary", "pickles", "parts", "no template", "date")
ON_VLLM = [
    pytest.param(name, marks=() if name in (*STORED, "list content") else pytest.mark.nightly)
    for name in FOLDERS
]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ON_VLLM)
def test_vllm_is_asked_with_the_same_tokens_and_says_the_same(tmp_path, name):
    real("vllm")
    settings = made(tmp_path, name)
    assert reply("vllm", settings) == reply("transformers", settings)


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4096\n"


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(POINTER)


def packed(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.gguf")


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def unnamed(folder: Path) -> None:
    as_list_of_templates(folder, tools=TEMPLATES["usual"])


def configured(**values):
    """The change of a folder's config."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


REFUSED = {
    "pointer": ({}, pointer, {}, "git-lfs's pointer to a file of 4,096 bytes"),
    "GGUF": ({}, packed, {}, "a GGUF file"),
    "cut": ({}, cut, {}, "cut off"),
    "pickles": ({}, pickled, {}, "its weights are pickles"),
    "no default": ({}, unnamed, {}, "named tools, and none is the default"),
    "no such name": ({}, nothing, {"chat_template": "rag"}, "no template of that name"),
    "no tokenizer": ({}, without_tokenizer, {}, "no tokenizer in it"),
    "a layer more": (
        {},
        configured(num_hidden_layers=2),
        {},
        "its weights lack model.layers.1.input_layernorm.weight, and 8 more",
    ),
    "a layer less": (
        {},
        configured(num_hidden_layers=0),
        {},
        "its weights have a layer 0, and 0 layers by config.json",
    ),
    "other shapes": (
        {},
        configured(intermediate_size=32),
        {},
        "model.layers.0.mlp.down_proj.weight has the shape 64x64, and 64x32 by config.json, and 2",
    ),
    "another family": ({}, configured(model_type="gpt2", n_embd=64, n_head=2), {}, "lack "),
    "unknown family": ({}, configured(model_type="nonesuch"), {}, "model type `nonesuch`"),
    "impossible heads": ({}, configured(num_attention_heads=7), {}, "not a multiple of the number"),
    "heads in words": ({}, configured(num_attention_heads="two"), {}, "expected int, got str"),
    "unknown activation": ({}, configured(hidden_act="none"), {}, "KeyError: 'none'"),
    "unknown dtype": ({}, configured(dtype="none"), {}, "has no attribute 'none'"),
    "larger tokenizer": ({"rows": -3}, nothing, {}, "its tokenizer is larger than its model"),
}


# Refused before any engine is begun, and so on every engine.
AT_ONCE = ("pointer", "GGUF", "cut", "pickles", "no default", "no such name", "no tokenizer")
# What vLLM says where it is the engine that refuses, in one line with a hint.
SAYS = {
    # vLLM itself would take half of the tensor, and answer.
    "other shapes": "model.layers.0.mlp.down_proj.weight has the shape 64x64, and 64x32 by",
    "a layer less": "no module or parameter named 'layers.0'",
    "a layer more": "not initialized from checkpoint: {'model.layers.1.input_layernorm.weight'",
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_can_be_seen_in_a_folder_is_refused_before_an_engine_is_begun(tmp_path, name):
    options, change, more, says = REFUSED[name]
    folder = save(tmp_path / "m", TEMPLATES["usual"], **options)
    change(folder)
    with pytest.raises((ModelError, UsageError)) as caught:
        hosted(folder, more)
    assert says in caught.value.message and len(str(caught.value).splitlines()) == 1


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SAYS)
def test_a_folder_that_vllm_refuses_ends_in_a_line(tmp_path, name):
    real("vllm")
    options, change, more, _ = REFUSED[name]
    folder = save(tmp_path / "m", TEMPLATES["usual"], **options)
    change(folder)
    with pytest.raises((ModelError, EngineError)) as caught:
        reply("vllm", hosted(folder, more))
    assert SAYS[name] in caught.value.message and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_can_not_be_asked_is_refused_in_a_line(tmp_path, name):
    options, change, more, says = REFUSED[name]
    folder = save(tmp_path / "m", TEMPLATES["usual"], **options)
    change(folder)
    with pytest.raises((ModelError, UsageError)) as caught:
        reply("transformers", hosted(folder, more))
    assert says in caught.value.message and len(str(caught.value).splitlines()) == 1


def test_a_special_token_too_many_is_refused_where_it_is_asked_with(tmp_path):
    """Gemma 3 has one, for images; its models for text do without."""
    from transformers import AutoTokenizer

    folder = save(tmp_path / "m", TEMPLATES["usual"])
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(str(folder))
    engine = engine_class("transformers")(hosted(folder, {}))
    assert engine.count_tokens([Prompt("x")]) == [3]
    with pytest.raises(EngineError, match=r"the token '<image>' \(id 104\) is in a prompt"):
        engine.count_tokens([Prompt("an <image> of")])
    engine.close()
    shutil.rmtree(folder)
