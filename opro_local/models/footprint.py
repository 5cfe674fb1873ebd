"""How much memory a model takes, read from its folder before anything is loaded.

For: weights from the headers of the safetensors files, with what config.json says. Not for: what is
kept of a sequence (kv_cache.py), what else an engine takes, or where it fits; that is the wing
`placement`. No torch is imported and no weight is read.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.files import open_regular, read_text
from opro_local.models.kv_cache import SequenceCache, sequence_cache, text_config, with_defaults
from opro_local.models.offline import MOST_HEADER
from opro_local.models.towers import has_towers, is_of_tower

LENGTH = struct.Struct("<Q")
# Bytes of one number, of the kinds that a loader turns into the dtype asked for.
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
DTYPES = {"float32": 4, "float": 4, "auto": 2, "half": 2, "float16": 2, "bfloat16": 2, "fp8": 1}
# A `.bin` file's numbers by the name that configs have for them.
PICKLED = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
MANY_TEXTS = 262_144  # the largest usual vocabulary
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
        cache: what it keeps of a sequence.
        wide: elements of one token's activations at the widest point of a layer, about; 0 where the
        config does not tell.
        vocabulary: texts of the vocabulary; each running request holds that many logits.
        notes: what the config has and this count does not know.
        towers: bytes, among those stored, of what reads images or sound, by dtype.
    """

    folder: str
    stored: Mapping[str, int]
    quantized: bool
    context: int
    cache: SequenceCache
    wide: int
    vocabulary: int
    notes: tuple[str, ...] = ()
    towers: Mapping[str, int] = field(default_factory=dict)

    def weights(self, dtype: str = "auto", language_only: bool = False) -> int:
        """Bytes of the loaded weights.

        Args:
            dtype: "auto" means 16 bits, which vLLM makes of float32 folders too; "fp8" is what they
                are quantized to while they load.
            language_only: whether the towers are left out.
        """
        left_out = self.towers if language_only else {}
        loaded = {kind: size - left_out.get(kind, 0) for kind, size in self.stored.items()}
        if self.quantized:
            return sum(loaded.values())
        size = DTYPES.get(dtype, 2)
        total = 0
        for kind, stored_bytes in loaded.items():
            # Whole numbers (indices, packed weights) are not cast when a model is loaded.
            is_cast = kind in FLOATS
            total += stored_bytes // FLOATS[kind] * size if is_cast else stored_bytes
        return total

    def kv_bytes(
        self, tokens: int, size: int = 2, ahead: int = 8192, tensor: int = 1, pipeline: int = 1
    ) -> int:
        """Bytes of cache for one sequence on each GPU; see SequenceCache.bytes."""
        return self.cache.bytes(tokens, size, ahead, tensor, pipeline)


def footprint(folder: Path) -> Footprint:
    """The footprint of the model in a folder.

    A config that does not tell all is no error: what is missing is assumed as its family has it, or
    left to vLLM, and `notes` say so.

    Raises:
        ModelError: a file is missing, cut off or no JSON; names the file.
    """
    whole = _json_object(folder / "config.json")
    config, _ = with_defaults(text_config(whole))
    cache = sequence_cache(text_config(whole))
    vocabulary = _number(config, "vocab_size", "padded_vocab_size")
    notes = cache.notes
    if not vocabulary:
        notes += (f"no vocab_size in its config, {MANY_TEXTS} assumed",)
    quantized = "quantization_config" in whole or "quantization_config" in config
    is_left_out, pickled = _is_left_out(config), _pickled_dtype(whole, config)
    stored = stored_bytes(folder, is_left_out, pickled)
    towers: dict[str, int] = {}
    if has_towers(whole):
        kept = stored_bytes(
            folder, lambda name: is_left_out(name) or is_of_tower(name), pickled, is_empty=True
        )
        towers = {kind: size - kept.get(kind, 0) for kind, size in stored.items()}
    return Footprint(
        folder=str(folder),
        stored=stored,
        quantized=quantized,
        context=_number(config, *CONTEXT_NAMES) or 8192,
        cache=cache,
        wide=_widest(config),
        vocabulary=vocabulary or MANY_TEXTS,
        notes=notes,
        towers=towers,
    )


def _widest(config: Mapping[str, Any]) -> int:
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    middle = _number(config, "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
    return 4 * hidden + 2 * (middle or 4 * hidden)


def _pickled_dtype(whole: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The safetensors name of the numbers in a `.bin` file, which does not tell without being
    loaded; "file" where the config does not say either.
    """
    named = whole.get("dtype") or whole.get("torch_dtype") or config.get("torch_dtype")
    return PICKLED.get(str(named), "file")


def _is_left_out(config: Mapping[str, Any]) -> Callable[[str], bool]:
    """Which tensors vLLM does not load: the layers that guess several tokens ahead (MTP), which
    DeepSeek numbers after the last one and Qwen3-Next calls by name.
    """
    layers = _number(config, "num_hidden_layers")
    ahead = _number(config, "num_nextn_predict_layers")
    beyond = {f"layers.{place}." for place in range(layers, layers + ahead)} if layers else set()

    def is_left_out(name: str) -> bool:
        inside = name.removeprefix("model.").removeprefix("language_model.")
        return name.startswith("mtp.") or any(inside.startswith(start) for start in beyond)

    return is_left_out


def _number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these settings that is a positive whole number; 0 if none is."""
    values = (config.get(name) for name in names)
    whole = (v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0)
    return next(whole, 0)


def stored_bytes(
    folder: Path,
    is_left_out: Callable[[str], bool] | None = None,
    pickled: str = "file",
    is_empty: bool = False,
) -> dict[str, int]:
    """Bytes of the tensors in a model folder by dtype, from the safetensors headers; of other
    formats the files' sizes.

    Args:
        folder: the model's.
        is_left_out: whether a tensor of this name is not loaded.
        pickled: the dtype of what `.bin` files hold.
        is_empty: whether nothing may be left.

    Raises:
        ModelError: a header is broken, a file is cut off, or one that the index names is missing.
    """
    stored: Counter[str] = Counter()
    for file in _weight_files(folder):
        if file.suffix == ".safetensors":
            stored.update(header_bytes(file, is_left_out))
        else:
            kind = pickled if file.suffix == ".bin" else "file"
            stored[kind] += file.stat().st_size
    if not stored and not is_empty:
        raise ModelError(f"{folder}: no weights in it (*.safetensors)", AGAIN)
    return dict(stored)


def header(file: Path) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of its tensors, by name, and how many bytes follow: eight bytes
    of length, then a JSON table, then the tensors.

    Raises:
        ModelError: the table is broken, or the file is shorter than its head.
    """
    try:
        size = file.stat().st_size
        with open_regular(file) as stream:
            first = stream.read(LENGTH.size)
            # -1, where not even the length is there, is refused like any other impossible one.
            length = LENGTH.unpack(first)[0] if len(first) == LENGTH.size else -1
            # The limit comes before the read: a damaged length must not fill the memory.
            if not 2 <= length <= min(MOST_HEADER, size - LENGTH.size):
                raise ModelError(
                    f"{file}: not a safetensors file, or cut off: it has {size} bytes", AGAIN
                )
            table = json.loads(stream.read(length))
        tensors = {name: dict(entry) for name, entry in table.items() if name != "__metadata__"}
    except OSError as error:
        raise ModelError(f"{file}: can't be read ({error.strerror})", AGAIN) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(file, error) from None
    return tensors, size - LENGTH.size - length


def header_bytes(file: Path, is_left_out: Callable[[str], bool] | None = None) -> dict[str, int]:
    """Bytes of a safetensors file's tensors by dtype. Those whose name `is_left_out` don't count.

    Raises:
        ModelError: the table is broken, or the file is shorter than it says.
    """
    tensors, present = header(file)
    spans: list[tuple[str, str, int, int]] = []
    try:
        for name, entry in tensors.items():
            start, end = map(int, entry["data_offsets"])
            spans.append((name, str(entry["dtype"]), start, end))
    except (ValueError, TypeError, KeyError) as error:
        raise _broken(file, error) from None
    # Offsets count from the end of the table, so the largest one is how many bytes must follow it.
    promised = max((end for _, _, _, end in spans), default=0)
    is_impossible = any(not 0 <= start <= end for _, _, start, end in spans)
    if promised > present or is_impossible:
        raise ModelError(
            f"{file}: cut off: its header tells of {promised} bytes of tensors, "
            f"{present} are there",
            AGAIN,
        )
    stored: Counter[str] = Counter()
    for name, kind, start, end in spans:
        if is_left_out is None or not is_left_out(name):
            stored[kind] += end - start
    return dict(stored)


def _broken(file: Path, error: Exception) -> ModelError:
    return ModelError(f"{file}: its safetensors header is broken ({type(error).__name__})", AGAIN)


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
