"""From a model reference to a folder, and the digest that tells one model's weights from another's."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from opro_local.errors import ModelError
from opro_local.models import offline

SIDE = 128  # of the square tensors; 32 KiB each
NAMES = tuple(
    f"model.layers.{layer}.{name}.weight"
    for layer in range(96)
    for name in ("mlp.down_proj", "self_attn.k_proj", "self_attn.q_proj")
)
MIDDLE = "model.layers.48."


def model(folder: Path, *changed: str) -> str:
    """The digest of 9 MB of weights as safetensors of which the tensors with these names hold other
    values.
    """
    header, tensors = {}, b""
    for name in NAMES:
        values = bytes([1 if any(part in name for part in changed) else 0]) * (2 * SIDE * SIDE)
        offsets = [len(tensors), len(tensors) + len(values)]
        header[name] = {"dtype": "F16", "shape": [SIDE, SIDE], "data_offsets": offsets}
        tensors += values
    packed = json.dumps({**header, "__metadata__": {"format": "pt"}}).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + tensors)
    (folder / "config.json").write_text("{}")
    return offline.model_digest(folder)


def test_weights_that_differ_in_any_tensor_have_another_digest(tmp_path):
    base = model(tmp_path / "base")
    assert model(tmp_path / "same") == base
    merges = [(MIDDLE + "self_attn.q_proj",), ("q_proj",), ("q_proj", "down_proj")]
    assert len({base, *(model(tmp_path / str(i), *names) for i, names in enumerate(merges))}) == 4


def test_one_tensor_among_large_ones_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(
        offline, "SAMPLES", 1
    )  # as if the file were so large that even spacing misses it
    assert model(tmp_path / "merged", MIDDLE + "self_attn.q_proj") != model(tmp_path / "base")


@pytest.mark.parametrize("name", ["model.gguf", "pytorch_model.bin", "damaged.safetensors"])
def test_a_change_inside_other_weights_is_seen_where_it_spans_two_samples(tmp_path, name):
    size = 8 << 20
    digests = set()
    for place in (None, size // 2, size // 3):
        content = bytearray(size)
        if place:
            content[place : place + 2 * size // offline.SAMPLES] = b"\1" * (
                2 * size // offline.SAMPLES
            )
        (tmp_path / name).write_bytes(content)
        digests.add(offline.model_digest(tmp_path))
    assert len(digests) == 3


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{",
        b"\xff",
        b'{"a": {"data_offsets": ["0", 1]}}',
        b'{"a": {"data_offsets": [0, 1e300]}}',
    ]
    + [b'{"a": {"data_offsets": [%d, %d]}}' % (0, last) for last in (2, 10**17, 10**30)],
)
def test_a_damaged_header_still_gives_a_digest(tmp_path, header):
    (tmp_path / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + bytes(3 << 20)
    )
    assert len(offline.model_digest(tmp_path)) == 16


def test_what_is_not_weights_is_read_whole(tmp_path):
    content = bytearray(5 << 20)
    (tmp_path / "tokenizer.json").write_bytes(content)
    before = offline.model_digest(tmp_path)
    content[1_234_567] = 1
    (tmp_path / "tokenizer.json").write_bytes(content)
    assert offline.model_digest(tmp_path) != before


@pytest.mark.parametrize("reference", ["/typo/qwen/", "typo/qwen/", "typo/..", "qwen/"])
def test_a_path_that_is_not_there_is_named_and_not_the_models_folder(
    tmp_path, monkeypatch, reference
):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        offline.find_model(reference)
    assert f"model {reference!r} is not on disk" in caught.value.message
    assert caught.value.hint == "check the path"


def test_an_imported_model_is_found_by_its_name_and_by_its_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path))
    model(tmp_path / "qwen")
    assert (
        offline.find_model("qwen")
        == offline.find_model("Someone/qwen")
        == (tmp_path / "qwen").resolve()
    )


def test_a_path_is_never_taken_for_a_models_name(tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path))
    model(tmp_path / "mine")
    assert offline.find_model("mine") == offline.find_model("owner/mine") == tmp_path / "mine"
    for path in ("/typo/mine", "./typo/mine", "~/typo/mine"):
        with pytest.raises(ModelError, match="not on disk"):
            offline.find_model(path)


def test_the_modules_of_an_embedding_model_are_part_of_it(tmp_path):
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"a")
    without = offline.model_digest(tmp_path)
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"b")
    assert offline.model_digest(tmp_path) == without
    (tmp_path / "modules.json").write_text("[]")
    first = offline.model_digest(tmp_path)
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "config.json.metadata").write_text(
        "a time"
    )  # as `hf download` leaves it
    assert offline.model_digest(tmp_path) == first
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"c")
    assert offline.model_digest(tmp_path) != first


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """A models folder with the model `mine`, and a working directory with folders of models."""
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("models/mine", "here/mine", "here/owner/other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        model(tmp_path / name)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_a_name_is_not_taken_from_the_working_directory(imported):
    assert offline.find_model("mine") == imported / "models" / "mine"
    assert offline.find_model("./mine") == imported / "here" / "mine"
    assert offline.find_model("../here/mine") == imported / "here" / "mine"
    assert offline.find_model(str(imported / "here" / "mine")) == imported / "here" / "mine"
    line = offline.ambiguity("mine")
    assert str(imported / "models" / "mine") in line and line.endswith("is given as ./mine")
    assert [offline.ambiguity(one) for one in ("./mine", "other", "")] == ["", "", ""]


@pytest.mark.parametrize("reference", ["owner/other", "owner", "here"])
def test_a_folder_that_is_given_as_a_name_is_not_found_and_the_path_is_said(imported, reference):
    (imported / "here" / "here").mkdir()
    with pytest.raises(ModelError, match="is not on disk") as caught:
        offline.find_model(reference)
    assert caught.value.hint == f"the folder here is given as a path: ./{reference}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "smol-135m",
            "did you mean smollm2-135m-instruct?; a folder is given as a path: ./smol-135m",
        ),
        (
            "mistral",
            "opro-local models list shows what is here; a folder is given as a path: ./mistral",
        ),
    ],
)
def test_a_name_that_is_not_there_names_the_nearest_or_what_lists_all(
    tmp_path, monkeypatch, name, hint
):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path))
    model(tmp_path / "smollm2-135m-instruct")
    with pytest.raises(ModelError) as caught:
        offline.find_model(name)
    assert caught.value.hint == hint


@pytest.mark.parametrize("reference", ["x/../mine", "../models/mine/../..", "x/..", "mine/.."])
def test_a_name_leads_to_no_other_folder(imported, reference):
    with pytest.raises(ModelError):
        offline.find_model(reference)
