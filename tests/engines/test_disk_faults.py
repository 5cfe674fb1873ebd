"""A path that an engine could not use is named, whatever the library made of it."""

from __future__ import annotations

import errno

import pytest

from opro_local.engines.disk_faults import disk_fault
from opro_local.engines.loading import refusal
from opro_local.engines.worker_process import _told
from opro_local.errors import EngineError, ModelError


def refused(number: int, path: str | None = "/home/x/.cache/torch") -> OSError:
    return OSError(number, "in some words", path)


def wrapped(inner: Exception, outer: Exception, suppressed: bool = False) -> Exception:
    """An error that a library raised while or because it met another."""
    try:
        try:
            raise inner
        except Exception as error:
            if suppressed:
                raise outer from None
            raise outer from error
    except Exception as error:
        return error


FAULTS = {
    "not allowed": (refused(errno.EACCES), "/home/x/.cache/torch: can't be used: Permission"),
    "read only": (refused(errno.EROFS), "can't be used: Read-only file system; let this user"),
    "a file on the way": (refused(errno.ENOTDIR), "can't be used: Not a directory"),
    "a broken disk": (refused(errno.EIO), "can't be used: Input/output error"),
    "full": (refused(errno.ENOSPC), "can't be used: No space left on device; free space"),
    "full, and no name": (refused(errno.ENOSPC, None), "the disk is full"),
    "bytes": (OSError(errno.EACCES, "x", b"/home/x"), "/home/x: can't be used"),
    "in another error": (
        wrapped(refused(errno.EACCES), OSError("can't load the model, is it complete?")),
        "/home/x/.cache/torch: can't be used",
    ),
    "a file of the model": (
        refused(errno.EACCES, "/models/m/model.safetensors"),
        "/models/m/model.safetensors: can't be read: Permission denied; let this user read",
    ),
    "a folder beside the model": (refused(errno.EACCES, "/models/m2/x"), "can't be used"),
}
OTHERS = {
    "missing": refused(errno.ENOENT),
    "words alone": OSError("no file named model.safetensors"),
    "no number of the system's": ValueError("x"),
    "a dropped context": wrapped(refused(errno.EACCES), ValueError("x"), suppressed=True),
    "no path": refused(errno.EACCES, None),
}


@pytest.mark.parametrize("case", FAULTS)
def test_the_path_and_what_to_do_are_said(case):
    error, says = FAULTS[case]
    fault = disk_fault(error, "/models/m")
    assert fault is not None and says in str(fault)
    assert "read the model" in fault.hint or "TORCHINDUCTOR_CACHE_DIR" in fault.hint


@pytest.mark.parametrize("case", OTHERS)
def test_other_errors_are_left_to_others(case):
    assert disk_fault(OTHERS[case], "/models/m") is None


def test_a_worker_says_it_too():
    assert _told(refused(errno.EACCES))[0] == "/home/x/.cache/torch: can't be used: " + (
        "Permission denied"
    )
    assert _told(ValueError("one\ntwo")) == (
        "ValueError: one",
        "the traceback is in the engine's log",
    )


def test_a_model_is_not_called_incomplete_for_a_cache_that_can_not_be_written():
    barred = refusal(refused(errno.EROFS), "/models/m")
    assert isinstance(barred, EngineError) and "can't be used: Read-only" in str(barred)
    damaged = refusal(OSError("no file named model.safetensors"), "/models/m")
    assert isinstance(damaged, ModelError) and "the folder is complete" in str(damaged)
