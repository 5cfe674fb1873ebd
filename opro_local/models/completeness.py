"""Whether a folder holds a whole model, as far as the names and beginnings of its files tell.

For: one line that names the file where something is missing, cut off or of another kind, before
anything is loaded. Not for: code in the folder (trust.py), or what a model needs of memory
(footprint.py).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from opro_local.errors import ModelError
from opro_local.files import open_regular, read_bytes
from opro_local.models.trust import PICKLED, read_json

SAFETENSORS = "*.safetensors"
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
AGAIN = "copy or download the model again"
PULL = "run `git lfs pull` in the folder, or download the model again"
POINTER = b"version https://git-lfs.github.com/spec/"
MOST_POINTER = 1024  # bytes; git-lfs writes some 130
WANTED = re.compile(rb"^size (?P<bytes>\d{1,18})$", re.MULTILINE)
SHARD = re.compile(
    r"(?P<stem> .+ ) - (?P<number> \d{5} ) -of- (?P<count> \d{5} ) (?P<ending> \. \w+ )",
    re.VERBOSE,
)
# Any of these is enough for some tokenizer of transformers.
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece*.model",
    "*.tiktoken",
    "tokenization*.py",
)
# Models with these endings read text and write none.
READERS = (
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
)


def whole(folder: Path) -> Path:
    """The folder, if it holds a config and all the weights that it names.

    Raises:
        ModelError: names the file that is missing, or what else the folder is.
    """
    if not folder.is_dir():
        raise _no_folder(folder)
    names = sorted(folder.iterdir())
    if not names:
        raise ModelError(f"{folder}: an empty folder", AGAIN)
    refuse_pointers(names)
    has_config = (folder / "config.json").is_file()
    weights = [file for kind in (SAFETENSORS, *PICKLED) for file in sorted(folder.glob(kind))]
    packed = sorted(folder.glob("*.gguf"))
    if packed and not (has_config and weights):
        raise _packed(packed[0])
    if not has_config:
        raise _no_config(folder)
    if not weights:
        raise ModelError(f"{folder}: no weights in it (*.safetensors)", AGAIN)
    named = sorted({*_indexed(folder), *_counted(weights)})
    missing = [file for file in named if not file.is_file()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"{missing[0]}: a part of the weights is missing{more}", AGAIN)
    return folder


def check_writer(folder: Path) -> None:
    """Refuse a whole folder whose model could not write text.

    Raises:
        ModelError: its config names no model, or one that only reads; no tokenizer is in it; or a
            file of pickled weights is cut off. Names the file.
    """
    path = folder / "config.json"
    config = read_json(path)
    if not isinstance(config, dict):
        raise ModelError(f"{path}: not a model's config: no JSON object", AGAIN)
    classes = [one for one in config.get("architectures") or () if isinstance(one, str)]
    if not classes and not isinstance(config.get("model_type"), str):
        raise ModelError(
            f"{path}: not a model's config: neither model_type nor architectures is in it", AGAIN
        )
    if classes and all(name.endswith(READERS) for name in classes):
        raise ModelError(
            f"{path}: {classes[0]} reads text and writes none", "take a model that generates"
        )
    if not any(any(folder.glob(name)) for name in TOKENIZERS):
        raise ModelError(f"{folder}: no tokenizer in it (tokenizer.json)", AGAIN)
    for file in sorted(folder.glob("*.bin")):
        _check_pickle(file)


def _no_folder(place: Path) -> ModelError:
    if place.suffix == ".gguf":
        return _packed(place)
    return ModelError(f"{place}: a file, not a model's folder", "give the folder it lies in")


def _packed(file: Path) -> ModelError:
    return ModelError(
        f"{file}: a GGUF file, which no engine here reads",
        f"opro-local models import {file} --name NAME; then --model NAME",
    )


def _no_config(folder: Path) -> ModelError:
    if (folder / "adapter_config.json").is_file():
        return ModelError(
            f"{folder}: a LoRA adapter, not a model",
            "name the base model, and the adapter with scorer.adapter or optimizer.adapter",
        )
    if (folder / "params.json").is_file():
        return ModelError(
            f"{folder}: only Mistral's or Meta's own format is in it, config.json is missing",
            "take a copy in the format of transformers",
        )
    return ModelError(
        f"{folder}: not a model folder, config.json is missing", "give the folder with config.json"
    )


def refuse_pointers(files: Sequence[Path]) -> None:
    """Raise ModelError where a file is git-lfs's stand-in for one, or a link that leads nowhere."""
    for file in files:
        if file.is_symlink() and not file.exists():
            raise ModelError(f"{file}: a link that leads nowhere", AGAIN)
        if not file.is_file() or file.stat().st_size > MOST_POINTER:
            continue
        content = read_bytes(file)
        if content.startswith(POINTER):
            wanted = WANTED.search(content)
            of = f" of {int(wanted['bytes']):,} bytes" if wanted else ""
            raise ModelError(f"{file}: git-lfs's pointer to a file{of}, not the file", PULL)


def _indexed(folder: Path) -> Iterator[Path]:
    """The weights that an index names; those of the first index only, as loaders read."""
    for name in INDEXES:
        index = folder / name
        if not index.is_file():
            continue
        content = read_json(index)
        files = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(files, dict) or not all(isinstance(f, str) for f in files.values()):
            raise ModelError(f"{index}: no weight_map in it", AGAIN)
        yield from (folder / name for name in sorted(set(files.values())))
        return


def _counted(weights: Sequence[Path]) -> Iterator[Path]:
    """The parts there are by the names of those that lie there: model-00001-of-00003 and so on."""
    series: dict[tuple[str, str, str], Path] = {}
    for file in weights:
        shard = SHARD.fullmatch(file.name)
        if shard:
            series[shard["stem"], shard["count"], shard["ending"]] = file
    for (stem, count, ending), file in series.items():
        numbers = range(1, int(count) + 1)
        yield from (file.with_name(f"{stem}-{i:05}-of-{count}{ending}") for i in numbers)


def _check_pickle(file: Path) -> None:
    """Raise ModelError for a file of torch's that lacks its end: the zip's table stands there."""
    with open_regular(file) as stream:
        first = stream.read(4)
    if first.startswith(b"PK") and not zipfile.is_zipfile(file):
        size = file.stat().st_size
        raise ModelError(f"{file}: cut off: it has {size} bytes, and its zip no end", AGAIN)
    if not first:
        raise ModelError(f"{file}: an empty file", AGAIN)
