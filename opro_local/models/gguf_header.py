"""Checks a GGUF file's header before a library reads it.

For: counts, lengths and places that are absurd or lie outside the file, which would otherwise cost
memory or end in a traceback. Not for: whether the weights make sense, or reading them (gguf.py).

The format: gguf.md in the documentation of ggml-org/ggml. All numbers are little-endian.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path

from opro_local.files import open_regular

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_ENTRIES = 100_000  # of keys, and of tensors; the largest models have some thousands
MOST_ELEMENTS = 10_000_000  # of one array; the largest vocabularies have a million
LONGEST_NAME, LONGEST_TEXT = 1 << 16, 16 << 20  # bytes
MOST_DIMENSIONS = 4
MOST_ALIGNMENT = 1 << 16
U32, U64 = struct.Struct("<I"), struct.Struct("<Q")
# The bytes of a value, by its type's number.
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TEXT, ARRAY = 8, 9
UNSIGNED = 4  # the type of general.alignment
# Numbers in a block and its bytes, by the number of a tensor's type (ggml.h, enum ggml_type).
BLOCKS: Mapping[int, tuple[int, int]] = {
    **{0: (1, 4), 1: (1, 2), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8)},
    **{30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210)},
    **{15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18)},
    **{21: (256, 110), 22: (256, 82), 23: (256, 136), 29: (256, 56), 34: (256, 54)},
    **{35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18)},
}


def fault(path: Path) -> str:
    """What is wrong with a GGUF file's header; empty if nothing is. Raises OSError."""
    with open_regular(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            return "not a GGUF file"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                _Header(data).check()
            except ValueError as error:
                return str(error)
    return ""


class _Header:
    """A header, read from its beginning; what is wrong with it is a ValueError."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at, self._alignment = data, len(MAGIC), 32

    def check(self) -> None:
        """Read everything before the weights."""
        version = self._u32()
        if version not in VERSIONS:
            raise ValueError(
                f"it is of version {version}; {VERSIONS[0]} and {VERSIONS[1]} are read"
            )
        tensors, keys = self._count("tensors"), self._count("keys")
        self._distinct("key", [self._pair() for _ in range(keys)])
        infos = [self._tensor() for _ in range(tensors)]
        self._distinct("tensor", [name for name, _ in infos])
        begin = -(-self._at // self._alignment) * self._alignment
        if infos and begin + max(end for _, end in infos) > len(self._data):
            raise ValueError("a tensor ends behind the end of the file: it is cut off or damaged")

    def _distinct(self, what: str, names: list[bytes]) -> None:
        if len(set(names)) < len(names):
            raise ValueError(f"a {what} is there twice")

    def _pair(self) -> bytes:
        """A key, its value passed over."""
        key, kind = self._text(LONGEST_NAME), self._u32()
        if key == b"general.alignment" and kind == UNSIGNED:
            self._alignment = self._u32()
            if not 1 <= self._alignment <= MOST_ALIGNMENT:
                raise ValueError(f"an alignment of {self._alignment}")
        else:
            self._value(kind)
        return key

    def _value(self, kind: int, in_array: bool = False) -> None:
        """Pass over a value."""
        if kind == TEXT:
            self._text(LONGEST_TEXT)
        elif kind in SIZES:
            self._skip(SIZES[kind])
        elif kind == ARRAY and not in_array:
            self._array()
        else:
            raise ValueError(f"a value of the unknown type {kind}")

    def _array(self) -> None:
        kind, count = self._u32(), self._u64()
        if count > MOST_ELEMENTS:
            raise ValueError(f"an array of {count:,} elements")
        if kind in SIZES:
            self._skip(SIZES[kind] * count)
            return
        for _ in range(count):
            self._value(kind, in_array=True)

    def _tensor(self) -> tuple[bytes, int]:
        """A tensor's name, and where its numbers end, counted from the first tensor's beginning."""
        name, dimensions = self._text(LONGEST_NAME), self._u32()
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        numbers = math.prod(self._u64() for _ in range(dimensions))
        kind, offset = self._u32(), self._u64()
        if kind not in BLOCKS:
            raise ValueError(f"a tensor of the unknown type {kind}")
        block, size = BLOCKS[kind]
        if numbers % block or offset % self._alignment:
            raise ValueError("a tensor whose size or place does not fit its type")
        return name, offset + numbers // block * size

    def _count(self, what: str) -> int:
        count = self._u64()
        if count > MOST_ENTRIES:
            raise ValueError(f"{count:,} {what}; at most {MOST_ENTRIES:,} are read")
        return count

    def _text(self, longest: int) -> bytes:
        length = self._u64()
        if length > longest:
            raise ValueError(f"a text of {length:,} bytes")
        return self._take(length)

    def _u32(self) -> int:
        return int(U32.unpack(self._take(U32.size))[0])

    def _u64(self) -> int:
        return int(U64.unpack(self._take(U64.size))[0])

    def _take(self, size: int) -> bytes:
        begin = self._at
        self._skip(size)
        return self._data[begin : self._at]

    def _skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise ValueError("its header ends behind the end of the file: it is cut off or damaged")
        self._at += size
