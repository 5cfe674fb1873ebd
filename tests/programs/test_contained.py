"""Work in a copy of this process: what it returns, and the end of what takes too much."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from opro_local.errors import DataError, UsageError
from opro_local.programs import contained as module
from opro_local.programs.contained import Exceeded, contained


def refused(message):
    raise DataError(message, "correct it")


def wrong():
    raise UsageError("no such setting")


def test_what_the_work_returns():
    assert contained(lambda: ["a\ud800", {"b": 1.5}, None]) == ["a\ud800", {"b": 1.5}, None]
    # More than a pipe holds.
    assert contained(lambda: "x" * 5_000_000) == "x" * 5_000_000


def test_mistakes_of_the_user_come_through():
    with pytest.raises(DataError) as caught:
        contained(lambda: refused("f.yaml:3: no YAML"))
    assert (caught.value.message, caught.value.hint) == ("f.yaml:3: no YAML", "correct it")
    with pytest.raises(UsageError, match="no such setting"):
        contained(wrong)


def forever():
    while True:
        pass


def deep(level=0):
    return [deep(level + 1)]


@pytest.mark.parametrize(
    "work, said",
    [
        (forever, "more than 1 s of processor time"),
        # Inside C, where no signal of Python's is looked at.
        (lambda: 10 ** (10**8) % 7, "more than 1 s of processor time"),
        (lambda: len("x" * 10**9), "more than 64 MiB of memory"),
        (lambda: len([0] * 10**12), "more than 64 MiB of memory"),
        (lambda: "x" * 200_000_000 + "y", "more than 64 MiB of memory"),
        (deep, "more depth than there is stack"),
    ],
)
def test_what_takes_too_much_is_ended(work, said):
    begun = time.monotonic()
    with pytest.raises(Exceeded, match=said):
        contained(work, seconds=1, memory=64 << 20)
    assert time.monotonic() - begun < 30


def test_work_that_waits_is_ended(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    begun = time.monotonic()
    with pytest.raises(Exceeded):
        contained(lambda: time.sleep(60), seconds=1)
    assert time.monotonic() - begun < 30


def test_a_bug_is_no_limit(capfd):
    with pytest.raises(RuntimeError, match="traceback is above"):
        contained(lambda: 1 / 0)
    assert "ZeroDivisionError" in capfd.readouterr().err


def children_of_this_process() -> set[str]:
    return set(Path("/proc/thread-self/children").read_text().split())


def test_nothing_is_left_behind():
    before, children = len(os.listdir("/proc/self/fd")), children_of_this_process()
    for work in (lambda: 1, lambda: [0] * 10**12):
        with contextlib.suppress(Exceeded):
            contained(work)
    assert len(os.listdir("/proc/self/fd")) == before
    # Those of other tests may be there; each of ours was waited for.
    assert children_of_this_process() <= children
