"""What in a model's folder would run code is refused unless the config names it."""

from __future__ import annotations

import json
import os
import struct

import pytest
from running import write_reviews

from opro_local.config import reading
from opro_local.engines import trusted
from opro_local.engines.settings import EngineSettings
from opro_local.errors import ModelError, UsageError
from opro_local.models import trust
from opro_local.models.offline import find_model
from opro_local.runs import hosting


def model(folder, config=None, weights=("model.safetensors",), **others):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "llama"}))
    for name, content in others.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text)
    for name in weights:
        (folder / name).write_bytes(b"weights")
    return folder


AUTO = {"AutoConfig": "configuration_x.XConfig", "AutoModelForCausalLM": "modeling_x.XForCausalLM"}
CODE = [
    ({"config": {"auto_map": AUTO}}, ["configuration_x.py", "modeling_x.py"]),
    ({"config": {"auto_map": {"AutoModel": "owner/name--modeling.X"}}}, ["owner/name"]),
    ({"config": {"text_config": {"auto_map": AUTO}}}, ["configuration_x.py", "modeling_x.py"]),
    ({"config": {"parts": [[{"auto_map": {"AutoModel": "m.X"}}]]}}, ["m.py"]),
    (
        {"config": {"_attn_implementation": "kernels-community/flash-attn"}},
        ["kernels-community/flash-attn"],
    ),
    ({"config": {"attn_implementation": "evil/k@main:fn"}}, ["evil/k@main:fn"]),
    ({"config": {"attn_implementation": {"text_config": "evil/k"}}}, ["evil/k"]),
    ({"config": {"_experts_implementation": "evil/experts"}}, ["evil/experts"]),
    ({"config": {"kernel_config": {"RMSNorm": "evil/norm:Layer"}}}, ["evil/norm:Layer"]),
    ({"config": {"trust_remote_code": True}}, ["trust_remote_code"]),
    (
        {"tokenizer_config": {"auto_map": {"AutoTokenizer": ["tokenization_x.X", None]}}},
        ["tokenization_x.py"],
    ),
    ({"tokenizer_config": {"trust_remote_code": True}}, ["trust_remote_code"]),
    ({"generation_config": {"custom_generate": "evil/generate"}}, ["evil/generate"]),
    ({"processor_config": {"auto_map": {"AutoProcessor": "processing_x.X"}}}, ["processing_x.py"]),
    ({"adapter_config": {"auto_mapping": {"parent_library": "evil.models"}}}, ["evil.models"]),
    ({"adapter_config": {"auto_map": {"AutoModel": "a.B"}}}, ["a.py"]),
]


@pytest.mark.parametrize("files, names", CODE)
def test_code_is_refused_by_name_and_let_in_by_name(tmp_path, files, names):
    folder = model(tmp_path / "m", **files)
    assert trust.code_of(folder) == names
    with pytest.raises(ModelError) as caught:
        trust.check(folder)
    assert f"would run code: {', '.join(names)}" in caught.value.message
    assert f"trusted_code = [{', '.join(map(json.dumps, names))}]" in caught.value.hint
    with pytest.raises(ModelError):
        trust.check(folder, names[1:])
    trust.check(folder, names)
    settings = EngineSettings(str(folder), "vllm", trusted_code=tuple(names))
    assert trusted.marks(settings) == {"trusted_code": sorted(names)}


def test_a_generate_of_the_models_own_is_code(tmp_path):
    folder = model(tmp_path / "m")
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").touch()
    with pytest.raises(ModelError, match=r"would run code: custom_generate/generate\.py"):
        trust.check(folder)


PLAIN = [
    {},
    {"config": {"attn_implementation": "sdpa", "_attn_implementation": None}},
    {"tokenizer_config": {"trust_remote_code": False, "chat_template": "{{ auto_map }}"}},
    {"adapter_config": {"auto_mapping": {"parent_library": "transformers.models.llama"}}},
    {"adapter_config": {"auto_mapping": None}},
    # The vocabulary may hold any word.
    {"vocab": {"auto_map": 5, "trust_remote_code": 7}, "tokenizer": {"auto_map": "a.B"}},
    {"config": [1, 2]},
]


@pytest.mark.parametrize("files", PLAIN)
def test_what_runs_no_code_needs_no_trust(tmp_path, files):
    folder = model(tmp_path / "m", **files)
    trust.check(folder)
    assert trusted.marks(EngineSettings(str(folder), "vllm")) == {}


@pytest.mark.parametrize(
    "text", ["", "{", "\x00", "[" * 200_000, '{"a": ' * 50_000, '"' + "x" * (17 << 20) + '"']
)
def test_a_malformed_file_is_named_in_one_line(tmp_path, text):
    folder = model(tmp_path / "m", generation_config=text)
    with pytest.raises(ModelError, match=r"generation_config\.json: no readable JSON") as caught:
        trust.check(folder)
    assert len(str(caught.value).splitlines()) == 1


PICKLES = [
    "pytorch_model.bin",
    "consolidated.00.pth",
    "model.ckpt",
    "weights.pt",
    "adapter_model.bin",
]


@pytest.mark.parametrize("name", PICKLES)
def test_pickled_weights_are_refused_unless_allowed(tmp_path, name):
    folder = model(tmp_path / "m", weights=[name])
    assert find_model(str(folder)) == folder
    with pytest.raises(ModelError, match="its weights are pickles") as caught:
        trust.check(folder)
    assert name in caught.value.message and "allow_pickle = true" in caught.value.hint
    trust.check(folder, allow_pickle=True)
    settings = EngineSettings(str(folder), "vllm", allow_pickle=True)
    assert trusted.marks(settings) == {"pickled_weights": True}


@pytest.mark.parametrize("name", [*PICKLES, "training_args.bin", "optimizer.pt"])
def test_where_there_are_safetensors_too_they_are_read(tmp_path, name):
    folder = model(tmp_path / "m", weights=["model.safetensors", name])
    trust.check(folder)
    assert not trust.is_pickled(folder)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"trust_remote_code": True}, "not passed on"),
        ({"load_format": "pt"}, "pickled weights"),
        ({"use_safetensors": False}, "pickled weights"),
        ({"attn_implementation": "evil/kernel"}, "name code: evil/kernel"),
        ({"hf_overrides": {"auto_map": {"AutoModel": "x.Y"}}}, r"name code: x\.py"),
    ],
)
def test_arguments_of_an_engine_are_no_way_round(tmp_path, arguments, words):
    with pytest.raises(UsageError, match=words):
        trust.check_arguments(arguments, (), False)
    folder = model(tmp_path / "m")
    with pytest.raises(UsageError, match=words):
        trusted.check_settings(EngineSettings(str(folder), "vllm", engine_args=arguments))
    trust.check_arguments({"swap_space": 1, "attn_implementation": "sdpa"}, (), False)


@pytest.fixture
def config(tmp_path):
    def made(folder, **more):
        tables = {
            "task": {
                "data": str(write_reviews(tmp_path / "r.csv")),
                "input": "text",
                "target": "label",
            },
            "scorer": {"model": str(folder), "engine": "vllm", **more},
        }
        return reading.build(tables)

    return made


def test_a_run_checks_before_it_starts_anything_and_says_what_it_let_in(tmp_path, config):
    from opro_local.runs.plans import make_plan

    tensors = struct.pack("<Q", 2) + b"{}"
    named = {"auto_map": AUTO, "model_type": "x"}
    folder = model(tmp_path / "m", named, tokenizer={})
    (folder / "model.safetensors").write_bytes(tensors)
    with pytest.raises(ModelError, match="would run code"):
        make_plan(config(folder))
    names = ["configuration_x.py", "modeling_x.py"]
    plan = make_plan(config(folder, trusted_code=names))
    assert plan.models["scorer"].settings.trusted_code == tuple(names)
    assert hosting.model_notices(plan.config, plan.models) == [
        f"{folder}: trusted_code: configuration_x.py, modeling_x.py"
    ]
    pickled = model(tmp_path / "p", weights=["pytorch_model.bin"], tokenizer={})
    with pytest.raises(ModelError, match="pickles"):
        make_plan(config(pickled))
    plan = make_plan(config(pickled, allow_pickle=True))
    assert hosting.model_notices(plan.config, plan.models) == [f"{pickled}: pickled_weights: yes"]


def test_an_adapter_and_an_embedder_are_checked_too(tmp_path, config):
    base, adapter = model(tmp_path / "m"), tmp_path / "a"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    (adapter / "adapter_model.bin").write_bytes(b"x")
    own = config(base, adapter=str(adapter))
    from opro_local.models.cards import Card

    def hosted(settings):
        return hosting.hostings(settings, {"scorer": Card("m")}, {"scorer": base})

    with pytest.raises(ModelError, match="pickles"):
        hosted(own)
    allowed = hosted(config(base, adapter=str(adapter), allow_pickle=True))["scorer"].settings
    assert trusted.marks(allowed) == {"pickled_weights": True}
    with pytest.raises(ModelError, match="pickles"):
        hosting.embedder(str(model(tmp_path / "e", weights=["pytorch_model.bin"])))
    with pytest.raises(ModelError, match="would run code"):
        hosting.embedder(str(model(tmp_path / "f", {"auto_map": AUTO})))


@pytest.mark.parametrize("name", ["extra.json", "chat_template.jinja", "part/tokenizer.model"])
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_file_in_a_model_is_refused(tmp_path, name, kind):
    folder = model(tmp_path / "m")
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    if kind == "fifo":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=f"{name}: is no regular file"):
        trust.check(folder)
    if name.endswith(".json"):
        with pytest.raises(ModelError, match="no regular file"):
            trust.read_json(place)
