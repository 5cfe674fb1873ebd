"""Whether a model folder is, byte for byte, what its manifest says.

For: `models verify`, and naming each file that is not as it was imported. Not for: whether a folder
without a manifest could be loaded (completeness.py, trust.py), or who made the manifest
(signing.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.files import open_regular
from opro_local.models.manifest import (
    MANIFEST,
    Manifest,
    Progress,
    hash_files,
    link_fault,
    names_in,
    read_manifest,
)
from opro_local.models.pickles import find_pickle
from opro_local.models.trust import PICKLED

NO_MANIFEST = "there is none, so nothing to check against; import the model again to get one"
# Kinds that begin in their own way, and are too large to look through for nothing.
KNOWN_KINDS = ("tokenizer.json", "*.safetensors", "*.gguf")


@dataclass(frozen=True, slots=True)
class ModelDamage:
    """What is wrong with one file of a model; `file` is its path in the folder."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class ModelVerification:
    """What a check of a model folder came to.

    Attributes:
        manifest: what it was checked against; None where that can't be read.
        damaged: what is wrong; empty where all is well.
    """

    manifest: Manifest | None
    damaged: tuple[ModelDamage, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged

    def to_json(self) -> dict[str, Any]:
        """As `models verify --json` prints it."""
        return {
            "ok": self.ok,
            "damaged": [{"file": one.file, "what": one.what} for one in self.damaged],
            "files": len(self.manifest.files) if self.manifest else 0,
            "bytes": self.manifest.size if self.manifest else 0,
            "manifest": self.manifest.digest if self.manifest else None,
        }


def verify_model(folder: Path, progress: Progress | None = None) -> ModelVerification:
    """Check every byte of a model folder against its manifest.

    Args:
        folder: the model's.
        progress: takes the bytes read; see hash_files.

    A file that can't be read is damage, and ends the look.
    """
    try:
        manifest = read_manifest(folder)
    except ModelError as error:
        what = error.message.removeprefix(f"{folder / MANIFEST}: ")
        return ModelVerification(None, (ModelDamage(MANIFEST, what),))
    if manifest is None:
        return ModelVerification(None, (ModelDamage(MANIFEST, NO_MANIFEST),))
    try:
        names = [*_differing_names(folder, manifest)]
        damaged = [*names, *_differing_bytes(folder, manifest, progress)]
    except OSError as error:
        if not error.errno:  # it was stopped
            raise
        name = str(error.filename or folder).removeprefix(f"{folder}/")
        what = f"can't be read: {error.strerror}; no further file was looked at"
        return ModelVerification(manifest, (ModelDamage(name, what),))
    return ModelVerification(manifest, tuple(sorted(damaged, key=lambda one: one.file)))


def _differing_names(folder: Path, manifest: Manifest) -> Iterator[ModelDamage]:
    listed, there = {file.name for file in manifest.files}, set(names_in(folder))
    for name in listed - there:
        yield ModelDamage(name, "missing")
    for name in sorted(there):
        fault = link_fault(folder, name)
        if fault:
            yield ModelDamage(name, fault)
        elif name not in listed:
            yield ModelDamage(name, "added: it is not in the manifest")
        if not fault:
            yield from _hidden_pickle(folder, name)


def _hidden_pickle(folder: Path, name: str) -> Iterator[ModelDamage]:
    what = pickle_fault(folder / name)
    if what:
        yield ModelDamage(name, what)


def _differing_bytes(
    folder: Path, manifest: Manifest, progress: Progress | None
) -> Iterator[ModelDamage]:
    """Files whose size or digest is not the manifest's; one of another size is not read."""
    same_size: dict[str, str] = {}
    for file in manifest.files:
        path = folder / file.name
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        if size != file.size:
            yield ModelDamage(file.name, f"{size:,} bytes instead of {file.size:,}")
        else:
            same_size[file.name] = file.sha256
    for read in hash_files(folder, list(same_size), progress):
        if read.sha256 != same_size[read.name]:
            yield ModelDamage(read.name, f"other bytes: SHA-256 {read.sha256[:16]}...")


def pickle_fault(file: Path) -> str:
    """What is wrong with a file that holds a pickle: it is named as something else, or it calls
    what no weights need; empty otherwise.

    Raises:
        OSError: it can't be read.
    """
    name = file.name.lower()
    if any(fnmatchcase(name, kind) for kind in KNOWN_KINDS) and _begins_as_named(file):
        return ""
    pickle = find_pickle(file)
    if pickle is None:
        return ""
    where = f" (in its member {pickle.where})" if pickle.where else ""
    if pickle.foreign:
        calls = ", ".join(pickle.foreign[:3])
        return f"a pickle that calls {calls}{where}"
    if not any(fnmatchcase(name, kind) for kind in PICKLED):
        return f"a pickle under another name{where}"
    return ""


def _begins_as_named(file: Path) -> bool:
    """Whether a file begins as its name says, so that no opcodes need be looked for in it.

    A safetensors file has its header's length first and then a brace.
    """
    with open_regular(file) as stream:
        head = stream.read(9)
    if file.name.endswith(".gguf"):
        return head.startswith(b"GGUF")
    return head[8:] == b"{" if file.name.endswith(".safetensors") else head.lstrip()[:1] == b"{"
