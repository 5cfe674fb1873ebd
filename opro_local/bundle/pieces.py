"""A bundle in pieces of one size, for media that hold less than the whole.

For: cutting; `verify.py --join` puts them together, which install.sh does by itself. Not for:
compression: wheels and weights hardly get smaller.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from opro_local.bundle.request import as_text
from opro_local.bundle.verify import HEAD, PIECES, SUMS, digest, entries, read_head
from opro_local.errors import UsageError

LEAST = 1 << 20  # bytes of a piece
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
SIZE = re.compile(
    r"""
    (?P<number> \d{1,6} (?:\.\d{1,3})? ) [ ]? (?P<unit> [kmgt]? ) (?P<binary> i? ) b?
    """,
    re.VERBOSE | re.IGNORECASE,
)


def size_of(text: str) -> int:
    """Bytes that a size like 4GB, 700MB or 4GiB stands for. Raises UsageError."""
    fits = SIZE.fullmatch(text.strip())
    if not fits or (fits["binary"] and not fits["unit"]):
        raise UsageError(f"--split {text!r} is no size", "say it as 4GB, 700MB or 4GiB")
    power = "kmgt".find(fits["unit"].lower()) + 1
    factor = 1024**power if fits["binary"] else UNITS[fits["unit"].lower()]
    size = int(float(fits["number"]) * factor)
    if size < LEAST:
        raise UsageError(f"--split {text} is too small", "a piece has 1 MiB at least")
    return size


def split(bundle: Path, size: int) -> Path:
    """Cut a whole bundle; returns the folder with the pieces, `<bundle>-pieces`.

    The pieces are an archive with the same bytes each time, so that a cut that was killed is made
    again and a medium that is already written stays good. It needs the bundle's size once more.

    Raises:
        UsageError: the folder holds something else.
    """
    folder = bundle.with_name(bundle.name + "-pieces")
    folder.mkdir(exist_ok=True)
    name = re.compile(rf"{re.escape(bundle.name)}\.tar\.\d{{3,}}(\.part)?")
    for entry in folder.iterdir():
        if not name.fullmatch(entry.name) and entry.name not in (PIECES, "install.sh", "verify.py"):
            raise UsageError(f"{entry}: is no piece of this bundle", "move it away")
        entry.unlink()
    cut = Cut(folder / f"{bundle.name}.tar", size)
    with tarfile.open(fileobj=cut, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for file, _ in sorted(entries(bundle)):
            _add(archive, bundle, file)
    cut.end()
    for file in ("install.sh", "verify.py"):
        shutil.copyfile(bundle / file, folder / file)
    _write_list(folder, bundle, cut.pieces)
    return folder


class Cut(io.BufferedIOBase):
    """A stream that is written to one file after another."""

    def __init__(self, base: Path, size: int) -> None:
        self.pieces: list[dict[str, Any]] = []
        self._base, self._size = base, size
        self._stream: IO[bytes] | None = None
        self._sha256, self._written = hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        """Write bytes, in this piece and the next ones."""
        rest = memoryview(data)
        while rest:
            if self._stream is None:
                self._stream = self._path().open("wb")
                self._sha256, self._written = hashlib.sha256(), 0
            chunk = rest[: self._size - self._written]
            self._stream.write(chunk)
            self._sha256.update(chunk)
            self._written += len(chunk)
            rest = rest[len(chunk) :]
            if self._written == self._size:
                self.end()
        return len(data)

    def end(self) -> None:
        """End the piece that is being written."""
        if self._stream is None:
            return
        self._stream.close()
        self._stream = None
        path = self._path()
        final = path.with_suffix("")
        os.replace(path, final)
        row = {"name": final.name, "bytes": self._written, "sha256": self._sha256.hexdigest()}
        self.pieces.append(row)

    def _path(self) -> Path:
        return self._base.with_name(f"{self._base.name}.{len(self.pieces) + 1:03}.part")


def _add(archive: tarfile.TarFile, bundle: Path, name: str) -> None:
    """Add a file without what differs from one machine to the next."""
    path = bundle / name
    member = tarfile.TarInfo(name)
    member.size = path.stat().st_size
    with path.open("rb") as stream:
        archive.addfile(member, stream)


def _write_list(folder: Path, bundle: Path, pieces: Sequence[dict[str, Any]]) -> None:
    head = read_head(bundle, HEAD)
    said = {"bundle": bundle.name, "python": head["python"], "sums": digest(bundle / SUMS)}
    (folder / PIECES).write_text(as_text({**said, "pieces": list(pieces)}), "utf-8")
