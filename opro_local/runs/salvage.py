"""Rows read out of a SQLite file's pages without SQLite, which gives up on a damaged file.

For: finding every row that lies whole on some page, wherever the tree of pages is broken; see the
file format at sqlite.org/fileformat.html. Not for: knowing whether a row is what was written: its
digest says so (recovery.py), and nothing here is believed before that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opro_local.files import read_bytes
from opro_local.runs.database import files_of

PAGE = 4096  # SQLite's default, with which all our files are made
HEADER = 100  # bytes of the file's header, on its first page
LEAF_OF_TABLE = 0x0D
LOG_HEADER, FRAME_HEADER = 32, 24
# Bytes of the integers that a record's serial types 1 to 6 stand for.
INTEGERS = (0, 1, 2, 3, 4, 6, 8)

Pages = Mapping[int, bytes]
# A row: its rowid, and its columns as they lie in the record.
Row = tuple[int, list[Any]]


def rows_of(path: Path) -> Iterator[Row]:
    """Every whole row of every table with rowids, those of deleted or older pages included.

    Raises:
        OSError: the file can't be read.
    """
    main = _pages(read_bytes(path))
    yield from _rows(main)
    log = files_of(path)[1]
    if log.exists():
        yield from _rows({**main, **_logged(read_bytes(log))})


def _pages(content: bytes) -> dict[int, bytes]:
    """The pages by their numbers, from 1; a last one that is cut is filled up with zeros."""
    starts = range(0, len(content), PAGE)
    return {n: content[at : at + PAGE].ljust(PAGE, b"\0") for n, at in enumerate(starts, 1)}


def _logged(content: bytes) -> dict[int, bytes]:
    """The newest state of each page in a write-ahead log. Checksums are left alone: rows have their
    own.
    """
    newest: dict[int, bytes] = {}
    salt = content[16:24]
    step = FRAME_HEADER + PAGE
    for start in range(LOG_HEADER, len(content) - step + 1, step):
        # Frames of an earlier round of the log lie behind those of this one.
        if content[start + 8 : start + 16] == salt:
            number = int.from_bytes(content[start : start + 4], "big")
            newest[number] = content[start + FRAME_HEADER : start + step]
    return newest


def _rows(pages: Pages) -> Iterator[Row]:
    for number, page in pages.items():
        start = HEADER if number == 1 else 0
        if page[start] != LEAF_OF_TABLE:
            continue
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        places = page[start + 8 : start + 8 + 2 * count]
        for (place,) in struct.iter_unpack(">H", places[: len(places) // 2 * 2]):
            # Any of this may be damaged, and then points anywhere.
            try:
                yield _row(page, place, pages)
            except (IndexError, ValueError, KeyError):
                continue


def _row(page: bytes, place: int, pages: Pages) -> Row:
    """The row of a cell. Raises IndexError, ValueError or KeyError where there is none."""
    size, place = _varint(page, place)
    rowid, place = _varint(page, place)
    if rowid >= 1 << 63:
        rowid -= 1 << 64
    return rowid, _columns(_payload(page, place, size, pages))


def _payload(page: bytes, place: int, size: int, pages: Pages) -> bytes:
    """A cell's payload, with what of it lies on overflow pages."""
    if size > PAGE * len(pages):
        raise ValueError("longer than the file")
    most = PAGE - 35
    if size <= most:
        return _exactly(page, place, size)
    least = (PAGE - 12) * 32 // 255 - 23
    here = least + (size - least) % (PAGE - 4)
    here = here if here <= most else least
    parts, missing = [_exactly(page, place, here)], size - here
    following = int.from_bytes(_exactly(page, place + here, 4), "big")
    while missing > 0:
        part = pages[following][4 : 4 + missing]
        following = int.from_bytes(pages[following][:4], "big")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _columns(record: bytes) -> list[Any]:
    length, place = _varint(record, 0)
    kinds = []
    while place < length:
        kind, place = _varint(record, place)
        kinds.append(kind)
    columns = []
    for kind in kinds:
        value, place = _column(record, place, kind)
        columns.append(value)
    return columns


def _column(record: bytes, place: int, kind: int) -> tuple[Any, int]:
    """A column's value, and where the next one begins."""
    if kind == 0:
        return None, place
    if kind < len(INTEGERS):
        size = INTEGERS[kind]
        return int.from_bytes(_exactly(record, place, size), "big", signed=True), place + size
    if kind == 7:
        return struct.unpack(">d", _exactly(record, place, 8))[0], place + 8
    if kind in (8, 9):
        return kind - 8, place
    if kind < 12:
        raise ValueError("no serial type")
    size = (kind - 12) // 2
    value = _exactly(record, place, size)
    return value.decode("utf-8") if kind % 2 else value, place + size


def _exactly(content: bytes, place: int, size: int) -> bytes:
    part = content[place : place + size]
    if len(part) != size:
        raise ValueError("cut")
    return part


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """SQLite's integer of one to nine bytes, and where the next one begins."""
    value = 0
    for number in range(9):
        byte = content[place + number]
        if number == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + number + 1
    raise ValueError("no integer")
