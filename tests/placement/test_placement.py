"""What models take of a GPU, read from headers alone, and how a GPU is shared: hand-computed values
and properties.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import SMOL, program

from opro_local.engines import start
from opro_local.engines.gpus import Gpu, gpus, host_memory
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, ModelError
from opro_local.models.footprint import footprint, header_bytes
from opro_local.placement.choose import plan
from opro_local.placement.demand import CONTEXT_AND_GRAPHS, Demand, demand
from opro_local.placement.part import HEADROOM, usable
from opro_local.placement.plan import plan_for, settings_by_role

GIB = 1 << 30
LLAMA = {
    **{
        "model_type": "llama",
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    **{
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    },
}
QWEN_7B = {
    **{
        "model_type": "qwen2",
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    **{
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
    },
    **{"sliding_window": 131072, "use_sliding_window": False, "max_window_layers": 28},
}
QWEN_HALF = {
    **{
        "model_type": "qwen2",
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
    **{
        "hidden_size": 896,
        "intermediate_size": 4864,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
    },
}
MISTRAL = {
    **{
        "model_type": "mistral",
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    **{
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
    },
    **{"sliding_window": 4096},
}
SMOLLM = {
    **{
        "model_type": "llama",
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    **{"hidden_size": 576, "intermediate_size": 1536, "vocab_size": 49152, "head_dim": 64},
}
DEEPSEEK = {
    **{
        "model_type": "deepseek_v2",
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
    },
    **{"hidden_size": 2048, "vocab_size": 102400, "kv_lora_rank": 512, "qk_rope_head_dim": 64},
}
# Parameters of the published models; at 16 bits they weigh twice as many bytes.
LLAMA_PARAMETERS, QWEN_7B_PARAMETERS, QWEN_HALF_PARAMETERS = (
    8_030_261_248,
    7_615_616_512,
    494_032_768,
)


def write_weights(file: Path, sizes: dict[str, tuple[str, int]], missing: int = 0) -> None:
    """A safetensors file with a real header and a hole where the tensors would be."""
    table, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (kind, size) in sizes.items():
        table[name] = {"dtype": kind, "shape": [size], "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(table).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + end - missing)


def write_model(
    folder: Path, config: dict, parameters: int = 1000, kind: str = "BF16", shards: int = 1
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    size = {"BF16": 2, "F32": 4}[kind] * parameters
    names = (
        [f"model-{i}.safetensors" for i in range(shards)] if shards > 1 else ["model.safetensors"]
    )
    for i, name in enumerate(names):
        part = size // shards + (size % shards if i == 0 else 0)
        write_weights(folder / name, {f"layers.{i}": (kind, part)})
    if shards > 1:
        index = {"weight_map": {f"layers.{i}": name for i, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "llama": write_model(root / "llama", LLAMA, LLAMA_PARAMETERS, shards=4),
        "qwen": write_model(root / "qwen", QWEN_7B, QWEN_7B_PARAMETERS, shards=4),
        "small": write_model(root / "small", QWEN_HALF, QWEN_HALF_PARAMETERS),
    }


@pytest.mark.parametrize(
    ("config", "tokens", "bytes_"),
    [
        (LLAMA, 1, 131_072),  # 2 * 32 layers * 8 heads * 128 * 2 bytes
        (LLAMA, 8192, GIB),
        (QWEN_7B, 1, 57_344),  # 2 * 28 * 4 * 128 * 2; its window is switched off
        (QWEN_HALF, 1, 12_288),  # 2 * 24 * 2 * 64 * 2
        (SMOLLM, 1, 23_040),  # 2 * 30 * 3 * 64 * 2
        (MISTRAL, 8192, GIB),
        (MISTRAL, 32768, 131_072 * (4096 + 8192)),  # the window and one forward batch
        (DEEPSEEK, 1, 31_104),  # 27 * (512 + 64) * 2: one compressed vector for keys and values
        (
            {**LLAMA, "num_key_value_heads": None},
            1,
            4 * 131_072,
        ),  # without groups every head has its own keys
        ({"text_config": QWEN_HALF, "vision_config": {"num_hidden_layers": 99}}, 1, 12_288),
        (
            {
                **QWEN_HALF,
                "sliding_window": 512,
                "use_sliding_window": True,
                "max_window_layers": 20,
            },
            1,
            12_288,
        ),
    ],
)
def test_the_cache_of_a_sequence_is_what_the_config_makes_it(config, tokens, bytes_, tmp_path):
    assert footprint(write_model(tmp_path / "m", config)).kv_bytes(tokens) == bytes_


def test_only_layers_that_slide_are_cut_to_their_window(tmp_path):
    kinds = (["sliding_attention"] * 5 + ["full_attention"]) * 4
    model = footprint(
        write_model(tmp_path / "m", {**QWEN_HALF, "layer_types": kinds, "sliding_window": 512})
    )
    token = 2 * 2 * 64 * 2
    assert model.kv_bytes(32768, ahead=1024) == token * (4 * 32768 + 20 * (512 + 1024))
    late = {**QWEN_HALF, "sliding_window": 512, "use_sliding_window": True, "max_window_layers": 20}
    assert footprint(write_model(tmp_path / "l", late)).kv_bytes(32768, ahead=0) == token * (
        20 * 32768 + 4 * 512
    )


def test_unknown_layers_count_as_full_attention_with_a_note(tmp_path):
    kinds = ["linear_attention", "full_attention"] * 12
    model = footprint(write_model(tmp_path / "m", {**QWEN_HALF, "layer_types": kinds}))
    assert model.kv_bytes(1) == 12_288
    assert model.notes == ("12 layers of unknown state are counted as full attention",)
    new = footprint(
        write_model(tmp_path / "n", {**QWEN_HALF, "layer_types": ["tomorrow_attention"] * 24})
    )
    assert new.kv_bytes(1) == 12_288
    assert new.notes == ("tomorrow_attention layers are counted as full attention",)


@pytest.mark.parametrize(
    ("config", "note"),
    [
        ({**LLAMA, "num_hidden_layers": "many"}, "num_hidden_layers is 'many'"),
        ({**LLAMA, "num_key_value_heads": [1, 2]}, "num_key_value_heads is [1, 2]"),
        ({"hidden_size": 8}, "num_hidden_layers is missing"),
        ({**LLAMA, "layer_types": "all", "rope": 1, "attn_layer_period": {}}, ""),
        ({**DEEPSEEK, "index_head_dim": []}, ""),
        ({"model_type": "mamba2", "num_hidden_layers": 2, "state_size": 8}, "mamba_n_heads"),
        ({"model_type": "mamba", "num_hidden_layers": 2}, "num_attention_heads is missing"),
        ({**LLAMA, "num_attention_heads": 10**400, "num_key_value_heads": None}, ""),
    ],
)
def test_what_a_config_does_not_tell_is_left_to_vllm(config, note, tmp_path):
    """With one engine the run goes on; with two on one GPU they take turns."""
    folder = write_model(tmp_path / "m", config)
    model = footprint(folder)
    other = write_model(tmp_path / "o", QWEN_HALF)
    alone = plan_for({"scorer": settings(folder)}, [gpu(24)])
    assert alone.choice == "single"
    if note:
        assert model.kv_bytes(100) == 0
        assert any(note in line and "left to vLLM" in line for line in model.notes)
        assert "a cache that vLLM alone can size" in alone.why
        both = {"scorer": settings(folder), "optimizer": settings(other)}
        turns = plan_for(both, [gpu(24)])
        assert turns.choice == "swap"
        assert "as nobody knows yet what the cache of scorer takes" in turns.why
        refused = plan_for(both, [gpu(24)], "split")
        assert refused.choice == "none" and "does not tell what a sequence takes" in refused.why
        told = {**both, "scorer": settings(folder, kv_cache_bytes=GIB)}
        assert plan_for(told, [gpu(24)]).choice == "split"


def test_weights_are_the_headers_bytes_over_all_shards(models, tmp_path):
    assert footprint(models["llama"]).weights() == 2 * LLAMA_PARAMETERS == 16_060_522_496
    whole = footprint(write_model(tmp_path / "m", LLAMA, 1001, kind="F32"))
    # vLLM makes 16 bits of float32 folders unless float32 is asked for.
    assert (whole.stored, whole.weights(), whole.weights("float32")) == ({"F32": 4004}, 2002, 4004)


def test_quantized_folders_weigh_what_their_headers_say(tmp_path):
    folder = write_model(
        tmp_path / "awq", {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}}
    )
    write_weights(
        folder / "model.safetensors",
        {"q": ("I32", 4000), "scales": ("F16", 200), "head": ("F32", 80)},
    )
    assert footprint(folder).weights("float16") == 4280
    eight = write_model(tmp_path / "fp8", LLAMA)
    write_weights(eight / "model.safetensors", {"q": ("F8_E4M3", 1000), "norm": ("F32", 80)})
    assert footprint(eight).weights() == 1040


def test_an_index_decides_which_files_count_and_copies_do_not(tmp_path):
    folder = write_model(tmp_path / "m", LLAMA, 1000, shards=2)
    write_weights(folder / "consolidated.safetensors", {"all": ("BF16", 2000)})
    assert footprint(folder).weights() == 2000
    plain = write_model(tmp_path / "p", LLAMA, 1000)
    write_weights(plain / "consolidated.safetensors", {"all": ("BF16", 2000)})
    assert footprint(plain).weights() == 2000
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model-1\.safetensors: can't be read"):
        footprint(folder)


def test_other_formats_count_by_file_size(tmp_path):
    folder = write_model(tmp_path / "m", LLAMA)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x" * 777)
    (folder / "training_args.bin").write_bytes(b"x" * 5)
    assert footprint(folder).weights() == 777


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 50) + b"{}",
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 7) + b'{"a":1}',
        struct.pack("<Q", 32) + b'{"a":{"dtype":"F32","shape":[]}}',
        struct.pack("<Q", 39) + b'{"a":{"dtype":"F32","data_offsets":[0]}}'[:39],
    ],
)
def test_a_broken_header_is_an_error_with_the_files_name(content, tmp_path):
    folder = write_model(tmp_path / "m", LLAMA)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors: ") as caught:
        footprint(folder)
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_is_an_error_with_both_sizes(tmp_path):
    folder = write_model(tmp_path / "m", LLAMA)
    write_weights(folder / "model.safetensors", {"a": ("F32", 4000)}, missing=1)
    with pytest.raises(ModelError, match="tells of 4000 bytes of tensors, 3999 are there"):
        footprint(folder)


@given(content=st.binary(max_size=80), length=st.integers(0, 90))
def test_no_bytes_at_all_break_the_header_reader(content, length, tmp_path_factory):
    file = tmp_path_factory.mktemp("header") / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + content)
    try:
        assert all(size >= 0 for size in header_bytes(file).values())
    except ModelError as error:
        assert str(file) in error.message


@pytest.mark.parametrize(
    ("config", "message"), [("nothing", "not a JSON file"), ("[]", "not a JSON object")]
)
def test_a_config_that_is_none_is_named(config, message, tmp_path):
    folder = write_model(tmp_path / "m", LLAMA)
    (folder / "config.json").write_text(config)
    with pytest.raises(ModelError, match=rf"config\.json: .*{message}"):
        footprint(folder)


def test_the_embedded_model_weighs_its_file_less_its_header():
    if not (SMOL / "model.safetensors").is_file():
        pytest.skip("the embedded model is not there: scripts/test.sh gets it")
    files = sorted(SMOL.glob("*.safetensors"))
    headers = [8 + struct.unpack("<Q", file.open("rb").read(8))[0] for file in files]
    tensors = sum(file.stat().st_size for file in files) - sum(headers)
    model = footprint(SMOL)
    # An import writes 16 bits a weight; a folder of an earlier one may hold 32.
    assert sum(model.stored.values()) == tensors
    assert model.weights("float32") == 538_060_032
    # vllm.md measured 46 KB a token in float32.
    assert model.kv_bytes(1, 4) == 46_080


def gpu(gib: float, free: float | None = None) -> Gpu:
    return Gpu("a test GPU", int(gib * GIB), int((gib if free is None else free) * GIB))


def settings(model: Path, **more) -> EngineSettings:
    return EngineSettings(model=str(model), kind="vllm", **more)


def test_equal_settings_share_one_engine(models):
    one = settings(models["llama"])
    found = plan_for({"optimizer": one, "scorer": one}, [gpu(80)])
    assert found.choice == "shared" and len(found.parts) == 1
    assert found.parts[0].memory == 80 * GIB - HEADROOM
    told = settings_by_role({"optimizer": one, "scorer": one}, found)
    assert told["optimizer"] == told["scorer"] and told["scorer"].gpu_memory == 0.92
    assert told["scorer"].kv_cache_bytes is None
    assert plan_for({"scorer": one}, [gpu(80)]).choice == "single"


def test_two_models_split_a_large_gpu_with_caches_in_bytes(models):
    asked = {
        "optimizer": settings(models["qwen"]),
        "scorer": settings(models["llama"], max_model_len=4096),
    }
    found = plan_for(asked, [gpu(80)])
    assert found.choice == "split"
    scorer, optimizer = found.parts
    assert (scorer.demand.roles, scorer.demand.weights) == ("scorer", 2 * LLAMA_PARAMETERS)
    assert (scorer.demand.sequence, optimizer.demand.sequence) == (GIB // 2, 57_344 * 8192)
    assert scorer.memory + optimizer.memory <= usable(gpu(80))
    told = settings_by_role(asked, found)
    assert told["scorer"].kv_cache_bytes == scorer.cache > 8 * GIB // 2
    assert told["scorer"].gpu_memory + told["optimizer"].gpu_memory <= 1
    assert told["scorer"].gpu_memory == pytest.approx(scorer.memory / (80 * GIB), abs=2e-4)
    assert (
        told["scorer"].engine_args == {"max_num_batched_tokens": 8192}
        and told["scorer"].max_num_seqs == 256
    )
    assert "split on a test GPU" in found.why and "15.0 GiB of weights" in found.why


def test_two_models_that_do_not_fit_side_by_side_take_turns_and_then_are_refused(models):
    asked = {"optimizer": settings(models["qwen"]), "scorer": settings(models["llama"])}
    turns = plan_for(asked, [gpu(24)])
    assert turns.choice == "swap" and "as they don't fit side by side" in turns.why
    assert [part.memory for part in turns.parts] == [24 * GIB - HEADROOM - CONTEXT_AND_GRAPHS] * 2
    assert settings_by_role(asked, turns)["scorer"].gpu_memory == 0.92
    assert "as asked for" in plan_for(asked, [gpu(80)], "swap").why
    for refused in (plan_for(asked, [gpu(16)]), plan_for(asked, [gpu(24)], "split")):
        assert refused.choice == "none" and refused.parts == ()
        with pytest.raises(
            EngineError, match=r"scorer needs .*weights 15\.0 GiB, cache 1\.0 GiB for one sequence"
        ) as e:
            settings_by_role(asked, refused)
        assert e.value.exit_code == 3 and "\n" not in str(e.value)


def on(gib: float, host: float = 0, count: int = 2, **more):
    """A plan for engines that take turns: 10 GiB of weights and 12 GiB at least each."""
    demands = [Demand(f"role {i}", "m", 10 * GIB, GIB, GIB, 8192, **more) for i in range(count)]
    return plan(demands, [gpu(gib)], "swap", int(host * GIB))


def test_engines_that_take_turns_leave_room_for_what_sleepers_keep():
    found = on(80, host=40)
    assert (found.choice, found.sleep) == ("swap", 1)
    room = 80 * GIB - HEADROOM - CONTEXT_AND_GRAPHS
    assert [part.memory for part in found.parts] == [room] * 2
    assert found.parts[0].cache == room - 11 * GIB
    told = found.settings_for(0, EngineSettings("m", "vllm"))
    assert (told.sleep, told.gpu_memory) == (1, 0.92)
    assert (
        "the others sleep meanwhile, their weights in host memory, as the host has 40.0 GiB free"
        in found.why
    )
    three = on(20, count=3)
    assert three.parts[0].memory == 20 * GIB - HEADROOM - 2 * CONTEXT_AND_GRAPHS
    # 17 of 20 GiB: rounded down, so that it is never more than what is free beside two sleepers.
    assert three.settings_for(0, EngineSettings("m", "vllm")).gpu_memory == 0.85
    assert (found.described()["sleep"], on(80, sleepless="of a test").described()["sleep"]) == (
        1,
        0,
    )


def test_weights_sleep_in_host_memory_where_it_holds_them_twice():
    assert [on(80, host=host).sleep for host in (40, 39.9, 0)] == [1, 2, 2]
    assert on(80, host=40, gpus=1).sleep == 1
    spread = [Demand(f"role {i}", "m", 10 * GIB, GIB, GIB, 8192, gpus=2) for i in range(2)]
    assert plan(spread, [gpu(80)] * 2, "swap", 79 * GIB).sleep == 2
    assert plan(spread, [gpu(80)] * 2, "swap", 80 * GIB).sleep == 1
    why = on(80, host=39).why
    assert (
        "read their weights again when they wake, as the host has 39.0 GiB free for 20.0 GiB "
        "of weights" in why
    )


@pytest.mark.parametrize(
    ("gib", "more", "reason"),
    [
        (13.7, {}, "sleeping ones would keep about 1.2 GiB here, which leaves too little"),
        (80, {"share": 0.98}, "which leaves too little"),
        (
            20,
            {"share": 0.58},
            "which leaves too little",
        ),  # 11.6 GiB: enough alone, less than it needs beside others
        (80, {"sleepless": "of a test"}, "of a test"),
    ],
)
def test_where_sleepers_leave_too_little_or_cannot_sleep_engines_are_stopped(gib, more, reason):
    found = on(gib, host=500, **more)
    assert (found.choice, found.sleep) == ("swap", 0)
    assert "every change of role starts an engine, as " in found.why and reason in found.why
    share = more.get("share")
    free = int(gib * GIB) - HEADROOM
    assert [part.memory for part in found.parts] == [
        min(free, int(share * gib * GIB)) if share else free
    ] * 2
    assert found.settings_for(0, EngineSettings("m", "vllm")).sleep == 0


def test_thirteen_and_three_quarters_is_the_least_with_one_sleeper():
    # 10 of weights, 1 of working memory, 1 of cache; 0.5 of reserve, 1.25 that the other keeps.
    assert on(13.75).sleep == 2 and on(13.75).parts[0].cache == GIB


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, ""),
        ({"adapters": ("a",)}, "adapters may not survive vLLM's sleep mode"),
        ({"data_parallel": 2}, "data_parallel makes several workers of one"),
        ({"engine_args": {"enable_sleep_mode": False}}, "enable_sleep_mode is off"),
        ({"engine_args": {"enable_sleep_mode": True}}, ""),
    ],
)
def test_what_keeps_an_engine_from_sleeping(models, more, reason):
    assert (
        demand(["scorer"], settings(models["small"], **more), footprint(models["small"])).sleepless
        == reason
    )
    asked = {"optimizer": settings(models["qwen"], **more), "scorer": settings(models["llama"])}
    found = plan_for(asked, [gpu(24)])
    assert found.sleep == 0 if reason else found.sleep > 0
    assert reason in found.why


def test_the_level_is_chosen_by_this_hosts_memory(models, monkeypatch):
    asked = {"optimizer": settings(models["qwen"]), "scorer": settings(models["llama"])}
    for gib, level in ((60, 1), (50, 2)):
        monkeypatch.setattr("opro_local.placement.plan.host_memory", lambda gib=gib: gib * GIB)
        assert settings_by_role(asked, plan_for(asked, [gpu(24)]))["optimizer"].sleep == level


def test_only_a_swap_lets_engines_sleep(models):
    asked = {"optimizer": settings(models["qwen"]), "scorer": settings(models["llama"])}
    found = plan_for(asked, [gpu(80)])
    assert (found.choice, found.sleep, settings_by_role(asked, found)["scorer"].sleep) == (
        "split",
        0,
        0,
    )
    one = {"scorer": settings(models["llama"])}
    assert settings_by_role(one, plan_for(one, [gpu(80)]))["scorer"].sleep == 0


def test_the_hosts_memory_is_what_the_kernel_and_the_container_leave(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text(
        "MemTotal:       64000000 kB\nMemAvailable:   32000000 kB\nHugePages_Total: 0\n"
    )
    monkeypatch.setattr("opro_local.engines.gpus.MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr("opro_local.engines.gpus.CGROUP", tmp_path)
    assert host_memory() == 32_000_000 << 10
    for limit, left in (("max", 32_000_000 << 10), (str(5 * GIB), 2 * GIB), (str(GIB), 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
        assert host_memory() == left


def test_what_others_hold_is_not_planned_with(models):
    small = {
        "optimizer": settings(models["small"]),
        "scorer": settings(models["small"], max_model_len=2048),
    }
    assert plan_for(small, [gpu(80)]).choice == "split"
    assert plan_for(small, [gpu(80, free=4)]).choice == "swap"
    alone = plan_for({"scorer": settings(models["small"])}, [gpu(80, free=40)])
    assert alone.settings_for(0, settings(models["small"])).gpu_memory == pytest.approx(
        39.5 / 80, abs=1e-4
    )


def test_what_the_user_set_stays(models):
    asked = {
        "optimizer": settings(models["small"], gpu_memory=0.3, max_num_seqs=16),
        "scorer": settings(
            models["llama"], kv_cache_bytes=3 * GIB, engine_args={"max_num_batched_tokens": 2048}
        ),
    }
    told = settings_by_role(asked, plan_for(asked, [gpu(80)]))
    assert (told["optimizer"].gpu_memory, told["optimizer"].max_num_seqs) == (0.3, 16)
    assert told["scorer"].kv_cache_bytes == 3 * GIB
    assert told["scorer"].engine_args == {"max_num_batched_tokens": 2048}
    too_much = {**asked, "scorer": settings(models["llama"], kv_cache_bytes=70 * GIB)}
    assert "cache 70.0 GiB as set" in plan_for(too_much, [gpu(80)]).why


def test_ranks_divide_what_a_gpu_holds_and_missing_gpus_are_named(models):
    one = settings(models["llama"], tensor_parallel=2, pipeline_parallel=2)
    found = plan_for({"scorer": one}, [gpu(24)] * 4)
    assert found.parts[0].demand.weights == LLAMA_PARAMETERS // 2
    assert found.parts[0].demand.sequence == GIB // 4
    fullest = plan_for({"scorer": one}, [gpu(24), gpu(24, free=10), gpu(24), gpu(24)])
    assert fullest.gpu.free == 10 * GIB
    short = plan_for({"scorer": one}, [gpu(24)] * 2)
    assert (
        short.choice == "none"
        and short.why.startswith("4 GPUs are asked for")
        and short.why.endswith("2 are there")
    )


def test_smaller_numbers_in_the_cache_make_it_smaller(models):
    eight = demand(
        ["scorer"],
        settings(models["llama"], engine_args={"kv_cache_dtype": "fp8"}),
        footprint(models["llama"]),
    )
    whole = demand(
        ["scorer"], settings(models["llama"], dtype="float32"), footprint(models["llama"])
    )
    assert (eight.sequence, whole.sequence) == (GIB // 2, 2 * GIB)


SIZES = st.integers(0, 40 * GIB)
DEMANDS = st.lists(
    st.builds(
        Demand,
        roles=st.just("scorer"),
        model=st.just("m"),
        weights=SIZES,
        working=st.integers(0, 4 * GIB),
        sequence=st.integers(1, 4 * GIB),
        context=st.just(8192),
        concurrency=st.integers(1, 300),
        cache=st.none() | st.integers(1, 20 * GIB),
    ),
    min_size=1,
    max_size=3,
)
SHARED = st.lists(st.none() | st.floats(0.01, 1), min_size=3, max_size=3)
RANK = {"none": 0, "swap": 1, "split": 2, "shared": 3, "single": 3}


@given(demands=DEMANDS, shares=SHARED, total=st.integers(1 * GIB, 200 * GIB), taken=SIZES)
def test_a_plans_parts_never_exceed_what_is_free(demands, shares, total, taken):
    demands = [
        Demand(**{**{f: getattr(d, f) for f in d.__dataclass_fields__}, "share": share})
        for d, share in zip(demands, shares, strict=False)
    ]
    there = Gpu("g", total, max(0, total - taken))
    found = plan(demands, [there])
    together = sum(part.memory for part in found.parts)
    assert (
        together if found.choice == "split" else max((p.memory for p in found.parts), default=0)
    ) <= usable(there)
    if found.sleep:
        beside = usable(there) - (len(demands) - 1) * CONTEXT_AND_GRAPHS
        assert all(part.memory <= beside for part in found.parts)
    for part in found.parts:
        working = part.demand.working if found.choice == "split" or found.sleep else 0
        assert part.demand.weights + working + part.cache <= part.memory
        assert (
            part.cache >= part.demand.least_cache
            and part.sequences == part.cache // part.demand.sequence
        )
    if found.choice == "split":
        asked = [EngineSettings(model=str(i), kind="vllm") for i in range(len(demands))]
        assert (
            sum(found.settings_for(i, one).gpu_memory for i, one in enumerate(asked))
            <= usable(there) / total + 1e-9
        )


@given(demands=DEMANDS, total=st.integers(1 * GIB, 150 * GIB), more=st.integers(0, 100 * GIB))
def test_more_memory_never_makes_a_plan_worse(demands, total, more):
    before, after = (plan(demands, [Gpu("g", size, size)]) for size in (total, total + more))
    ranks = [(RANK[found.choice], found.sleep) for found in (before, after)]
    assert ranks[1] >= ranks[0]
    if ranks[1] == ranks[0]:
        pairs = zip(before.parts, after.parts, strict=True)
        assert all(now.cache >= was.cache and now.memory >= was.memory for was, now in pairs)


def fake_driver(folder: Path, monkeypatch, body: str) -> None:
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_gpus_are_what_the_driver_tells_of_the_visible_ones(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake_driver(
        tmp_path / "bin",
        monkeypatch,
        'case "$*" in *"-i 1"*) echo "B, 100, 50";; *) echo "A 1, 81559, 81079";; esac',
    )
    assert gpus() == (Gpu("A 1", 81559 << 20, 81079 << 20),)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert [one.name for one in gpus()] == ["B", "A 1"]
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert gpus() == ()


@pytest.mark.parametrize(
    "body", ["exit 9", 'echo "No devices were found"', 'echo "A, [N/A], [N/A]"']
)
def test_a_driver_that_tells_nothing_is_no_gpu(body, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake_driver(tmp_path / "bin", monkeypatch, body)
    assert gpus() == ()


def test_the_command_plans_for_a_gpu_that_is_not_here(models):
    both = ("models", "plan", "--optimizer", str(models["qwen"]), "--scorer", str(models["llama"]))
    told = program(
        *both, "--gpu-memory", "80", "--context", "4096", "--concurrency", "16", "--json"
    )
    found = json.loads(told.stdout)
    assert (told.returncode, found["choice"], found["gpu"]["total"]) == (0, "split", 80 * GIB)
    scorer, optimizer = found["engines"]
    assert (scorer["roles"], scorer["context"], scorer["concurrency"]) == (["scorer"], 4096, 16)
    assert optimizer["sequences"] == optimizer["cache"] // optimizer["sequence"] >= 16
    # Llama 3.1 8B keeps 128 KiB of a token: 32 layers, 8 heads of 128, keys and values of 2 bytes.
    assert scorer["vllm"] == {
        "model_loading_gib": round(scorer["weights"] / GIB, 2),
        "kv_cache_gib": round(scorer["cache"] / GIB, 2),
        "kv_cache_tokens": scorer["cache"] // (128 << 10),
        "concurrency": round(scorer["cache"] / (128 << 10) / 4096, 2),
    }
    shown = program(*both, "--gpu", "80GB", "--context", "4096", "--concurrency", "16").stdout
    assert f"KV cache size: {scorer['vllm']['kv_cache_tokens']:,} tokens" in shown
    assert "side by side" in program(*both, "--gpu-memory", "80").stdout
    for size in ("80TB", "", "0", "-1GB", "GB"):
        wrong = program(*both, "--gpu", size)
        assert wrong.returncode == 2 and "a size is wanted" in wrong.stderr
    refused = program(*both, "--gpu-memory", "12")
    assert refused.returncode == 3 and refused.stderr.count("\n") == 1
    assert "no place on a GPU of 12 GiB: 11.5 GiB of 12.0 GiB can be used" in refused.stderr
    assert program("models", "plan").returncode == 2


def test_workers_of_one_gpu_hold_their_weights_each_and_share_the_rest(models):
    one = settings(models["small"], gpu_workers=3)
    found = plan_for({"scorer": one}, [gpu(24)])
    need = found.parts[0].demand
    assert (found.choice, need.workers, need.weights) == ("single", 3, 2 * QWEN_HALF_PARAMETERS)
    memory = 24 * GIB - HEADROOM
    assert found.parts[0].memory == memory
    assert found.parts[0].cache == memory - 3 * (need.weights + need.working)
    assert "3 times 0.9 GiB of weights" in found.why
    (told,) = settings_by_role({"scorer": one}, found).values()
    assert (told.kv_cache_bytes, told.max_num_seqs) == (found.parts[0].cache, 256)
    # Each of them starts with a third.
    each = start._of_one_worker(told)
    assert each.kv_cache_bytes == found.parts[0].cache // 3
    assert each.gpu_memory == pytest.approx(told.gpu_memory / 3, abs=1e-4)
    assert start._of_one_worker(replace(one, gpu_workers=2)).gpu_memory == 0.45
    assert found.described()["engines"][0]["workers"] == 3


def test_workers_that_do_not_fit_beside_each_other_are_refused(models):
    one = settings(models["llama"], gpu_workers=2)
    assert plan_for({"scorer": settings(models["llama"])}, [gpu(24)]).choice == "single"
    refused = plan_for({"scorer": one}, [gpu(24)])
    assert refused.choice == "none" and "for each of 2 workers weights 15.0 GiB" in refused.why
    assert plan_for({"scorer": one}, [gpu(48)]).choice == "single"
    # Two GPUs, two workers on each: no more GPUs than copies.
    both = settings(models["llama"], gpu_workers=2, data_parallel=2)
    optimizer = settings(models["small"])
    apart = plan_for({"scorer": both, "optimizer": optimizer}, [gpu(48)] * 3)
    assert apart.choice == "apart"
    assert [part.devices for part in apart.parts] == [(0, 1), (2,)]
    assert demand(["scorer"], one, footprint(models["llama"])).sleepless.startswith("gpu_workers")
