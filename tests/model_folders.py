"""Folders of a model that is whole and holds nearly nothing."""

from __future__ import annotations

import json
import struct
from pathlib import Path

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def safetensors(names=("w",)) -> bytes:
    """A file of tensors of 8 bytes each."""
    header = {
        name: {"dtype": "F16", "shape": [4], "data_offsets": [8 * i, 8 * i + 8]}
        for i, name in enumerate(names)
    }
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + bytes(8 * len(names))


def whole(folder: Path) -> Path:
    """A model's folder that nothing is wrong with."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors())
    return folder
