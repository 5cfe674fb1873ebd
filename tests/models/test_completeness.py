"""A model's folder that is not whole, or no model, is refused in a line that names the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest
from model_folders import safetensors, whole

from opro_local.config.settings import ModelSettings
from opro_local.engines import lora
from opro_local.errors import ModelError
from opro_local.models import offline
from opro_local.runs import hosting

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 269060552\n".format(
    "a" * 64
)


def write(folder, **files):
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def pickled(folder):
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("data.pkl", b"x" * 400)
    return folder / "pytorch_model.bin"


def cut_pickle(folder):
    file = pickled(folder)
    file.write_bytes(file.read_bytes()[:300])


def sharded(folder, index="model.safetensors.index.json", parts=(1, 3)):
    (folder / "model.safetensors").unlink()
    ending = ".safetensors" if "safetensors" in index else ".bin"
    stem = "model" if "safetensors" in index else "pytorch_model"
    names = [f"{stem}-{i:05}-of-00003{ending}" for i in (1, 2, 3)]
    for i in parts:
        (folder / names[i - 1]).write_bytes(safetensors() if "safe" in ending else b"\x80\x02")
    write(folder, **{index: json.dumps({"weight_map": dict(zip("abc", names, strict=True))})})


def emptied(folder):
    for file in folder.iterdir():
        file.unlink()


def without_config(folder, **files):
    (folder / "config.json").unlink()
    write(folder, **files)


def gguf_only(folder):
    (folder / "model.safetensors").unlink()
    write(folder, **{"m-Q4_K_M.gguf": b"GGUF"})


def broken_link(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../blobs/gone")


DAMAGE = {
    "weights are a pointer": (
        lambda f: write(f, **{"model.safetensors": POINTER}),
        "model.safetensors: git-lfs's pointer to a file of 269,060,552 bytes, not the file",
        "git lfs pull",
    ),
    "tokenizer is a pointer": (
        lambda f: write(f, **{"tokenizer.json": POINTER}),
        "tokenizer.json: git-lfs's pointer to a file",
        "git lfs pull",
    ),
    "pickles are pointers": (
        lambda f: (f.joinpath("model.safetensors").unlink(), write(f, **{"p.bin": POINTER})),
        "p.bin: git-lfs's pointer",
        "git lfs pull",
    ),
    "weights are cut": (
        lambda f: write(f, **{"model.safetensors": safetensors()[:-3]}),
        "model.safetensors: cut off: its header tells of 8 bytes of tensors, 5 are there",
        "again",
    ),
    "header is cut": (
        lambda f: write(f, **{"model.safetensors": safetensors()[:20]}),
        "model.safetensors: not a safetensors file, or cut off: it has 20 bytes",
        "again",
    ),
    "weights are empty": (
        lambda f: write(f, **{"model.safetensors": b""}),
        "model.safetensors: not a safetensors file, or cut off: it has 0 bytes",
        "again",
    ),
    "weights are a web page": (
        lambda f: write(f, **{"model.safetensors": "<!doctype html><title>Log in</title>"}),
        "model.safetensors: not a safetensors file",
        "again",
    ),
    "pickle is cut": (cut_pickle, "pytorch_model.bin: cut off: it has 300 bytes", "again"),
    "pickle is empty": (lambda f: pickled(f).write_bytes(b""), "pytorch_model.bin: an empty", ""),
    "index names a missing part": (
        sharded,
        "model-00002-of-00003.safetensors: a part of the weights is missing",
        "again",
    ),
    "index names two missing parts": (
        lambda f: sharded(f, parts=(2,)),
        "model-00001-of-00003.safetensors: a part of the weights is missing, and 1 more",
        "again",
    ),
    "index of pickles names a missing part": (
        lambda f: sharded(f, "pytorch_model.bin.index.json"),
        "pytorch_model-00002-of-00003.bin: a part of the weights is missing",
        "again",
    ),
    "parts without an index": (
        lambda f: (sharded(f), (f / "model.safetensors.index.json").unlink()),
        "model-00002-of-00003.safetensors: a part of the weights is missing",
        "again",
    ),
    "index without a map": (
        lambda f: write(f, **{"model.safetensors.index.json": "{}"}),
        "model.safetensors.index.json: no weight_map in it",
        "again",
    ),
    "GGUF beside a config": (gguf_only, "m-Q4_K_M.gguf: a GGUF file", "opro-local models import"),
    "GGUF alone": (
        lambda f: (emptied(f), write(f, **{"x.gguf": b"GGUF"})),
        "x.gguf: a GGUF file",
        "opro-local models import",
    ),
    "empty folder": (emptied, "m: an empty folder", "again"),
    "no config": (without_config, "config.json is missing", "folder with config.json"),
    "an adapter": (
        lambda f: without_config(f, **{"adapter_config.json": "{}"}),
        "a LoRA adapter, not a model",
        "scorer.adapter",
    ),
    "Mistral's own": (
        lambda f: without_config(f, **{"params.json": "{}"}),
        "only Mistral's or Meta's own format",
        "transformers",
    ),
    "config is a list": (lambda f: write(f, **{"config.json": "[]"}), "no JSON object", "again"),
    "config is cut": (
        lambda f: write(f, **{"config.json": '{"model_type": "lla'}),
        "config.json: no readable JSON",
        "again",
    ),
    "config is of something else": (
        lambda f: write(f, **{"config.json": '{"peft_type": "LORA"}'}),
        "neither model_type nor architectures",
        "again",
    ),
    "a reader": (
        lambda f: write(f, **{"config.json": '{"architectures": ["BertForMaskedLM"]}'}),
        "BertForMaskedLM reads text and writes none",
        "generates",
    ),
    "no tokenizer": (
        lambda f: (f / "tokenizer.json").unlink(),
        "no tokenizer in it (tokenizer.json)",
        "again",
    ),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        "no weights in it (*.safetensors)",
        "again",
    ),
    "a link that leads nowhere": (broken_link, "model.safetensors: a link that leads", "again"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_file(tmp_path, name):
    damage, message, hint = DAMAGE[name]
    folder = whole(tmp_path / "m")
    settings = ModelSettings(model=str(folder), allow_pickle=True)
    assert hosting.folder_of(settings) == folder
    damage(folder)
    with pytest.raises(ModelError) as caught:
        hosting.folder_of(settings)
    assert message in caught.value.message and hint in caught.value.hint
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "tokenizer.json").rename(f / "tokenizer.model"),
        lambda f: write(f, **{"config.json": '{"architectures": ["LlamaForCausalLM"]}'}),
        lambda f: write(f, **{"config.json": '{"model_type": "llama"}'}),
        lambda f: write(f, **{"README.md": "version https://git-lfs is what we use"}),
        lambda f: write(f, **{"m.gguf": b"GGUF"}),
        lambda f: sharded(f, parts=(1, 2, 3)),
        pickled,
    ],
)
def test_a_whole_folder_passes(tmp_path, change):
    folder = whole(tmp_path / "m")
    change(folder)
    assert hosting.folder_of(ModelSettings(model=str(folder), allow_pickle=True)) == folder


@pytest.mark.parametrize("name", ["m.gguf", "model.safetensors"])
def test_a_file_is_no_folder(tmp_path, name):
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError) as caught:
        offline.find_model(str(tmp_path / name))
    gguf = name.endswith(".gguf")
    assert ("a GGUF file" if gguf else "a file, not a model's folder") in caught.value.message
    assert ("opro-local models import" in caught.value.hint) == gguf


UNSERVED = {
    "use_dora": ({"use_dora": True}, "DoRA (use_dora)"),
    "modules_to_save": ({"modules_to_save": ["embed_tokens"]}, "modules_to_save ['embed_tokens']"),
    "bias": ({"bias": "all"}, "trained biases"),
    "lora_bias": ({"lora_bias": True}, "trained biases"),
    "IA3": ({"peft_type": "IA3"}, "peft_type 'IA3'"),
}


@pytest.mark.parametrize("name", UNSERVED)
def test_an_adapter_that_vllm_refuses_is_refused_before_it_starts(tmp_path, name):
    more, what = UNSERVED[name]
    write(tmp_path, **{"adapter_model.safetensors": safetensors()})
    usual = {"peft_type": "LORA", "r": 8, "bias": "none", "modules_to_save": None}
    write(tmp_path, **{"adapter_config.json": json.dumps(usual)})
    assert lora.rank(tmp_path) == 8
    write(tmp_path, **{"adapter_config.json": json.dumps(usual | more)})
    with pytest.raises(ModelError, match="which vLLM does not serve") as caught:
        lora.rank(tmp_path)
    assert what in caught.value.message and "merge" in caught.value.hint


@pytest.mark.parametrize("content", [POINTER.encode(), safetensors()[:-1]], ids=["pointer", "cut"])
def test_an_adapters_weights_are_looked_at(tmp_path, content):
    write(tmp_path, **{"adapter_config.json": '{"r": 8}', "adapter_model.safetensors": content})
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors: "):
        lora.rank(tmp_path)


def snapshot(hub, commit, complete=True, time=0):
    folder = whole(hub / "models--owner--name" / "snapshots" / commit)
    if not complete:
        (folder / "model.safetensors").unlink()
    os.utime(folder, (time, time))
    return folder


def main_is(hub, commit):
    refs = hub / "models--owner--name" / "refs"
    refs.mkdir(parents=True, exist_ok=True)
    (refs / "main").write_text(commit)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_the_snapshot_that_main_names_goes_first(hub):
    older, _ = snapshot(hub, "a", time=1), snapshot(hub, "b", time=2)
    main_is(hub, "a")
    assert offline.find_model("owner/name") == older


@pytest.mark.parametrize("main", ["broken", "gone", None])
def test_where_main_is_not_complete_the_newest_complete_snapshot_is_taken(hub, main):
    snapshot(hub, "broken", complete=False, time=9)
    snapshot(hub, "old", time=1)
    newest = snapshot(hub, "new", time=2)
    if main:
        main_is(hub, main)
    assert offline.find_model("owner/name") == newest


def test_where_no_snapshot_is_complete_the_lack_of_main_is_named(hub):
    snapshot(hub, "a", complete=False, time=9)
    snapshot(hub, "b", complete=False, time=1)
    main_is(hub, "b")
    with pytest.raises(ModelError, match=r"snapshots/b: no weights in it"):
        offline.find_model("owner/name")


HOMES = (
    {},
    {"HF_HOME": "~/hf"},
    {"HF_HOME": "$HOME/hf"},
    {"HF_HUB_CACHE": "~/cache"},
    {"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"},
    {"HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"},
    {"HUGGINGFACE_HUB_CACHE": "~/b"},
    {"XDG_CACHE_HOME": "/x"},
    {"XDG_CACHE_HOME": "~/x"},
    {"XDG_CACHE_HOME": "/x", "HF_HOME": "/c"},
)


def test_the_cache_is_where_huggingface_hub_has_it(monkeypatch):
    pytest.importorskip("huggingface_hub")
    ours = []
    names = {name for home in HOMES for name in home}
    base = {name: value for name, value in os.environ.items() if name not in names}
    code = "\n".join(
        (
            "import importlib, json, os, sys",
            "import huggingface_hub.constants as constants",
            "for home in json.loads(sys.argv[1]):",
            "    os.environ.update(home)",
            "    print(importlib.reload(constants).HF_HUB_CACHE)",
            "    for name in home: del os.environ[name]",
        )
    )
    theirs = subprocess.run(
        [sys.executable, "-c", code, json.dumps(HOMES)],
        env=base,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for home in HOMES:
        with monkeypatch.context() as patched:
            for name in names:
                patched.delenv(name, raising=False)
            for name, value in home.items():
                patched.setenv(name, value)
            ours.append(str(offline.hub_cache()))
    assert ours == theirs
