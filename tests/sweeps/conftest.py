"""What tests of sweeps share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from running import write_config, write_reviews

from opro_local.engines.scripted import ScriptedEngine
from opro_local.sweeps.group import GroupWork, run_group

# Answers as scripted_model does, and notes each request in a file; what it is asked with "Break" in
# the instruction ends its process.
SCRIPT = """
import hashlib, os, sys, time
sys.path.insert(0, {tests!r})
from scripted_model import answer as plain

def answer(request):
    with open({log!r}, "a") as stream:
        stream.write(hashlib.sha256(repr(request).encode()).hexdigest() + "\\n")
    if "Break" in request.prompt.text:
        os._exit(9)
    time.sleep({seconds})
    return plain(request)
"""


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Writes a base over the reviews and a sweep's file with the rest of it."""

    def write(text: str, steps: int = 2, seconds: float = 0.0) -> Path:
        tests, log = Path(__file__).parents[1], tmp_path / "requests.log"
        script = SCRIPT.format(tests=str(tests), log=str(log), seconds=seconds)
        (tmp_path / "model.py").write_text(script, "utf-8")
        role = {"engine": "scripted", "script": "model.py:answer"}
        tables: dict[str, Mapping[str, Any]] = {
            "task": {
                "data": str(write_reviews(tmp_path / "reviews.csv")),
                "input": "text",
                "target": "label",
            },
            "scorer": role,
            "optimizer": role,
            "search": {
                "seeds": ["What is it?"],
                "steps": steps,
                "candidates": 2,
                "metaprompt": "continuation",
            },
        }
        write_config(tmp_path / "base.toml", tables)
        file = tmp_path / "s.toml"
        file.write_text('base = "base.toml"\n' + text, "utf-8")
        return file

    return write


@pytest.fixture
def requests(tmp_path: Path) -> Callable[[], list[str]]:
    """Digests of the requests that the engines of `write_sweep` were asked so far."""

    def read() -> list[str]:
        log = tmp_path / "requests.log"
        return log.read_text("utf-8").splitlines() if log.exists() else []

    return read


class Ended:
    """A group that has ended, well or with how it died."""

    def __init__(self, how: str = "") -> None:
        self.how = how

    def poll(self) -> str:
        return self.how

    def stop(self) -> None:
        """It has ended."""

    interrupt = kill = stop


class InProcess:
    """Runs groups in this process as they are started, one after another.

    Attributes:
        works: what was started.
        dies: the identities of cells that a group dies of, before it does anything.
    """

    when_stopped = "it goes on"

    def __init__(self, places: int = 1, dies: tuple[str, ...] = ()) -> None:
        self._places, self.dies = places, dies
        self.works: list[GroupWork] = []

    def rejoin(self, folder: Path) -> Sequence[tuple[GroupWork, Ended]]:
        return ()

    def places(self, gpus: Sequence[int]) -> int:
        return self._places

    def start(self, work: GroupWork) -> Ended:
        self.works.append(work)
        if any(cell.id in self.dies for cell in work.cells):
            return Ended("its process ended with signal 9")
        run_group(work)
        return Ended()


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    """The class of executions in this process, whose scripted engines have no workers either."""
    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (ScriptedEngine(settings), ""),
    )
    return InProcess
