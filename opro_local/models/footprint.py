"""How much memory a model takes, read from its folder before anything is loaded.

For: weights from the headers of the safetensors files, and KV cache from config.json. Not for: what
else an engine takes, or where it fits; that is the wing `placement`. No torch is imported and no
weight is read.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.files import read_text
from opro_local.models.offline import MOST_HEADER

LENGTH = struct.Struct("<Q")
# Bytes of one number, of the kinds that a loader turns into the dtype asked for.
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
DTYPES = {"float32": 4, "float": 4, "auto": 2, "half": 2, "float16": 2, "bfloat16": 2, "fp8": 1}
ATTENDING = ("full_attention", "sliding_attention", "chunked_attention", "attention")
AGAIN = "copy or download the model again"


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one model asks of memory.

    Attributes:
        folder: the model's folder.
        stored: bytes of its tensors on disk by safetensors dtype; "file" where only file sizes are
        known.
        quantized: the tensors stay as they are stored, whatever dtype is asked for.
        context: the longest context the model was made for, in tokens.
        full: elements of KV cache a token takes in the layers that keep every token.
        sliding: the same for the layers that look back `window` tokens only.
        window: 0 where no layer slides.
        wide: elements of one token's activations at the widest point of a layer, about.
        vocabulary: texts of the vocabulary; each running request holds that many logits.
        notes: what the config has and this count does not know.
    """

    folder: str
    stored: Mapping[str, int]
    quantized: bool
    context: int
    full: int
    sliding: int
    window: int
    wide: int
    vocabulary: int
    notes: tuple[str, ...] = ()

    def weights(self, dtype: str = "auto") -> int:
        """Bytes of the loaded weights. `dtype` "auto" means 16 bits, which vLLM makes of float32
        folders too.

        "fp8" is what they are quantized to while they load.
        """
        if self.quantized:
            return sum(self.stored.values())
        size = DTYPES.get(dtype, 2)
        total = 0
        for kind, stored_bytes in self.stored.items():
            # Whole numbers (indices, packed weights) are not cast when a model is loaded.
            is_cast = kind in FLOATS
            total += stored_bytes // FLOATS[kind] * size if is_cast else stored_bytes
        return total

    def kv_bytes(self, tokens: int, size: int = 2, ahead: int = 8192) -> int:
        """Bytes of KV cache for one sequence.

        Args:
            tokens: its length.
            size: bytes of one cached number.
            ahead: tokens of one forward batch; a sliding layer holds them beside its window.
        """
        in_window = min(tokens, self.window + ahead) if self.window else 0
        return size * (self.full * tokens + self.sliding * in_window)


def footprint(folder: Path) -> Footprint:
    """The footprint of the model in a folder.

    Handled: attention with any number of key and value heads; latent attention (MLA:
    `kv_lora_rank`); sliding windows in all layers or, by `layer_types`, in some. Other layers
    (linear attention, Mamba) are counted as full attention, with a note.

    Raises:
        ModelError: a file is missing, cut off or no JSON, or the config lacks what the count needs;
        names the file.
    """
    path = folder / "config.json"
    whole = _json_object(path)
    config = whole["text_config"] if isinstance(whole.get("text_config"), dict) else whole
    try:
        layers = _number(config, "num_hidden_layers", "n_layer", "n_layers")
        heads = _number(config, "num_attention_heads", "n_head", "n_heads")
        hidden = _number(config, "hidden_size", "n_embd", "d_model")
        # Multi-query models of the GPT family say it without a number.
        fallback = 1 if config.get("multi_query") else heads
        kv_heads = _number(config, "num_key_value_heads", "n_head_kv", default=fallback)
        vocabulary = _number(config, "vocab_size")
        middle = _number(config, "intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
        context = _number(
            config, "max_position_embeddings", "n_positions", "max_seq_len", default=8192
        )
        head = _number(config, "head_dim", default=max(1, hidden // heads))
        if config.get("kv_lora_rank"):
            # Latent attention keeps one compressed vector for keys and values, and the rotated part
            # of the key.
            token = _number(config, "kv_lora_rank") + _number(config, "qk_rope_head_dim", default=0)
        else:
            token = 2 * kv_heads * head
        window, slides, notes = _windows(config, layers)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: can't tell the size of its KV cache: {error.args[0]}",
            'set run.placement = "off" to go without',
        ) from None
    return Footprint(
        folder=str(folder),
        stored=stored_bytes(folder),
        quantized="quantization_config" in whole or "quantization_config" in config,
        context=context,
        full=(layers - slides) * token,
        sliding=slides * token,
        window=window,
        wide=4 * hidden + 2 * middle,
        vocabulary=vocabulary,
        notes=notes,
    )


def stored_bytes(folder: Path) -> dict[str, int]:
    """Bytes of the tensors in a model folder by dtype, from the safetensors headers; of other
    formats the files' sizes.

    Raises:
        ModelError: a header is broken, a file is cut off, or one that the index names is missing.
    """
    stored: Counter[str] = Counter()
    for file in _weight_files(folder):
        if file.suffix == ".safetensors":
            stored.update(header_bytes(file))
        else:
            stored["file"] += file.stat().st_size
    if not stored:
        raise ModelError(f"{folder}: no weights in it (*.safetensors)", AGAIN)
    return dict(stored)


def header_bytes(file: Path) -> dict[str, int]:
    """Bytes of a safetensors file's tensors by dtype: eight bytes of length, then a JSON table,
    then the tensors.

    Raises:
        ModelError: the table is broken, or the file is shorter than it says.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            first = stream.read(LENGTH.size)
            # -1, where not even the length is there, is refused like any other impossible one.
            length = LENGTH.unpack(first)[0] if len(first) == LENGTH.size else -1
            # The limit comes before the read: a damaged length must not fill the memory.
            if not 2 <= length <= min(MOST_HEADER, size - LENGTH.size):
                raise ModelError(
                    f"{file}: not a safetensors file, or cut off: it has {size} bytes", AGAIN
                )
            table = json.loads(stream.read(length))
        spans = [
            (t["dtype"], *map(int, t["data_offsets"]))
            for name, t in table.items()
            if name != "__metadata__"
        ]
        kinds = [(str(kind), end - start) for kind, start, end in spans]
    except OSError as error:
        raise ModelError(f"{file}: can't be read ({error.strerror})", AGAIN) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{file}: its safetensors header is broken ({type(error).__name__})", AGAIN
        ) from None
    # Offsets count from the end of the table, so the largest one is how many bytes must follow it.
    promised = max((end for _, _, end in spans), default=0)
    present = size - LENGTH.size - length
    is_impossible = any(not 0 <= start <= end for _, start, end in spans)
    if promised > present or is_impossible:
        raise ModelError(
            f"{file}: cut off: its header tells of {promised} bytes of tensors, "
            f"{present} are there",
            AGAIN,
        )
    stored: Counter[str] = Counter()
    for kind, tensor_bytes in kinds:
        stored[kind] += tensor_bytes
    return dict(stored)


def _weight_files(folder: Path) -> Sequence[Path]:
    """The files a loader would take: those the index names, or all but the copies in Mistral's own
    format.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = _json_object(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise ModelError(f"{index}: no weight_map in it", AGAIN)
        return [folder / name for name in sorted(set(names.values()))]
    # The first format that is there is what a loader takes; others hold the same weights again.
    for pattern in ("*.safetensors", "*.bin", "*.gguf"):
        files = sorted(folder.glob(pattern))
        if files:
            copies = ("consolidated", "training_args")
            # Where there is nothing but Mistral's own format, it is what a loader takes.
            return [file for file in files if not file.name.startswith(copies)] or files
    return ()


def _windows(config: Mapping[str, Any], layers: int) -> tuple[int, int, tuple[str, ...]]:
    """The window in tokens, how many layers slide, and what was not known."""
    window = config.get("sliding_window") or 0
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        slides = kinds.count("sliding_attention") if window else 0
        unknown = sorted({str(kind) for kind in kinds} - set(ATTENDING))
        notes = tuple(f"{kind} layers are counted as full attention" for kind in unknown)
        return int(window) if slides else 0, min(slides, layers), notes
    # Where only some layers slide and no list says which, all count as full: too much rather than
    # too little.
    mixed = "sliding_window_pattern" in config or config.get("model_type") in (
        "gemma2",
        "gemma3_text",
        "cohere2",
    )
    if not window or mixed or config.get("use_sliding_window") is False:
        return 0, 0, ()
    # Qwen2 slides in the layers from max_window_layers on.
    first = config.get("max_window_layers", 0) if config.get("use_sliding_window") else 0
    return int(window), max(0, layers - int(first)), ()


def _number(config: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    """The first of these settings that is there, a positive whole number.

    Raises:
        KeyError: none is there, and there is no default.
        ValueError: it is something else.
    """
    for name in names:
        value = config.get(name)
        if value is not None:
            # True is an int to Python, and no number of layers.
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}")
            return value
    if default is None:
        raise KeyError(f"{names[0]} is missing")
    return default


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_text(path))
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})", AGAIN) from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: not a JSON file", AGAIN) from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: not a JSON object", AGAIN)
    return value
