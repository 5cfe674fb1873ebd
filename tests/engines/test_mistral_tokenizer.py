"""Folders of Mistral models, which hold a second tokenizer that has no chat template."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from opro_local.engines.settings import EngineSettings
from opro_local.errors import ModelError
from opro_local.types import Prompt

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("transformers")
pytest.importorskip("mistral_common")
from opro_local.engines.tokenizer import PromptTokenizer  # noqa: E402

BARE = EngineSettings(model="", kind="transformers")
TEMPLATE = "{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}"


def tekken(file: Path) -> None:
    """Mistral's own format, one token a byte, as its library reads it."""
    bytes_ = [
        {"rank": i, "token_bytes": base64.b64encode(bytes([i])).decode(), "token_str": None}
        for i in range(256)
    ]
    sizes = {
        "num_vocab_tokens": 256,
        "default_vocab_size": 1256,
        "default_num_special_tokens": 1000,
    }
    file.write_text(
        json.dumps({"config": {"pattern": r"[\s\S]+", "version": "v3", **sizes}, "vocab": bytes_})
    )


def model(folder: Path, whole: bool = True, named: str = "") -> Path:
    """A Mistral model's folder without weights; `whole` with what transformers reads, too."""
    folder.mkdir()
    tekken(folder / "tekken.json")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "mistral", "bos_token_id": 1, "eos_token_id": 2})
    )
    if whole:
        marks = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
        letters = {mark: i for i, mark in enumerate([*marks, *map(chr, range(32, 127))])}
        made = tokenizers.Tokenizer(tokenizers.models.WordLevel(letters, unk_token="<unk>"))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Split(
            tokenizers.Regex(r"[\s\S]"), "isolated"
        )
        made.decoder = tokenizers.decoders.Fuse()
        made.add_special_tokens(marks)
        made.save(str(folder / "tokenizer.json"))
        (folder / "chat_template.jinja").write_text(TEMPLATE)
        names = {
            "bos_token": "<s>",
            "eos_token": "</s>",
            **({"tokenizer_class": named} if named else {}),
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


@pytest.mark.parametrize(
    "named", ["", "LlamaTokenizerFast", "PreTrainedTokenizerFast", "MistralCommonBackend"]
)
def test_a_chat_is_asked_with_its_template_beside_mistrals_own_tokenizer(named, tmp_path):
    reader = PromptTokenizer.load(model(tmp_path / "m", named=named), object(), BARE)
    assert reader.tokenizer.decode(reader.encode([Prompt("hi")])[0]) == "[INST]hi[/INST]"


def test_a_folder_with_mistrals_own_tokenizer_alone_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no chat template; tokenizer\.json is missing") as caught:
        PromptTokenizer.load(model(tmp_path / "m", whole=False), object(), BARE)
    assert caught.value.hint.startswith("add tokenizer.json")
