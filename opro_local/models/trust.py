"""What in a model's folder would run code when the model is loaded: named, and refused unless the
config trusts it by that name.

For: code and kernels that the JSON files name, and weights kept as pickles. Not for: whether the
weights are what they claim to be.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError, UsageError
from opro_local.files import read_text
from opro_local.models.manifest import MANIFEST

# Read with pickle, which runs what the file says. A stray training_args.bin beside safetensors is
# never read.
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SAFE = ("*.safetensors", "*.gguf")
# JSON files of a model that hold words or numbers only, and may be large.
PLAIN = ("tokenizer.json", "vocab.json", "added_tokens.json", "tekken.json")
LONGEST = 16 << 20  # bytes of a JSON file
GENERATE = "custom_generate/generate.py"
PICKLING_FORMATS = ("pt", "npcache")  # vLLM's names


def check(folder: Path, trusted: Sequence[str] = (), allow_pickle: bool = False) -> None:
    """Refuse a model or an adapter that would run code nobody trusted.

    Args:
        folder: the model's, or the adapter's.
        trusted: names as `code_of` gives them.
        allow_pickle: whether weights may be pickles.

    Raises:
        ModelError: the folder names code that is not trusted, or has pickled weights only; or one
            of its JSON files can't be read; or something in it is neither file nor folder.
    """
    _refuse_devices(folder)
    unknown = [name for name in code_of(folder) if name not in trusted]
    if unknown:
        listed = ", ".join(json.dumps(name) for name in code_of(folder))
        raise ModelError(
            f"{folder}: loading it would run code: {', '.join(unknown)}",
            f"read it, then set trusted_code = [{listed}] for this model; or take the entries out",
        )
    if is_pickled(folder) and not allow_pickle:
        raise ModelError(
            f"{folder}: its weights are pickles, which run code when they are read "
            f"({_pickles(folder)[0].name})",
            "convert them to safetensors, or set allow_pickle = true for this model",
        )


def check_arguments(arguments: Mapping[str, Any], trusted: Sequence[str], pickle: bool) -> None:
    """Refuse arguments for an engine's constructor that let in what the settings do not.

    Raises:
        UsageError: names the argument and the setting.
    """
    if arguments.get("trust_remote_code"):
        raise UsageError(
            "engine_args.trust_remote_code is not passed on",
            "name what may run in trusted_code, as the message without it says",
        )
    pickles = arguments.get("load_format") in PICKLING_FORMATS
    if (pickles or arguments.get("use_safetensors") is False) and not pickle:
        raise UsageError("engine_args ask for pickled weights", "set allow_pickle = true")
    unknown = [name for name in dict.fromkeys(_named(arguments)) if name not in trusted]
    if unknown:
        raise UsageError(
            f"engine_args name code: {', '.join(unknown)}", "add it to trusted_code if it may run"
        )


def code_of(folder: Path) -> list[str]:
    """The names of all code that loading the folder would run: "modeling_x.py" in it, "owner/name"
    of a hub.

    Raises:
        ModelError: a JSON file can't be read.
    """
    names: list[str] = []
    for file in sorted(folder.glob("*.json")):
        if file.name not in (*PLAIN, MANIFEST) and not file.name.endswith(".index.json"):
            names += _named(read_json(file))
    if (folder / GENERATE).is_file():
        names.append(GENERATE)
    return list(dict.fromkeys(names))


def is_pickled(folder: Path) -> bool:
    """Whether its weights are pickles; where there are safetensors too, these are read."""
    return bool(_pickles(folder)) and not any(any(folder.glob(kind)) for kind in SAFE)


def read_json(file: Path) -> Any:
    """What a JSON file of a model holds.

    Raises:
        ModelError: it can't be read, is no JSON, is too long or nested too deep; names the file.
    """
    try:
        if file.stat().st_size > LONGEST:
            raise ValueError(f"more than {LONGEST >> 20} MiB")
        return json.loads(read_text(file))
    except RecursionError:
        why = "nested too deep"
    except (OSError, ValueError) as error:
        why = str(error)
    raise ModelError(f"{file}: no readable JSON: {why}", "copy or download the model again")


def _refuse_devices(folder: Path) -> None:
    """Raise ModelError where a name in the folder, or in a folder of it, leads to a FIFO, a socket
    or a device: who opens it may wait or read for ever.
    """
    for file in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        try:
            mode = file.stat().st_mode
        except OSError:
            continue  # a link that leads nowhere can't be opened
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ModelError(f"{file}: is no regular file", "copy or download the model again")


def _pickles(folder: Path) -> list[Path]:
    return sorted(file for kind in PICKLED for file in folder.glob(kind))


def _named(value: Any) -> Iterator[str]:
    """The code that a JSON value names, wherever in it.

    `auto_map` and `auto_mapping` name Python modules, `*_implementation` and `kernel*` kernels of
    a hub where they hold a slash; `trust_remote_code` says that there is some.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        if not isinstance(one, dict):
            continue
        for key, inner in one.items():
            yield from _named_by(key, inner)
            waiting.append(inner)


def _named_by(key: str, value: Any) -> Iterator[str]:
    if key == "trust_remote_code" and value:
        yield key
    elif key == "auto_map":
        yield from (_module(text) for text in _texts(value))
    elif key == "auto_mapping" and isinstance(value, dict):
        library = str(value.get("parent_library") or "")
        if library and library.partition(".")[0] != "transformers":
            yield library
    elif key == "custom_generate" or key.endswith("_implementation") or key.startswith("kernel"):
        # "sdpa" is transformers' own; "owner/name" is fetched from a hub.
        yield from (text for text in _texts(value) if "/" in text)


def _module(reference: str) -> str:
    """What "owner/name--module.Class" or "module.Class" loads: the repository, or the file."""
    repository, dashes, name = reference.rpartition("--")
    return repository if dashes else f"{name.rpartition('.')[0] or name}.py"


def _texts(value: Any) -> list[str]:
    """All texts in a JSON value, in its order."""
    if isinstance(value, str):
        return [value]
    inner: Sequence[Any] = ()
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    return [text for one in inner for text in _texts(one)]
