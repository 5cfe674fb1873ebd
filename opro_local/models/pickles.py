"""Pickles found by what a file holds, whatever its name is, and what they would call.

For: refusing a pickle that is named as something else, and one that calls more than tensors need.
Nothing is unpickled: the opcodes are read (pickletools) and the stack is followed in names only.
Not for: which weights a folder is loaded from (trust.py).

picklescan has a list of calls that are known to be bad. Here is a list of those that weights need,
and everything else is refused; so no package is needed, and no list has to be kept up.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from opro_local.files import open_regular

MOST = 64 << 20  # bytes of one pickle that are looked at; the names of a large model's tensors
MOST_MEMBERS = 100_000  # of an archive
INSIDE = 3  # archives in archives that are opened
UNKNOWN = "a name that it makes up"
# What weights call that torch wrote. torch.storage._load_from_bytes is none of them: it unpickles
# what it is given.
OF_TENSORS = frozenset(
    {
        "collections.OrderedDict",
        "_codecs.encode",
        "torch.Size",
        "torch.Tensor",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch._tensor._rebuild_from_type_v2",
        *(
            f"torch._utils._rebuild_{kind}"
            for kind in ("tensor", "tensor_v2", "tensor_v3", "parameter", "qtensor")
        ),
        *(
            f"torch.{kind}Storage"
            for kind in (
                *("Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16"),
                *("Float", "Double", "Untyped", "Typed"),
            )
        ),
        "torch.storage.UntypedStorage",
        "torch.storage.TypedStorage",
        *(f"torch.{kind}" for kind in ("float16", "bfloat16", "float32", "float64", "int8")),
        *(f"torch.{kind}" for kind in ("int16", "int32", "int64", "uint8", "bool")),
    }
)
# What opens a compressed file, by how that begins.
PACKED: Mapping[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
ZIPPED, NUMPY = b"PK", b"\x93NUMPY"
# What the readers of archives raise of one that is damaged, or none.
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error),
    *(EOFError, OSError, ValueError, LookupError, NotImplementedError, RuntimeError),
    OverflowError,
)
# What pickletools raises of bytes that are no pickle, and what `_take` does.
UNREADABLE = (ValueError, LookupError, EOFError, OverflowError, struct.error)
_MARK = object()
_CALLS = ("REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "BUILD")


@dataclass(frozen=True, slots=True)
class Pickle:
    """A pickle in a file.

    Attributes:
        where: the file's member it is; "" for the file itself.
        names: what it would import, as "module.name", in its order.
    """

    where: str
    names: tuple[str, ...]

    @property
    def foreign(self) -> tuple[str, ...]:
        """Of its names those that no tensor needs."""
        return tuple(name for name in self.names if name not in OF_TENSORS)


def find_pickle(file: Path) -> Pickle | None:
    """The first pickle that a file is or holds, preferring one that calls what no tensor needs;
    None where there is none.

    Raises:
        OSError: the file can't be read.
    """
    first: Pickle | None = None
    with open_regular(file) as stream:
        for one in _pickles(stream, "", INSIDE):
            first = first or one
            if one.foreign:
                return one
    return first


def _pickles(stream: IO[bytes], where: str, depth: int) -> Iterator[Pickle]:
    """The pickles in a stream that can seek."""
    head = stream.read(512)
    stream.seek(0)
    if head.startswith(ZIPPED) and depth:
        yield from _in_zip(stream, where, depth)
        return
    if head[257:262] == b"ustar" and depth:
        yield from _in_tar(stream, where, depth)
        return
    if head.startswith(NUMPY) and b"'|O'" in head:
        yield Pickle(where, (UNKNOWN,))
        return
    for magic, opened in PACKED.items():
        if head.startswith(magic) and depth:
            yield from _in_packed(opened(stream), where, depth)
            return
    names = _names_called(stream)
    if names is not None:
        yield Pickle(where, names)


def _in_zip(stream: IO[bytes], where: str, depth: int) -> Iterator[Pickle]:
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist()[:MOST_MEMBERS]:
                with archive.open(member) as packed:
                    inner = io.BytesIO(packed.read(MOST))
                yield from _pickles(inner, f"{where}{member.filename}", depth - 1)
    except DAMAGED:
        return  # torch's own reader refuses it as well


def _in_tar(stream: IO[bytes], where: str, depth: int) -> Iterator[Pickle]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                packed = archive.extractfile(member)
                if packed is not None:
                    inner = io.BytesIO(packed.read(MOST))
                    yield from _pickles(inner, f"{where}{member.name}", depth - 1)
    except DAMAGED:
        return


def _in_packed(stream: IO[bytes], where: str, depth: int) -> Iterator[Pickle]:
    try:
        inner = io.BytesIO(stream.read(MOST))
    except DAMAGED:
        return
    yield from _pickles(inner, where, depth - 1)


def _names_called(stream: IO[bytes]) -> tuple[str, ...] | None:
    """What a stream would import if it were unpickled; None where it is no pickle.

    torch wrote several pickles one after the other, so each end is followed by a further try.
    """
    further = _names_of_one(stream)
    if further is None:
        return None
    names: dict[str, None] = {}
    while further is not None:
        names |= dict.fromkeys(further)
        further = _names_of_one(stream)
    return tuple(names)


def _names_of_one(stream: IO[bytes]) -> tuple[str, ...] | None:
    """The same of one pickle, up to its end.

    It is one if its opcodes can be read to their end, or to a call: a pickle whose end is damaged
    has run by then. Opcodes that take more from the stack than lies there are some other text.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    names: list[str] = []
    is_marked, has_called = False, False
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            # Text without this mark that happens to end with a dot is no pickle for that.
            is_marked = is_marked or opcode.name == "PROTO"
            taken = _take(stack, opcode.stack_before)
            name = _imported(opcode.name, argument, taken)
            if name:
                names.append(name)
            _put(stack, memo, opcode, argument, taken)
            has_called = has_called or (opcode.name in _CALLS and bool(names))
    except UNREADABLE:
        return tuple(names) if has_called else None
    return tuple(names) if names or is_marked else None


def _take(stack: list[Any], before: list[Any]) -> list[Any]:
    """Take from the stack what an opcode takes. Raises IndexError where it is not there."""
    if pickletools.markobject in before:
        taken: list[Any] = []
        while (one := stack.pop()) is not _MARK:
            taken.append(one)
        fixed = before.index(pickletools.markobject)
        return [*(stack.pop() for _ in range(fixed)), *taken]
    return [stack.pop() for _ in before][::-1]


def _imported(opcode: str, argument: Any, taken: list[Any]) -> str:
    """The name that an opcode imports; "" where it imports none."""
    if opcode in ("GLOBAL", "INST"):
        module, _, name = str(argument).partition(" ")
        return f"{module}.{name}"
    if opcode == "STACK_GLOBAL":
        module, name = taken
        both = isinstance(module, str) and isinstance(name, str)
        return f"{module}.{name}" if both else UNKNOWN
    return UNKNOWN if opcode.startswith("EXT") else ""


def _put(
    stack: list[Any], memo: dict[Any, Any], opcode: Any, argument: Any, taken: list[Any]
) -> None:
    """Put on the stack what an opcode leaves: texts as they are, all else as None."""
    name = opcode.name
    if name == "MARK":
        stack.append(_MARK)
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[argument] = taken[-1] if taken else stack[-1]
        stack += taken
    elif name == "MEMOIZE":
        memo[len(memo)] = taken[-1]
        stack += taken
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo.get(argument))
    elif name == "DUP":
        stack += [taken[-1], taken[-1]]
    else:
        text = argument if isinstance(argument, str) and "GLOBAL" not in name else None
        stack += [text] * len(opcode.stack_after)
