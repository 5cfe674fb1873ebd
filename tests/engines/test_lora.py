"""LoRA adapters as roles: their folders, one engine for several of them, and a real one on vLLM."""

from __future__ import annotations

import json
import struct
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from running import SMOL, real

from opro_local.config import reading
from opro_local.engines import lora
from opro_local.engines.scripted import ScriptedEngine
from opro_local.engines.settings import EngineSettings
from opro_local.engines.wire import pack, unpack
from opro_local.engines.worker import WorkerEngine
from opro_local.errors import EngineError, ModelError
from opro_local.models.cards import card_for
from opro_local.runs import hosting
from opro_local.types import Prompt, Request, Sampling

GREEDY = Sampling(8)


def tensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A safetensors file: a header in JSON, then the bytes."""
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values())
    )


def adapter(folder: Path, seed: int = 1, rank: int = 8, scale: float = 0.1) -> Path:
    """A random adapter for the query projections of SmolLM2-135M."""
    rng, arrays = np.random.default_rng(seed), {}
    for layer in range(30):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        arrays[f"{name}.lora_A.weight"] = rng.normal(0, scale, (rank, 576)).astype(np.float32)
        arrays[f"{name}.lora_B.weight"] = rng.normal(0, scale, (576, rank)).astype(np.float32)
    folder.mkdir()
    tensors(folder / "adapter_model.safetensors", arrays)
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 16,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_what_vllm_is_told(tmp_path):
    one, two = adapter(tmp_path / "one"), adapter(tmp_path / "two", rank=20)
    assert lora.arguments(()) == {} == lora.requests(())
    told = lora.arguments((str(one), str(two)))
    assert told == {"enable_lora": True, "max_loras": 2, "max_lora_rank": 32}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "not a LoRA adapter"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "not a LoRA adapter"),
        (lambda folder: (folder / "adapter_config.json").write_text('{"r": 600}'), "of rank 600"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "without weights"),
    ],
)
def test_what_is_no_adapter_is_said_before_a_model_loads(tmp_path, change, words):
    folder = adapter(tmp_path / "a")
    change(folder)
    with pytest.raises(ModelError, match=words):
        lora.rank(folder)


def test_roles_with_one_base_model_share_an_engine_whatever_they_wear(tmp_path):
    real("torch")
    one, two = adapter(tmp_path / "one"), adapter(tmp_path / "two", seed=2)
    made = {"scorer": {"model": str(SMOL), "adapter": str(one)}, "optimizer": {"adapter": str(two)}}
    config = reading.build(made)
    cards = {role: card_for(SMOL) for role in ("scorer", "optimizer")}
    found = hosting.hostings(config, cards, dict.fromkeys(cards, SMOL))
    assert found["scorer"].settings == found["optimizer"].settings
    assert found["scorer"].settings.adapters == tuple(sorted((str(one), str(two))))
    assert (found["scorer"].adapter, found["optimizer"].adapter) == (str(one), str(two))
    plain = hosting.hostings(
        reading.build({"scorer": {"model": str(SMOL)}}), cards, dict.fromkeys(cards, SMOL)
    )
    assert plain["scorer"].settings.adapters == ()


def test_a_role_asks_with_its_adapter_and_is_told_apart_by_it(tmp_path):
    one, two = adapter(tmp_path / "one"), adapter(tmp_path / "two", seed=2)
    base = ScriptedEngine.of(lambda request: Path(request.adapter).name or "none")
    asked = [Request(Prompt("x"), GREEDY)]
    worn = [lora.AdapterEngine(base, str(folder)) for folder in (one, two)]
    assert [engine.generate(asked)[0].text for engine in (base, *worn)] == ["none", "one", "two"]
    assert len({json.dumps(dict(engine.fingerprint)) for engine in (base, *worn)}) == 3


def test_adapters_in_folders_of_one_name_are_told_apart_by_vllm(monkeypatch):
    """vLLM 0.26 keys the KV cache of an adapter by its name only."""
    request = ModuleType("vllm.lora.request")
    request.LoRARequest = namedtuple("LoRARequest", ["lora_name", "lora_int_id", "lora_path"])
    for module in (ModuleType("vllm"), ModuleType("vllm.lora"), request):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    folders = ("/judge/checkpoint-500", "/scorer/checkpoint-500")
    named = lora.requests(folders)
    assert [(named[folder].lora_int_id, named[folder].lora_path) for folder in folders] == [
        *enumerate(folders, 1)
    ]
    assert len({one.lora_name for one in named.values()}) == 2


def test_adapters_cross_the_pipe():
    requests = [
        Request(Prompt("a"), GREEDY, "x"),
        Request(Prompt("b"), GREEDY),
        Request(Prompt("c"), GREEDY, "x"),
    ]
    assert unpack(json.loads(json.dumps(pack(requests)))) == requests
    same = [replace(request, adapter="x") for request in requests]
    assert unpack(json.loads(json.dumps(pack(same)))) == same


def test_the_transformers_engine_says_that_it_has_none(tmp_path):
    real("transformers")
    settings = EngineSettings(
        model=str(SMOL), kind="transformers", adapters=(str(adapter(tmp_path / "a")),)
    )
    with pytest.raises(EngineError, match="knows no LoRA adapters"):
        WorkerEngine(settings)


@pytest.mark.real
@pytest.mark.timeout(600)
def test_two_adapters_and_the_base_model_answer_in_one_engine(tmp_path):
    real("vllm")
    folders = [str(adapter(tmp_path / name, seed)) for seed, name in enumerate(("one", "two"))]
    settings = EngineSettings(
        str(SMOL), "vllm", max_model_len=512, max_num_seqs=16, adapters=tuple(folders)
    )
    engine = WorkerEngine(settings)
    try:
        asked = [
            Request(Prompt(f"Write a sentence about the number {i}."), Sampling(12))
            for i in range(4)
        ]
        base, one, two = (
            [
                completion.text
                for completion in engine.generate([replace(r, adapter=worn) for r in asked])
            ]
            for worn in ("", *folders)
        )
        assert base != one != two != base
        together = engine.generate([*asked, *(replace(r, adapter=folders[0]) for r in asked)])
        assert [completion.text for completion in together] == [*base, *one]
    finally:
        engine.close()
