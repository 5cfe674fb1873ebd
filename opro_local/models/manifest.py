"""A model folder's manifest: every file by name, size and SHA-256, as canonical JSON in the folder.

For: making, writing and reading manifests, and hashing many files at once. Not for: comparing a
folder with one (verification.py), or saying who made it: whoever can write in the folder can write
a new manifest too; a signature says who (signing.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from opro_local.errors import ModelError
from opro_local.files import PART, open_regular, open_whole, read_bytes

# Hidden, so that neither is part of what model_digest reads: a manifest changes no run.
MANIFEST, SIGNATURE = ".opro-manifest.json", ".opro-model.sig"
FORMAT = 1
LONGEST = 64 << 20  # bytes of a manifest; a million files have some 150 MB, and no model has them
BLOCK = 4 << 20  # bytes read at once: small enough that a kill is heeded at once
THREADS = 4  # hashing leaves Python's lock; more threads than this wait for the disk
EDITED = "it was edited, or damaged; take the folder from its source again"

# Takes the bytes that were read since it was called last.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One file of a model.

    Attributes:
        name: its path in the folder, with `/`.
        size: in bytes.
        sha256: 64 hex digits over all of its bytes.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model folder held when it was imported.

    Attributes:
        model: the model's name.
        source: what it was made of: "folder", "gguf", "hub OWNER/NAME@COMMIT".
        files: by name.
    """

    model: str
    source: str
    files: tuple[FileDigest, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 over the manifest without this digest, 64 hex digits."""
        return hashlib.sha256(_canonical(self._content())).hexdigest()

    def to_bytes(self) -> bytes:
        """The manifest's file: one manifest has one form, whoever writes it."""
        return _canonical({**self._content(), "digest": self.digest})

    def _content(self) -> dict[str, Any]:
        files = [asdict(file) for file in sorted(self.files, key=lambda file: file.name)]
        return {"files": files, "format": FORMAT, "model": self.model, "source": self.source}


def _canonical(content: Any) -> bytes:
    """JSON with sorted keys, without spaces, in ASCII, and a line end."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a model's folder; None where there is none.

    Raises:
        ModelError: it can't be read, is of another version, or is not what was written.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return None
    if path.is_symlink():
        raise ModelError(f"{path}: a link, not a manifest", EDITED)
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError("too large")
        written = read_bytes(path)
        manifest, digest = _parsed(json.loads(written))
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: no readable manifest: {why}", EDITED) from None
    if digest != manifest.digest or written != manifest.to_bytes():
        raise ModelError(f"{path}: not what was written: its digest does not fit", EDITED)
    return manifest


def _parsed(content: Any) -> tuple[Manifest, str]:
    """A manifest and the digest it states. Raises ValueError, LookupError or TypeError."""
    if content["format"] != FORMAT:
        raise ValueError(f"of format {content['format']!r}; this version reads {FORMAT}")
    files = tuple(_parsed_file(file) for file in content["files"])
    if len({file.name for file in files}) < len(files):
        raise ValueError("a file is in it twice")
    model, source, digest = content["model"], content["source"], content["digest"]
    if not all(isinstance(text, str) for text in (model, source, digest)):
        raise TypeError("a name that is no text")
    return Manifest(model, source, files), digest


def _parsed_file(content: Any) -> FileDigest:
    file = FileDigest(content["name"], content["size"], content["sha256"])
    path = PurePosixPath(file.name)
    if path.is_absolute() or ".." in path.parts or not path.name or str(path) != file.name:
        raise ValueError(f"{file.name!r} leads out of the folder")
    if type(file.size) is not int or file.size < 0 or len(file.sha256) != 64:
        raise ValueError(f"{file.name!r} has no size or digest")
    return file


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest, whole or not at all.

    Raises:
        StoreError: it can't be written.
    """
    with open_whole(folder / MANIFEST) as stream:
        stream.write(manifest.to_bytes())


def names_in(folder: Path) -> Iterator[str]:
    """Every name in a folder and its folders but folders themselves, with `/`, links not followed.

    A link to a folder is a name. Our own two files are left out.
    """
    for place, folders, files in os.walk(folder):
        inner = Path(place).relative_to(folder)
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted((*files, *links)):
            relative = (inner / name).as_posix()
            if relative not in (MANIFEST, SIGNATURE):
                yield relative


def is_part(name: str) -> bool:
    """Whether a name in a folder is a manifest that was being written when its process was killed:
    no part of the model.
    """
    return PART.fullmatch(name) is not None


def link_fault(folder: Path, name: str) -> str:
    """What is wrong with a name that is no regular file of its own; empty for a regular file."""
    path = folder / name
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        end = Path(os.path.realpath(path))
        is_inside = end.is_relative_to(os.path.realpath(folder))
        where = "in the folder" if is_inside else "out of the folder"
        return f"a link that leads {where}, to {os.readlink(path)}"
    return "" if stat.S_ISREG(mode) else "no regular file"


def hash_files(
    folder: Path, names: Sequence[str], progress: Progress | None = None, threads: int = THREADS
) -> list[FileDigest]:
    """Hash files whole, several at once, largest first.

    Args:
        folder: the model's.
        names: in it.
        progress: takes the bytes read, from several threads, one call at a time.
        threads: at once.

    Returns:
        a digest for each name, in their order.

    Raises:
        OSError: one can't be read, or is no regular file.
    """
    lock, stop = threading.Lock(), threading.Event()

    def advance(count: int) -> None:
        if stop.is_set():
            raise InterruptedError("hashing was stopped")
        if progress is not None:
            with lock:
                progress(count)

    largest_first = sorted(names, key=lambda name: -(folder / name).lstat().st_size)
    with ThreadPoolExecutor(threads) as pool:
        jobs = {n: pool.submit(hash_file, folder / n, advance) for n in largest_first}
        try:
            return [replace(jobs[name].result(), name=name) for name in names]
        except BaseException:
            # Without this a Ctrl-C would wait until every file is read to its end.
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _block(stream: IO[bytes], path: Path) -> bytes:
    """The next bytes; an error of a broken medium names the file, as Python's own does not."""
    try:
        return stream.read(BLOCK)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def hash_file(path: Path, progress: Progress) -> FileDigest:
    """Hash one file whole. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with open_regular(path) as stream:
        while block := _block(stream, path):
            digest.update(block)
            size += len(block)
            progress(len(block))
    return FileDigest(path.name, size, digest.hexdigest())
