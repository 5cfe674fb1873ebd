"""Replies that only repeat themselves: which requests end them, what vLLM is told, and that it
counts as truncated.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.engines import vllm, vllm_params
from opro_local.engines.wire import pack, unpack
from opro_local.runs.cache import Shelf
from opro_local.runs.driver import request_digest
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.types import Batch, Constraint, Prompt, Request, Sampling, Solution

LONG = Sampling(1024, ends_loops=True)


def request(sampling: Sampling) -> Request:
    return Request(Prompt("How many?"), sampling)


def test_what_is_off_leaves_no_trace_in_digests_and_keys():
    shelf = Shelf(None, b"engine")
    plain = replace(LONG, ends_loops=False)
    assert plain == Sampling(1024)
    digests = [request_digest(Batch("1/train", "scorer", [request(one)])) for one in (plain, LONG)]
    assert digests[0] != digests[1]
    # As it was before there was the setting.
    assert digests[0].hex()[:16] == "42eb848867b80887"
    assert shelf._key(request(plain)) != shelf._key(request(LONG))
    assert shelf._key(request(plain)).hex()[:16] == "99169b15760d44f8"


def test_it_reaches_the_worker():
    constrained = replace(LONG, constraint=Constraint("choice", ("a", "b")), ends_loops=False)
    requests = [request(LONG), request(constrained), request(Sampling(5))]
    assert unpack(pack(requests)) == requests


def test_a_loop_counts_as_truncated():
    assert vllm.REASONS["repetition"] == "length"
    output = SimpleNamespace(
        outputs=[SimpleNamespace(text="so so", finish_reason="repetition", token_ids=[1, 1])],
        num_cached_tokens=0,
        prompt_token_ids=[1],
    )
    assert vllm._completion(output).finish_reason == "length"


class Params:
    """Stands for vLLM's SamplingParams."""

    skip_clone = False

    def __init__(self, **given):
        self.given = given


class OldParams:
    def __init__(self, **given):
        self.given = given


@pytest.fixture
def fake_vllm(monkeypatch):
    def install(params, **more):
        monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=params))
        of_params = SimpleNamespace(StructuredOutputsParams=lambda **given: given, **more)
        monkeypatch.setitem(sys.modules, "vllm.sampling_params", of_params)

    return install


def test_vllm_copies_little_and_looks_for_patterns_of_one_range(fake_vllm):
    fake_vllm(Params, RepetitionDetectionParams=lambda *given: given)
    sampled = Sampling(64, 1.0, seed=3)
    limited = Sampling(8, constraint=Constraint("choice", ("a", "b")))
    built = list(vllm_params.sampling_params([LONG, LONG, sampled, limited]))
    assert built[0] is built[1] and built[0].skip_clone and built[2].skip_clone
    # A grammar's state is the request's own.
    assert built[3].skip_clone is False
    assert built[0].given["repetition_detection"] == (47, 24, 4)
    assert "repetition_detection" not in built[2].given


def test_an_older_vllm_is_asked_without(fake_vllm):
    fake_vllm(OldParams)
    (built,) = vllm_params.sampling_params([LONG])
    assert "repetition_detection" not in built.given and not hasattr(built, "skip_clone")


def loops(tokens: list[int]) -> bool:
    """vLLM's own rule (v1/core/sched/utils.py) with our numbers."""
    least, most = vllm_params.LOOP_TOKENS
    count = vllm_params.LOOP_COUNT
    for size in range(least, most + 1):
        last = tokens[-size * count :]
        if len(last) == size * count and last == last[:size] * count:
            return True
    return False


@pytest.mark.parametrize("period", range(1, 48))
def test_every_loop_of_up_to_47_tokens_ends_within_188_of_its_own(period):
    pattern = [1000 + i for i in range(period)]
    before = list(range(100))
    ends = next(n for n in range(1, 400) if loops(before + [pattern[i % period] for i in range(n)]))
    assert 4 * vllm_params.LOOP_TOKENS[0] <= ends <= 4 * vllm_params.LOOP_TOKENS[1]


@pytest.mark.parametrize(
    "tokens",
    [
        list(range(500)),
        [7] * 95,  # a line of dashes
        [i % 10 + 1000 * (i // 10 % 7) for i in range(400)],  # a table: like rows, other values
        [1, 2, 3] * 31,
    ],
)
def test_lines_lists_and_tables_are_no_loops(tokens):
    assert not any(loops(tokens[:n]) for n in range(1, len(tokens) + 1))


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        ({"max_tokens": 1024}, True),
        ({"max_tokens": 256}, True),
        ({"max_tokens": 255}, False),
        ({}, False),  # labels: 32 tokens
        ({"max_tokens": 1024, "end_loops": False}, False),
        ({"max_tokens": 1024, "constrain": "labels"}, False),
    ],
)
def test_long_free_answers_are_asked_for_so(scorer, expected, reviews):
    model = {"engine": "scripted", "model": "scripted", "script": SCRIPT, **scorer}
    task = {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"}
    problem = prompt_plan(reading.build({"task": task, "scorer": model})).problem
    asked = problem.requests(Solution("Good?"), "train", problem.rows["train"])
    assert {request.sampling.ends_loops for request in asked} == {expected}


def test_older_runs_go_on_without():
    config = reading.build({"scorer": {"model": "m"}})
    assert config.scorer.end_loops
    assert not reading.as_begun(config, {"scorer": {"model": "m"}}).scorer.end_loops
    assert reading.as_begun(config, {"scorer": {"end_loops": True}}).scorer.end_loops
