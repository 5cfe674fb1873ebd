"""A file of a user as text: its encoding, and where it is no text.

For: one way to open every CSV, TSV, JSON and YAML file, with errors that name the line. Not for:
what the text says (csv_file.py, json_file.py).
"""

from __future__ import annotations

import codecs
import stat
from contextlib import suppress
from pathlib import Path

from opro_local.errors import DataError, UsageError
from opro_local.files import read_bytes

GIB = 1 << 30
# Of one file or split, as text in memory. A thousand rows of a whole context each are 0.03 GiB.
MOST_BYTES = GIB
UTF8 = "utf-8-sig"  # with or without a byte order mark
# How files begin that are no text, or no data, whatever their names say: what they are, and what to
# do.
EXPORT = "open it in the spreadsheet program and save it as CSV (UTF-8)"
UNPACK = "unpack it and give the file in it"
FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive, as Excel files (.xlsx) are", f"{EXPORT}, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)", EXPORT),
    (b"\x1f\x8b", "compressed (gzip)", UNPACK),
    (b"\xfd7zXZ", "compressed (xz)", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", UNPACK),
    (b"PAR1\x15", "Parquet", "rename it to .parquet"),
    (b"ARROW1\0", "an Arrow file", "write it as Parquet or CSV"),
    (b"%PDF-", "a PDF", "give a table"),
    (b"\x80\x04\x95", "a pickle, which is never loaded", "write the rows with to_csv or to_json"),
    (b"SQLite format 3\0", "an SQLite database", "write the rows as CSV"),
    (b"<!doctype html", "a web page", "the download went wrong: get the file itself"),
    (b"<html", "a web page", "the download went wrong: get the file itself"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file", "run git lfs pull"),
)
ENCODING_HINT = "save the file as UTF-8, or set task.encoding (cp1252, utf-16, ...)"


def bytes_of(path: Path) -> bytes:
    """The bytes of a file. Raises DataError: it can't be read, or is no regular file."""
    try:
        return read_bytes(path)
    except OSError as error:
        raise DataError(
            f"{path}: {(error.strerror or str(error)).lower()}", "check the path"
        ) from None


def read_text(path: Path, encoding: str | None = None) -> str:
    """The file as text, without its byte order mark.

    Args:
        path: the file.
        encoding: a text encoding that Python knows; None is UTF-8.

    Raises:
        DataError: it can't be read, is not in the encoding (the byte and the line are named), holds
            NULs or is empty.
        UsageError: there is no such encoding.
    """
    codec = _codec(encoding)
    check_size(path)
    data = bytes_of(path)
    check_kind(path, data[:64])
    if encoding is None and (wide := _utf_16(data)):
        raise DataError(
            f"{path}:1: the file is UTF-16", f"save it as UTF-8, or set task.encoding to {wide}"
        )
    if encoding is None and (at := data.find(b"\0")) >= 0:
        raise _nul(path, _line(data, at))
    text = _decoded(path, data, codec)
    if (at := text.find("\0")) >= 0:
        raise _nul(path, text.count("\n", 0, at) + 1)
    if not text.strip():
        raise DataError(f"{path}: the file is empty", "give a file with rows")
    return text


def check_kind(path: Path, start: bytes) -> None:
    """Refuse a file that is of another kind than its name says, by the bytes it starts with.

    Raises:
        DataError: says what it is and what to do.
    """
    lowered = start.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for beginning, what, hint in FOREIGN:
        if start.startswith(beginning) or (
            beginning[:1] in b"<v" and lowered.startswith(beginning)
        ):
            raise DataError(f"{path}: the file is {what}", hint)


def _utf_16(data: bytes) -> str:
    """The encoding of a file that begins with the mark of UTF-16, or has a NUL in every other byte
    at first; "" for other files.
    """
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    first, second = data[0:64:2], data[1:64:2]
    if len(second) < 2:
        return ""
    if all(first) and not any(second):
        return "utf-16-le"
    return "utf-16-be" if all(second) and not any(first) else ""


def check_size(path: Path, most: int = MOST_BYTES) -> None:
    """Refuse a file that is too large to be read into memory, before it is read.

    Raises:
        DataError: says the size and the limit.
    """
    try:
        there = path.stat()
    except OSError:
        return  # reading it says why
    if not stat.S_ISREG(there.st_mode) and not stat.S_ISDIR(there.st_mode):
        raise DataError(f"{path}: no file but a device, pipe or socket", "give a file with rows")
    if there.st_size > most:
        raise too_large(str(path), there.st_size, most)


def too_large(where: str, size: int, most: int = MOST_BYTES) -> DataError:
    """The error about rows that take too many bytes, in a file or once they are unpacked."""
    what = f"{where}: {size / GIB:,.1f} GiB of rows, at most {most / GIB:g} GiB are read"
    return DataError(what, "give the rows that are needed; a search uses some hundreds")


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return UTF8
    try:
        name = codecs.lookup(encoding).name
        # "rot13" and "base64" are codecs, too, but of no text in bytes.
        with suppress(UnicodeDecodeError):
            b"x".decode(encoding)
    except (LookupError, ValueError):
        hint = "for example utf-8, cp1252, latin-1, utf-16, shift_jis, gb18030"
        raise UsageError(f"task.encoding: there is no text encoding {encoding!r}", hint) from None
    return UTF8 if name == "utf-8" else name


def _decoded(path: Path, data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        byte, line = error.object[error.start], _line(error.object, error.start)
        name = codec.removesuffix("-sig").upper()
        raise DataError(
            f"{path}:{line}: the byte 0x{byte:02x} is not {name}", ENCODING_HINT
        ) from None


def _nul(path: Path, line: int) -> DataError:
    return DataError(
        f"{path}:{line}: a NUL byte", "the file is damaged or no text; save it as UTF-8"
    )


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1
