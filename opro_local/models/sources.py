"""What a model is imported from, looked at before anything is copied.

For: the files of a folder or of an entry in the hub's cache, with what is known of their bytes, and
the refusal of links that lead out, pickles and incomplete folders. Not for: copying (importing.py).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from opro_local.errors import ModelError
from opro_local.models import trust
from opro_local.models.completeness import AGAIN, whole
from opro_local.models.manifest import Manifest, is_part, link_fault, names_in, read_manifest
from opro_local.models.verification import pickle_fault

# Weights in formats that no engine here reads; hubs keep them beside safetensors.
UNREAD = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.tflite", "*.mlmodel")
SNAPSHOT = re.compile(
    r"""
    / models--(?P<repository> [^/]+ ) / snapshots / (?P<commit> [^/]+ ) \Z
    """,
    re.VERBOSE,
)
# The hub's cache names a file's bytes by their SHA-256, or, of small files, as git does.
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to import.

    Attributes:
        name: its path in the model, with `/`.
        path: where its bytes are.
        size: in bytes.
        expected: the SHA-256 that it must have, or the digest that git has of it; "" if unknown.
        expected_by: who says so.
        key: what tells this file from another version of it: place, time and size.
    """

    name: str
    path: Path
    size: int
    expected: str
    expected_by: str
    key: str


@dataclass(frozen=True, slots=True)
class Source:
    """A model to import.

    Attributes:
        folder: where it lies.
        label: what the manifest says of it: "folder", or "hub OWNER/NAME@COMMIT".
        files: what is imported, by name.
        left_out: what is not, because no engine here would read it.
    """

    folder: Path
    label: str
    files: tuple[SourceFile, ...]
    left_out: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of what is imported."""
        return sum(file.size for file in self.files)


def read_source(folder: Path, in_place: bool = False, allow_pickle: bool = False) -> Source:
    """Look at a folder to import.

    Args:
        folder: a model's, or a snapshot in the hub's cache, whose links are followed.
        in_place: nothing will be copied: all files belong to the model, and a manifest that is
            there does not count, since a new one is to be written. Only what a kill while one was
            written has left is left out.
        allow_pickle: whether its only weights may be pickles.

    Raises:
        ModelError: something is missing, is a link that leads out of the folder, a device, a pickle
            that is named as something else or calls what weights don't need, or is not in the
            manifest that the folder has. Names the file.
    """
    whole(folder)
    _refuse_pickled(folder, allow_pickle)
    # Code is no hindrance here: whoever loads the model has to trust it by name.
    trust.check(folder, trust.code_of(folder), allow_pickle=True)
    manifest = None if in_place else read_manifest(folder)
    names = sorted(names_in(folder))
    taken = names if manifest else [name for name in names if not _is_hidden(name)]
    if in_place:
        taken = [name for name in names if not is_part(name)]
    elif not manifest:
        unread = {name for name in taken if _is_unread(folder, name)}
        taken = [name for name in taken if name not in unread]
    files = tuple(_file(folder, name, manifest, in_place) for name in taken)
    if manifest:
        _refuse_difference(folder, taken, manifest)
    left_out = tuple(name for name in names if name not in taken)
    return Source(folder, _label(folder, manifest), files, left_out)


def _file(folder: Path, name: str, manifest: Manifest | None, in_place: bool) -> SourceFile:
    """A file by its name. Raises ModelError where it is not to be taken."""
    path = folder / name
    end = Path(os.path.realpath(path))
    fault, blob = link_fault(folder, name), _blob(folder, end)
    is_inside = path.is_file() and end.is_relative_to(folder.resolve())
    if fault and not blob and (in_place or not is_inside):
        raise ModelError(f"{path}: {fault}", "put the file itself in its place")
    wrong = pickle_fault(path)
    if wrong:
        raise ModelError(f"{path}: {wrong}", "get the model from another source")
    state = end.stat()
    expected, by = blob, "the name of its file in the hub's cache"
    if manifest:
        known = {file.name: file.sha256 for file in manifest.files}
        expected, by = known.get(name, ""), "its manifest"
    key = f"{end}\0{state.st_size}\0{state.st_mtime_ns}"
    return SourceFile(name, end, state.st_size, expected, by, key)


def _blob(folder: Path, end: Path) -> str:
    """The digest that the hub's cache names a file's bytes by; "" where they lie elsewhere."""
    is_cached = SNAPSHOT.search(str(folder.absolute())) is not None
    blobs = folder.absolute().parent.parent / "blobs"
    if not is_cached or end.parent != blobs.resolve():
        return ""
    return end.name if DIGEST.fullmatch(end.name) else ""


def _label(folder: Path, manifest: Manifest | None) -> str:
    """Where the model is from; what its manifest says goes before."""
    if manifest:
        return manifest.source
    cached = SNAPSHOT.search(str(folder.absolute()))
    if cached is None:
        return "folder"
    return f"hub {cached['repository'].replace('--', '/')}@{cached['commit']}"


def _refuse_pickled(folder: Path, allow_pickle: bool) -> None:
    """Raise ModelError where the only weights are pickles and these are not allowed."""
    if trust.is_pickled(folder) and not allow_pickle:
        first = next(name for name in sorted(names_in(folder)) if _is_named_as_pickle(name))
        raise ModelError(
            f"{folder / first}: its weights are pickles, which run code when they are read",
            "take its safetensors, or give --allow-pickle: what they call is looked at",
        )


def _refuse_difference(folder: Path, names: list[str], manifest: Manifest) -> None:
    """Raise ModelError for a name that only the folder has, or only its manifest."""
    listed = {file.name for file in manifest.files}
    for name in sorted({*names} ^ listed):
        what = "missing, and in the manifest" if name in listed else "added after the manifest"
        raise ModelError(f"{folder / name}: {what}", AGAIN)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_unread(folder: Path, name: str) -> bool:
    """Whether no engine would read a file: a further format, or a pickle beside safetensors."""
    if any(fnmatchcase(name.lower(), kind) for kind in UNREAD):
        return True
    return _is_named_as_pickle(name) and not trust.is_pickled(folder)


def _is_named_as_pickle(name: str) -> bool:
    return any(fnmatchcase(name.lower(), kind) for kind in trust.PICKLED)
