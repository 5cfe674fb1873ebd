"""One model in several workers: how a batch is divided, put together again, and what one failing
worker does.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.engines import gpus, start
from opro_local.engines.data_parallel import DataParallelEngine, device_groups, divide_prompts
from opro_local.engines.gpus import Gpu
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError
from opro_local.types import Prompt, Request, Sampling

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


def test_prompts_that_begin_alike_stay_together():
    prompts = [Prompt(f"{word} row {i}") for i in range(10) for word in ("think", "reply")]
    parts = divide_prompts(prompts, 2)
    assert [{prompts[place].text.split()[0] for place in part} for part in parts] == [
        {"reply"},
        {"think"},
    ]


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
    monkeypatch.setattr(gpus, "gpus", lambda: ())
    assert start._devices(two) == [None, None]
