"""Engines on GPUs of their own: which engine gets which, with how much memory, and what its workers
are told of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import program, two_scripted
from test_placement import (
    LLAMA,
    LLAMA_PARAMETERS,
    QWEN_7B,
    QWEN_7B_PARAMETERS,
    fake_driver,
    gpu,
    settings,
    write_model,
)

from opro_local.engines import start, worker
from opro_local.engines.gpus import Gpu
from opro_local.engines.settings import EngineSettings
from opro_local.engines.worker_environment import environment
from opro_local.placement import choose
from opro_local.placement.choose import plan
from opro_local.placement.demand import Demand
from opro_local.placement.part import HEADROOM, usable
from opro_local.placement.plan import (
    devices_of,
    plan_for,
    plan_for_this_machine,
    roles_over_machines,
    settings_by_role,
)
from opro_local.runs.events import Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run

GIB = 1 << 30


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "llama": write_model(root / "llama", LLAMA, LLAMA_PARAMETERS),
        "qwen": write_model(root / "qwen", QWEN_7B, QWEN_7B_PARAMETERS),
    }


def needs(*gib: float, **more) -> list[Demand]:
    """Engines with 1 GiB of cache for a sequence and 1 of working memory each, beside so many of
    weights.
    """
    roles = ("scorer", "optimizer", "judge")
    return [
        Demand(role, "m", int(one * GIB), GIB, GIB, 8192, **more)
        for role, one in zip(roles, gib, strict=False)
    ]


def where(found) -> list[tuple[int, ...]]:
    return [part.devices for part in found.parts]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_engines_have_a_gpu_each_where_there_are_two(count):
    found = plan(needs(10, 12), [gpu(80)] * count)
    assert (found.choice, where(found)) == ("apart", [(0,), (1,)])
    assert [part.memory for part in found.parts] == [80 * GIB - HEADROOM] * 2
    assert [part.cache for part in found.parts] == [
        80 * GIB - HEADROOM - 11 * GIB,
        80 * GIB - HEADROOM - 13 * GIB,
    ]
    assert found.why == (
        "apart, with GPUs of its own for each engine: "
        "scorer on GPU 0 (a test GPU, 80.0 GiB free) 10.0 GiB of weights and 68.5 GiB of cache, "
        "68 sequences of 8192 tokens at once; "
        "optimizer on GPU 1 (a test GPU, 80.0 GiB free) 12.0 GiB of weights and 66.5 GiB of cache, "
        "66 sequences of 8192 tokens at once"
    )


def test_three_engines_need_three_gpus():
    assert where(plan(needs(10, 10, 10), [gpu(80)] * 3)) == [(0,), (1,), (2,)]
    few = plan(needs(10, 10, 10), [gpu(80)] * 2)
    assert (few.choice, where(few)) == ("split", [()] * 3)


def test_ranks_and_copies_take_gpus_of_their_own():
    scorer, optimizer = needs(10, 10)
    ranks = [replace(scorer, gpus=2), optimizer]
    assert where(plan(ranks, [gpu(80)] * 3)) == [(0, 1), (2,)]
    assert "scorer on GPU 0, 1 (a test GPU" in plan(ranks, [gpu(80)] * 3).why
    assert plan(ranks, [gpu(80)] * 2).choice == "split"
    copies = [scorer, replace(optimizer, gpus=2, copies=2)]
    assert where(plan(copies, [gpu(80)] * 5)) == [(0,), (1, 2, 3, 4)]
    assert plan(copies, [gpu(80)] * 4).choice == "split"


def test_the_fullest_of_an_engines_own_gpus_decides_for_it_and_for_no_other():
    scorer, optimizer = needs(10, 10)
    found = plan([replace(scorer, copies=2), optimizer], [gpu(80), gpu(80, free=40), gpu(80)])
    assert [part.memory for part in found.parts] == [40 * GIB - HEADROOM, 80 * GIB - HEADROOM]
    assert [part.gpu.free for part in found.parts] == [
        40 * GIB,
        80 * GIB,
    ] and found.gpu.free == 40 * GIB
    shares = [
        found.settings_for(index, EngineSettings("m", "vllm")).gpu_memory for index in range(2)
    ]
    assert shares == [0.4937, 0.92]  # 39.5 of 80 GiB, rounded down; vLLM's own where all is free


def test_a_share_is_one_of_the_engines_own_gpu():
    scorer, optimizer = needs(20, 5)
    found = plan([scorer, optimizer], [gpu(40, free=20), gpu(80, free=30)])
    assert where(found) == [(1,), (0,)]
    shares = [
        found.settings_for(index, EngineSettings("m", "vllm")).gpu_memory for index in range(2)
    ]
    assert shares == [0.3687, 0.4875]  # 29.5 of 80 and 19.5 of 40 GiB


def test_of_unlike_gpus_the_engine_that_needs_most_gets_the_freest():
    assert where(plan(needs(30, 10), [gpu(24), gpu(80), gpu(48)])) == [(1,), (2,)]
    assert where(plan(needs(10, 30), [gpu(24), gpu(80)])) == [(0,), (1,)]
    # Also where their order would do.
    assert where(plan(needs(30, 10), [gpu(48), gpu(80)])) == [(1,), (0,)]


def test_a_gpu_that_others_use_is_passed_over():
    for free in (5, 12.4):
        assert where(plan(needs(10, 10), [gpu(80), gpu(80, free=free), gpu(80)])) == [(0,), (2,)]
    # 12.4 GiB: enough for weights and one sequence, less than the estimate with working memory. A
    # split is safer,
    busy = [gpu(80), gpu(80, free=12.4)]
    assert plan(needs(10, 10), busy).choice == "split"
    # and where there is no room for one, GPUs of their own are better than turns.
    assert where(plan(needs(10.5, 10), [gpu(12.4), gpu(12.4)])) == [(0,), (1,)]


def test_gpus_too_small_for_that_change_nothing():
    demands, there = needs(10, 10), [gpu(80), gpu(8)]
    assert plan(demands, there) == plan(demands, there[:1])
    assert plan(demands, there).choice == "split"


def test_a_refusal_tells_of_all_gpus_where_there_are_enough():
    found = plan(needs(30, 10), [gpu(24), gpu(16)])
    assert found.choice == "none" and found.parts == ()
    assert found.why.startswith(
        "no place on a test GPU: 23.5 GiB of 24.0 GiB can be used; scorer needs 32.0 GiB"
    )
    assert found.why.endswith("; nor apart: of GPU 0, 1 and so on 23.5 GiB, 15.5 GiB can be used")
    for other in (plan(needs(30, 10), [gpu(24)]), plan(needs(30, 10), [gpu(24)] * 2, "split")):
        assert other.choice == "none" and "apart" not in other.why


def test_engines_without_gpus_of_their_own_are_told_to_use_the_first_ones():
    (row,) = plan(needs(10, gpus=2, copies=2), [gpu(80)] * 4).described()["engines"]
    assert row["devices"] == [0, 1, 2, 3]
    rows = plan(needs(10, 10), [gpu(80)]).described()["engines"]
    assert [row["devices"] for row in rows] == [[0], [0]]


@pytest.mark.parametrize("wanted", ["split", "swap"])
def test_what_the_user_wants_stays(wanted):
    assert plan(needs(10, 10), [gpu(80)] * 2, wanted) == plan(needs(10, 10), [gpu(80)], wanted)
    assert plan(needs(10, 10), [gpu(80)] * 2, wanted).choice == wanted


def test_one_engine_for_all_roles_stays_as_it_is(models):
    one = settings(models["llama"])
    for asked in ({"scorer": one}, {"optimizer": one, "scorer": one}):
        found = plan_for(asked, [gpu(80)] * 4)
        assert found == plan_for(asked, [gpu(80)])
        assert set(devices_of(asked, found).values()) == {()}


def test_each_role_starts_with_the_gpus_of_its_engine_and_sizes_its_own_cache(models):
    large, other = (
        settings(models["llama"], tensor_parallel=2),
        settings(models["qwen"], max_num_seqs=16),
    )
    asked = {"optimizer": other, "scorer": large, "judge": other}
    found = plan_for(asked, [gpu(24)] * 3)
    assert [part.demand.weights for part in found.parts] == [
        LLAMA_PARAMETERS,
        2 * QWEN_7B_PARAMETERS,
    ]
    assert devices_of(asked, found) == {"scorer": (0, 1), "optimizer": (2,), "judge": (2,)}
    told = settings_by_role(asked, found)
    assert told["optimizer"] == told["judge"] == replace(other, gpu_memory=0.92)
    assert told["scorer"] == replace(large, gpu_memory=0.92)
    kept = {**asked, "scorer": replace(large, gpu_memory=0.5, kv_cache_bytes=GIB)}
    assert settings_by_role(kept, plan_for(kept, [gpu(24)] * 3))["scorer"] == kept["scorer"]


def test_data_parallel_is_counted_in_gpus(models):
    asked = {
        "optimizer": settings(models["qwen"]),
        "scorer": settings(models["llama"], data_parallel=3),
    }
    assert devices_of(asked, plan_for(asked, [gpu(80)] * 4)) == {
        "scorer": (0, 1, 2),
        "optimizer": (3,),
    }
    assert plan_for(asked, [gpu(80)] * 3).choice == "split"


NEEDS = st.tuples(st.integers(1, 60), st.integers(1, 2), st.integers(1, 2))


@given(
    st.lists(NEEDS, min_size=2, max_size=3), st.lists(st.integers(1, 80), min_size=2, max_size=6)
)
def test_engines_are_apart_wherever_any_order_lets_them(needed, free):
    demands = [
        replace(one, gpus=ranks, copies=copies)
        for one, (_, ranks, copies) in zip(needs(*(gib for gib, *_ in needed)), needed, strict=True)
    ]
    there = [gpu(80, free=one) for one in free]
    parts = choose._apart(demands, there)
    taken = [place for part in parts for place in part.devices]
    assert len(set(taken)) == len(taken) and [part.demand for part in parts] in ([], demands)
    for part in parts:
        assert len(part.devices) == part.demand.gpus * part.demand.copies
        assert (
            part.memory
            == min(usable(there[place]) for place in part.devices)
            >= part.demand.least_alone
        )
    enough = sum(one.gpus * one.copies for one in demands) <= len(there)
    orders = permutations(range(len(there))) if enough and not parts else ()
    assert not any(choose._handed_out(demands, there, order) for order in orders)


def test_workers_are_told_their_gpus_by_number_or_by_the_users_names(monkeypatch):
    one = EngineSettings("", "scripted", data_parallel=2, tensor_parallel=2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert start._devices(one, (1, 2, 3, 5)) == ["1,2", "3,5"]
    assert start._devices(replace(one, data_parallel=1), (2, 3)) == ["2,3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,GPU-ab,5,4")
    assert start._devices(replace(one, tensor_parallel=1), (1, 3)) == ["GPU-ab", "4"]
    assert start._devices(replace(one, data_parallel=1)) == [None]


def test_numbers_of_ours_are_in_the_order_they_were_counted_in(monkeypatch):
    one = EngineSettings("", "scripted")
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    told = environment(one, "1")
    assert (told["CUDA_VISIBLE_DEVICES"], told["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")
    # Also where all are left to it, or the user names some: the plan asked nvidia-smi about those.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    for devices, visible in ((None, "1,0"), ("1", "1")):
        told = environment(one, devices)
        assert (told["CUDA_VISIBLE_DEVICES"], told["CUDA_DEVICE_ORDER"]) == (visible, "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert (
        environment(one)["CUDA_DEVICE_ORDER"]
        == environment(one, "1")["CUDA_DEVICE_ORDER"]
        == "FASTEST_FIRST"
    )


def test_a_run_starts_each_engine_on_its_own_gpus_and_finds_the_same(tmp_path, monkeypatch):
    seen, spawn = [], worker._spawn

    def watched(settings, log, devices=None):
        seen.append((settings.max_model_len, devices))
        return spawn(settings, log, devices)

    monkeypatch.setattr(worker, "_spawn", watched)
    alone = run(make_plan(two_scripted(tmp_path)), tmp_path / "alone")
    assert seen == [(None, None), (4096, None)]
    seen.clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    scorer, optimizer = needs(10, 10, sleepless="of a test")
    found = plan(
        [replace(scorer, copies=2), optimizer], [Gpu("a test GPU", 80 * GIB, 80 * GIB)] * 3
    )
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine", lambda asked, kinds, wanted: found
    )
    lines: list[str] = []
    config = two_scripted(tmp_path, "scorer.data_parallel=2")
    apart = run(make_plan(config), tmp_path / "apart", Listener(notify=lines.append))
    assert seen == [(None, "4"), (None, "5"), (4096, "6")]
    assert apart["best"] == alone["best"] and apart["test"] == alone["test"]
    assert any(
        line.startswith("placement: apart, with GPUs of its own for each engine") for line in lines
    )


def test_engines_whose_settings_come_to_the_same_stay_two(tmp_path, monkeypatch):
    """A share that the user set can be what the plan gives the other; a GPU of its own must not be
    lost by that.
    """
    seen, spawn = [], worker._spawn
    monkeypatch.setattr(
        worker,
        "_spawn",
        lambda settings, log, devices: seen.append(devices) or spawn(settings, log, devices),
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = plan(needs(10, 10), [gpu(80)] * 2)
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine", lambda asked, kinds, wanted: found
    )
    config = two_scripted(tmp_path, "scorer.max_model_len=4096", "scorer.gpu_memory=0.92")
    run(make_plan(config), tmp_path / "run")
    assert seen == ["0", "1"]


def test_the_command_tells_which_gpus_each_engine_gets(models, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake_driver(tmp_path / "bin", monkeypatch, "for i in 1 2 3; do echo 'A 24, 24576, 24000'; done")
    both = ("models", "plan", "--optimizer", str(models["qwen"]), "--scorer", str(models["llama"]))
    told = program(*both, "--set", "scorer.tensor_parallel=2", "--json")
    found = json.loads(told.stdout)
    assert (told.returncode, found["choice"]) == (0, "apart")
    assert [(row["roles"], row["gpus"], row["devices"]) for row in found["engines"]] == [
        (["scorer"], 2, [0, 1]),
        (["optimizer"], 1, [2]),
    ]
    lines = program(*both, "--set", "scorer.tensor_parallel=2").stdout.splitlines()
    # After the table a line for what each engine's log would say, and the reason.
    head, scorer, optimizer, *_, why = lines
    assert [line.split()[-1] for line in (head, scorer, optimizer)] == ["GPU", "0,1", "2"]
    assert "optimizer on GPU 2 (A 24, 23.4 GiB free) 14.2 GiB of weights" in why
    turns = json.loads(program(*both, "--set", "run.placement=swap", "--json").stdout)
    assert (turns["choice"], [row["devices"] for row in turns["engines"]]) == ("swap", [[0], [0]])
    refused = program(*both, "--set", "scorer.kv_cache_bytes=20000000000", "--json")
    assert refused.returncode == 3 and [
        row["devices"] for row in json.loads(refused.stdout)["engines"]
    ] == [None, None]


@pytest.mark.parametrize(
    ("engine_args", "is_planned"),
    [
        ({"distributed_executor_backend": "ray"}, False),
        ({"nnodes": 2, "node_rank": 0, "master_addr": "10.0.0.1"}, False),
        ({"distributed_executor_backend": "mp", "nnodes": 1}, True),
        ({}, True),
    ],
)
def test_a_model_on_two_machines_is_left_to_vllm(models, monkeypatch, engine_args, is_planned):
    monkeypatch.setattr("opro_local.placement.plan.runs_on_cuda", lambda kind: True)
    monkeypatch.setattr("opro_local.placement.plan.gpus", lambda: [gpu(24)] * 8)
    # Sixteen GPUs are asked for, eight are here.
    size = {"tensor_parallel": 8, "pipeline_parallel": 2}
    asked = {"scorer": settings(models["llama"], engine_args=engine_args, **size)}
    planned = plan_for_this_machine(asked, {"scorer": "vllm"})
    assert roles_over_machines(asked) == ([] if is_planned else ["scorer"])
    assert (planned is not None) == is_planned
    assert planned is None or planned.choice == "none"


def test_a_run_on_two_machines_is_told_that_there_is_no_plan(tmp_path):
    lines: list[str] = []
    config = two_scripted(tmp_path, "scorer.engine_args={nnodes=2}")
    run(make_plan(config), tmp_path / "run", Listener(notify=lines.append))
    assert "placement: no plan, as scorer runs on several machines" in lines
