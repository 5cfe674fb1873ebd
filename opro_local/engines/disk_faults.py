"""Names the file or folder that an engine could not read or write, and what to do about it.

For: errors of the operating system that come up through libraries: they keep caches of compiled
kernels and of code, and a home that can't be written or a full disk ends them. Not for: files of a
model that are damaged (loading.py).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from opro_local.errors import EngineError

FULL = (errno.ENOSPC, errno.EDQUOT)
# What says that a path is out of reach. That one is missing is no fault by itself: libraries look
# for many files that need not be there.
BARRED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EIO, errno.ELOOP)
CACHES = "HOME, HF_HOME, VLLM_CACHE_ROOT, TRITON_CACHE_DIR, TORCHINDUCTOR_CACHE_DIR or TMPDIR"


def disk_fault(error: BaseException, model: str = "") -> EngineError | None:
    """What an error says about a path, as one of ours; None where it is about none.

    Args:
        error: of a library; those that led to it are looked at, too.
        model: the model's folder, whose files are read and never written.
    """
    for one in _led_here(error):
        if not isinstance(one, OSError) or one.errno not in (*BARRED, *FULL):
            continue
        why = os.strerror(one.errno)
        if not isinstance(one.filename, (str, bytes)):
            if one.errno in FULL:
                return EngineError(f"the disk is full ({why})", f"free space, or name {CACHES}")
            continue
        path = os.fsdecode(one.filename)
        if model and Path(path).is_relative_to(model):
            return EngineError(f"{path}: can't be read: {why}", "let this user read the model")
        todo = "free space" if one.errno in FULL else "let this user write there"
        return EngineError(
            f"{path}: can't be used: {why}", f"{todo}, or name another folder in {CACHES}"
        )
    return None


def _led_here(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    one: BaseException | None = error
    while one is not None:
        yield one
        before = None if one.__suppress_context__ else one.__context__
        one = one.__cause__ or before
