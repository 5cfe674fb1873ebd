"""One model in several workers: how a batch is divided, put together again, and what one failing
worker does.
"""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.engines import gpus, start, worker
from opro_local.engines.data_parallel import DataParallelEngine, device_groups, divide_prompts
from opro_local.engines.gpus import Gpu
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError
from opro_local.types import Prompt, Request, Sampling

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from simulate_scoring import Engine

SCRIPT = """
import os, time

def echo(request):
    return f"{os.getpid()} {request.prompt.text}"

def picky(request):
    if request.prompt.text.startswith("a"):
        os.abort()
    time.sleep(60)
"""


def settings(tmp_path, function="echo", **changes):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    return EngineSettings(model="", kind="scripted", script=f"{script}:{function}", **changes)


def ask(*texts):
    return [Request(Prompt(text), Sampling(8)) for text in texts]


@given(st.lists(st.text(max_size=20), max_size=40), st.integers(1, 6))
def test_every_prompt_is_in_one_part_and_parts_are_alike(texts, count):
    prompts = [Prompt(text) for text in texts]
    parts = divide_prompts(prompts, count)
    assert sorted(place for part in parts for place in part) == list(range(len(texts)))
    assert len(parts) <= count and all(parts)
    sizes = [sum(len(texts[place]) + 2 for place in part) for part in parts]
    assert (
        not sizes or max(sizes) - min(sizes) <= 2 * (max(map(len, texts)) + 2) or len(parts) < count
    )


def test_prompts_that_begin_alike_stay_together_in_pieces():
    prompts = [Prompt(f"{word} row {i:03}") for i in range(256) for word in ("think", "reply")]
    parts = divide_prompts(prompts, 2)
    for part in parts:
        texts = [prompts[place].text for place in part]
        assert texts == sorted(texts)
        # Half of each group, in pieces of 16 prompts that follow each other.
        assert sum(text.startswith("think") for text in texts) == 128
        numbers = [int(text[-3:]) for text in texts]
        breaks = sum(later != number + 1 for number, later in itertools.pairwise(numbers))
        assert breaks == 256 // 16 - 1


def test_answers_come_back_in_order_from_two_processes(tmp_path):
    told = []
    engine, notice = start.start_engine(
        settings(tmp_path, data_parallel=2), "scripted", tmp_path / "scorer.log"
    )
    try:
        assert isinstance(engine, DataParallelEngine) and not notice
        texts = [f"text {i}" for i in range(20)]
        done = engine.generate(ask(*texts), lambda finished, tokens: told.append(finished))
        assert [completion.text.partition(" ")[2] for completion in done] == texts
        assert len({completion.text.partition(" ")[0] for completion in done}) == 2
        assert told[-1] == 20 and told == sorted(told)
        assert engine.generate([]) == [] and len(engine.generate(ask("one"))) == 1
        assert engine.count_tokens([Prompt("two words")]) == [2]
        assert {path.name for path in tmp_path.glob("*.log")} == {"scorer.log", "scorer-2.log"}
    finally:
        engine.close()
        engine.close()


def test_a_worker_that_dies_ends_the_others_at_once(tmp_path):
    engine, _ = start.start_engine(settings(tmp_path, "picky", data_parallel=2), "scripted")
    began = time.monotonic()
    with pytest.raises(EngineError, match="killed by signal 6"):
        engine.generate(ask("a first one", "b another"))
    assert time.monotonic() - began < 20
    engine.close()


def test_each_worker_has_gpus_of_its_own(monkeypatch, tmp_path):
    assert device_groups(["0", "1", "2", "3"], 2, 2) == ["0,1", "2,3"]
    card = Gpu("a card", 1 << 34, 1 << 34)
    monkeypatch.setattr(gpus, "gpus", lambda: (card,) * 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    two = settings(tmp_path, data_parallel=2, tensor_parallel=2)
    assert start._devices(two) == ["4,5", "6,7"]
    with pytest.raises(EngineError, match="needs 8, there are 4") as caught:
        start._devices(replace(two, data_parallel=4))
    assert caught.value.hint == "data_parallel = 2"
    # Without nvidia-smi the names are all there is to know; parts of a GPU have names, too.
    monkeypatch.setattr(gpus, "gpus", lambda: ())
    assert start._devices(two) == ["4,5", "6,7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-41b3, MIG-8f07")
    assert start._devices(replace(two, tensor_parallel=1)) == ["MIG-41b3", "MIG-8f07"]
    assert start._devices(replace(two, tensor_parallel=1, data_parallel=1)) == [None]
    # Too few names are refused where there are GPUs, and mean nothing where there are none.
    assert start._devices(two) == [None, None]
    monkeypatch.setattr(start, "hosts_on_gpu", lambda kind: True)
    with pytest.raises(EngineError, match="needs 4, there are 2"):
        start._devices(two)
    for nothing in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert start._devices(two) == [None, None]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert start._devices(two) == [None, None]


class FakeWorker:
    """Records when it is started, waited for, and ended."""

    fingerprint: ClassVar[dict[str, str]] = {"engine": "scripted"}
    max_model_len = 10
    events: ClassVar[list[str]] = []
    devices: ClassVar[list[str | None]] = []
    failing = ""

    def __init__(self, settings, log, devices, wait=True):
        self.name = log.name
        self.devices.append(devices)
        self.events.append(f"start {self.name} {settings.kind}{' and wait' * wait}")

    def wait_until_ready(self):
        self.events.append(f"ready {self.name}")
        if self.name == self.failing:
            raise EngineError("it does not load")

    def kill(self):
        self.events.append(f"kill {self.name}")

    def close(self):
        pass


@pytest.fixture
def fake_workers(monkeypatch):
    monkeypatch.setattr(worker, "WorkerEngine", FakeWorker)
    monkeypatch.setattr(FakeWorker, "events", [])
    monkeypatch.setattr(FakeWorker, "devices", [])
    return FakeWorker


def test_the_first_worker_starts_alone_and_the_others_at_once(tmp_path, fake_workers):
    settings_of_four = settings(tmp_path, data_parallel=4)
    start.start_engine(settings_of_four, "scripted", tmp_path / "s.log")
    assert fake_workers.events == [
        "start s.log scripted and wait",
        *(f"start s-{number}.log scripted" for number in (2, 3, 4)),
        *(f"ready s-{number}.log" for number in (2, 3, 4)),
    ]


def test_workers_of_one_gpu_start_one_after_the_other(tmp_path, fake_workers, monkeypatch):
    monkeypatch.setattr(gpus, "gpus", lambda: (Gpu("a card", 1 << 34, 1 << 34),) * 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    four = settings(tmp_path, data_parallel=2, gpu_workers=2)
    assert start._devices(four) == ["0", "1"]
    start.start_engine(four, "scripted", tmp_path / "s.log")
    assert fake_workers.events == [
        "start s.log scripted and wait",
        "start s-2.log scripted",
        "ready s-2.log",
        *(f"start s-{number}.log scripted" for number in (3, 4)),
        *(f"ready s-{number}.log" for number in (3, 4)),
    ]
    assert fake_workers.devices == ["0", "1", "0", "1"]


def test_one_that_does_not_load_ends_all(tmp_path, fake_workers, monkeypatch):
    monkeypatch.setattr(fake_workers, "failing", "s-2.log")
    with pytest.raises(EngineError, match="it does not load"):
        start.start_engine(settings(tmp_path, data_parallel=3), "scripted", tmp_path / "s.log")
    assert fake_workers.events[-3:] == ["kill s.log", "kill s-2.log", "kill s-3.log"]


WORKED, LOOP = 150, 1024


def seconds_of(part, lengths, running=400):
    """What a worker takes for its part: 7 ms a pass and 45 us a running request (simulated)."""
    engine = Engine(running)
    engine.call([lengths[place] for place in part])
    return engine.seconds


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("first", ["instruction", "question"])
@pytest.mark.parametrize("replies", ["alike", "one solution long", "some questions long"])
def test_the_slowest_worker_is_hardly_slower_than_the_mean(workers, first, replies):
    """8 solutions of 261 rows, of which 1 % loop. Consecutive prompts: 1.0 to 1.2."""
    rng = np.random.default_rng(1)
    words = [
        f"{name} " * 20 for name in ("think", "reply", "work", "solve", "say", "do", "be", "go")
    ]
    pairs = [(solution, row) for solution in range(8) for row in range(261)]
    prompts, lengths = [], []
    for solution, row in pairs:
        question = f"{row} apples and {row * 7 % 31} pears " * (1 + row % 3)
        parts = (
            (words[solution], question) if first == "instruction" else (question, words[solution])
        )
        prompts.append(Prompt(" ".join(parts)))
        long = {"one solution long": solution == 3, "some questions long": row < 60}
        mean = 4 * WORKED if long.get(replies) else WORKED
        lengths.append(LOOP if rng.random() < 0.01 else min(LOOP, int(rng.exponential(mean)) + 5))
    seconds = [seconds_of(part, lengths) for part in divide_prompts(prompts, workers)]
    assert len(seconds) == workers
    assert max(seconds) / np.mean(seconds) <= 1.1
