"""Which schedule "auto" comes to, by what the machine runs at once; and that a run keeps it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from opro_local.config import reading
from opro_local.engines.gpus import Gpu
from opro_local.runs import concurrency
from opro_local.runs.continued import as_begun
from opro_local.search import racing
from opro_local.search.schedules.choice import choose_schedule
from opro_local.search.schedules.race import Race
from opro_local.search.state import SearchState
from opro_local.search.trajectory import Trajectory

sys.path.insert(0, str(Path(__file__).parents[1] / "placement"))
from test_placement import LLAMA, LLAMA_PARAMETERS, QWEN_HALF, write_model

GIB = 1 << 30
H100, A100 = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, 80 * GIB), Gpu("A100", 80 * GIB, 80 * GIB)
SMALL = Gpu("NVIDIA RTX 4090", 24 * GIB, 23 * GIB)


def config(*overrides: str, candidates: int = 8):
    return reading.build(
        {"search": {"candidates": candidates}, "scorer": {"model": "m", "engine": "vllm"}},
        list(overrides),
    )


@pytest.mark.parametrize(
    ("overrides", "rows", "answer_tokens", "schedule", "words"),
    [
        ((), 50, 1024, "halve", "not known"),
        (("evaluation.running=400",), 75, 1024, "full", "600 pairs are hardly more than the 400"),
        (("evaluation.running=400",), 76, 1024, "halve", "608 pairs are more than 1.5 times"),
        (("evaluation.running=400",), 75, 255, "halve", "answers are short (255 tokens at most)"),
        (("evaluation.running=400",), 75, 256, "full", "8 candidates x 75 rows"),
        (("evaluation.running=1024",), 261, 1024, "halve", "2,088 pairs"),
        (("evaluation.running=4096",), 261, 1024, "full", "2,088 pairs"),
        # What a config names stays, and the paper's mode scores all rows.
        (("evaluation.running=4096", 'evaluation.mode="halve"'), 10, 1024, "halve", "names it"),
        (("evaluation.running=1", 'evaluation.mode="full"'), 1000, 5, "full", "names it"),
        (("evaluation.running=1", 'search.mode="opro"'), 1000, 5, "full", "the paper's"),
    ],
)
def test_the_schedule_follows_from_pairs_requests_and_answers(
    overrides, rows, answer_tokens, schedule, words
):
    choice = choose_schedule(config(*overrides), rows, answer_tokens)
    assert choice.schedule == schedule
    assert words in choice.reason


@pytest.mark.parametrize(
    ("running", "block", "prompts"), [(0, 256, 256), (1024, 256, 1024), (64, 256, 256)]
)
def test_no_block_of_a_race_leaves_the_engine_half_empty(running, block, prompts):
    settings = config(f"evaluation.running={running}", f"evaluation.block={block}")
    state = SearchState(None, settings, Trajectory())
    rows = Race().next_rows(state, alive=5, done=100, total=2000)
    assert rows == racing.block(5, 1900, prompts) == -(-prompts // 5)


@pytest.fixture
def on_gpu(monkeypatch, tmp_path):
    """A machine with these GPUs, and the config of a model on it."""

    def make(gpus, shape, parameters, *overrides):
        monkeypatch.setattr(concurrency, "runs_on_cuda", lambda kind: True)
        monkeypatch.setattr(concurrency, "gpus", lambda: tuple(gpus))
        folder = write_model(tmp_path / f"m{parameters}", shape, parameters)
        one = {"model": str(folder), "engine": "vllm"}
        return reading.build({"scorer": one, "optimizer": one}, list(overrides))

    monkeypatch.setattr("opro_local.runs.hosting.try_chat_templates", lambda *_: None)
    return make


@pytest.mark.parametrize(
    ("gpus", "shape", "parameters", "overrides", "running"),
    [
        # vLLM takes 0.92 of 80 GiB: less 14.96 of weights and 2.43 of working memory it is 56.2, in
        # 128 MiB a request.
        ([H100], LLAMA, LLAMA_PARAMETERS, (), 449),
        # A small model is held back by vLLM's own limit, which is lower on an A100.
        ([H100], QWEN_HALF, 494_032_768, (), 1024),
        ([A100], QWEN_HALF, 494_032_768, (), 256),
        ([SMALL], QWEN_HALF, 494_032_768, (), 256),
        ([SMALL], QWEN_HALF, 494_032_768, ("scorer.max_num_seqs=32",), 32),
        ([SMALL] * 4, QWEN_HALF, 494_032_768, ("scorer.data_parallel=4",), 1024),
        # No plan: nothing is known, and whoever starts the engine says why.
        ([SMALL], LLAMA, 40 * LLAMA_PARAMETERS, (), 0),
        ([], QWEN_HALF, 494_032_768, (), 0),
    ],
)
def test_requests_at_once_are_what_the_plan_leaves(
    on_gpu, gpus, shape, parameters, overrides, running
):
    found = concurrency.requests_at_once(on_gpu(gpus, shape, parameters, *overrides))
    assert found == running


def test_a_new_run_keeps_the_number_and_an_older_one_its_own(on_gpu, tmp_path):
    asked = on_gpu([SMALL], QWEN_HALF, 494_032_768)
    begun = as_begun(asked, tmp_path / "new")
    assert (asked.evaluation.running, begun.evaluation.running) == (0, 256)
    # In lockstep many runs share what the engine can.
    assert as_begun(asked, tmp_path / "new", alone=False) == asked
    # On another machine, and in a run begun before there was the setting.
    stored = {"evaluation": {"running": 1024}}
    assert reading.as_begun(asked, stored).evaluation.running == 1024
    assert reading.as_begun(asked, {"evaluation": {}}).evaluation.running == 0
    # Set by the user, or of no use.
    set_ = on_gpu([SMALL], QWEN_HALF, 494_032_769, "evaluation.running=0")
    assert as_begun(set_, tmp_path / "new").evaluation.running == 0
    full = on_gpu([SMALL], QWEN_HALF, 494_032_770, 'evaluation.mode="full"')
    assert as_begun(full, tmp_path / "new").evaluation.running == 0


def test_equal_numbers_are_the_same_run(on_gpu):
    begun = config("evaluation.running=256").model_dump(mode="json")
    assert reading.changes(begun, config("evaluation.running=256").model_dump(mode="json")) == []
    older = {
        **begun,
        "evaluation": {k: v for k, v in begun["evaluation"].items() if k != "running"},
    }
    assert reading.changes(older, config().model_dump(mode="json")) == []
    assert reading.changes(older, begun) == ["evaluation.running was 0, now 256"]


def test_a_candidate_more_or_less_is_counted():
    one = config("evaluation.running=400", candidates=6)
    assert choose_schedule(one, 100, 1024).schedule == "full"
    assert replace(choose_schedule(one, 101, 1024), reason="").schedule == "halve"
