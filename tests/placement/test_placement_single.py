"""One engine for a run: another GPU where the first holds too little, and weights that vLLM makes
smaller.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from running import two_scripted
from test_apart import needs, where
from test_placement import LLAMA, LLAMA_PARAMETERS, gpu, settings, write_model

from opro_local.engines import worker
from opro_local.errors import EngineError
from opro_local.models.footprint import footprint
from opro_local.placement.choose import Placement, plan
from opro_local.placement.demand import GIB, demand
from opro_local.placement.part import HEADROOM
from opro_local.placement.plan import devices_of, plan_for, settings_by_role
from opro_local.runs.events import Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run

WEIGHTS = 2 * LLAMA_PARAMETERS


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "llama", LLAMA, LLAMA_PARAMETERS)


def on(llama: Path, gib: float, **engine_args) -> Placement:
    """The plan for one engine of an 8B model, 15.0 GiB at 16 bits, on a GPU of this size."""
    return plan_for({"scorer": settings(llama, engine_args=engine_args)}, [gpu(gib)])


@pytest.mark.parametrize("first", [gpu(48, free=2), gpu(2)])
def test_where_the_first_gpu_holds_too_little_the_freest_is_taken(first, llama):
    one = settings(llama)
    for asked, choice in (
        ({"scorer": one}, "single"),
        ({"optimizer": one, "scorer": one}, "shared"),
    ):
        found = plan_for(asked, [first, gpu(24), gpu(48)])
        assert (found.choice, where(found), found.gpu) == (choice, [(2,)], gpu(48))
        assert found.parts[0].memory == 48 * GIB - HEADROOM and found.described()["engines"][0][
            "devices"
        ] == [2]
        assert "; on GPU 2, as the first holds too little): scorer" in found.why
        assert set(devices_of(asked, found).values()) == {(2,)}


def test_a_first_gpu_that_holds_enough_stays_whatever_is_freer():
    assert plan(needs(10), [gpu(24), gpu(80)]) == plan(needs(10), [gpu(24)])


def test_ranks_and_copies_take_the_freest_that_there_are():
    (one,) = needs(20)
    there = [gpu(24, free=4), gpu(24), gpu(24, free=22), gpu(24)]
    for spread in (replace(one, gpus=2), replace(one, copies=2)):
        assert where(plan([spread], there)) == [(1, 3)]
    copies = plan([replace(one, copies=5)], there)
    assert copies.choice == "none" and "elsewhere" not in copies.why


def test_a_refusal_tells_of_all_gpus_and_how_to_choose_one():
    found = plan(needs(30), [gpu(24), gpu(16)])
    assert found.choice == "none"
    assert found.why.endswith(
        "; nor elsewhere: of GPU 0, 1 and so on 23.5 GiB, 15.5 GiB can be used"
    )
    assert "elsewhere" not in plan(needs(30), [gpu(24)]).why
    with pytest.raises(EngineError, match="or choose another GPU with CUDA_VISIBLE_DEVICES"):
        settings_by_role({}, found)


def test_a_run_starts_its_engine_on_the_gpu_of_the_plan(tmp_path, monkeypatch):
    seen, spawn = [], worker._spawn
    monkeypatch.setattr(
        worker,
        "_spawn",
        lambda settings, log, devices: seen.append(devices) or spawn(settings, log, devices),
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    found = plan([replace(needs(10)[0], roles="scorer and optimizer")], [gpu(24, free=4), gpu(24)])
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine", lambda asked, kinds, wanted: found
    )
    run(make_plan(two_scripted(tmp_path, "scorer.max_model_len=4096")), tmp_path / "run")
    assert seen == ["5"]


def test_one_engine_that_does_not_fit_by_the_numbers_is_started_all_the_same(tmp_path, monkeypatch):
    found = plan([replace(needs(30)[0], roles="scorer and optimizer")], [gpu(24)])
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine", lambda asked, kinds, wanted: found
    )
    said: list[str] = []
    config = two_scripted(tmp_path, "scorer.max_model_len=4096")
    result = run(make_plan(config), tmp_path / "run", Listener(notify=said.append))
    assert result.state == "finished"
    (notice,) = [line for line in said if line.startswith("placement: ")]
    assert notice.endswith("; it is started all the same") and "needs 32.0 GiB" in notice


def test_only_one_engine_is_started_where_nothing_fits():
    (one,) = needs(30)
    assert plan([one], [gpu(24)]).asks_engine
    for demands in (needs(30, 30), [replace(one, copies=5)], [replace(one, workers=2)]):
        refused = plan(demands, [gpu(24)] * 2)
        assert refused.choice == "none" and not refused.asks_engine
    lacking = plan([replace(one, gpus=4)], [gpu(24)] * 2)
    assert lacking.choice == "none" and not lacking.asks_engine
    assert not plan(needs(10), [gpu(24)]).asks_engine


def test_weights_in_host_memory_take_none_of_the_gpu(llama):
    assert on(llama, 10).choice == "none"
    found = on(llama, 10, cpu_offload_gb=8)
    assert (found.choice, found.parts[0].demand.weights) == ("single", WEIGHTS - 8 * GIB)
    assert on(llama, 10, cpu_offload_gb=99).parts[0].demand.weights == 0
    ranks = settings(llama, tensor_parallel=2, engine_args={"cpu_offload_gb": 4})
    assert demand(["scorer"], ranks, footprint(llama)).weights == WEIGHTS // 2 - 4 * GIB


def test_weights_quantized_to_fp8_count_eight_bits(llama):
    found = on(llama, 10, quantization="fp8")
    assert (found.choice, found.parts[0].demand.weights) == ("single", WEIGHTS // 2)
    assert on(llama, 8, quantization="fp8").choice == "none"


def test_weights_quantized_otherwise_are_left_to_vllm(llama):
    found = on(llama, 10, quantization="bitsandbytes")
    assert found.choice == "single" and found.parts[0].demand.weights == WEIGHTS
    assert (
        "15.0 GiB of weights before quantization = 'bitsandbytes' and 1.0 GiB of cache" in found.why
    )
    assert on(llama, 1, quantization="bitsandbytes").choice == "none"  # no room for one sequence
    # A split has to know what each takes.
    asked = {
        "scorer": settings(llama, engine_args={"quantization": "bitsandbytes"}),
        "optimizer": settings(llama),
    }
    assert plan_for(asked, [gpu(30)]).choice == "swap"


def test_a_folder_that_is_quantized_counts_as_it_is_stored(tmp_path):
    folder = write_model(
        tmp_path / "m", {**LLAMA, "quantization_config": {"quant_method": "fp8"}}, 1000
    )
    for given in ({}, {"quantization": "fp8"}, {"quantization": "compressed-tensors"}):
        found = demand(["scorer"], settings(folder, engine_args=given), footprint(folder))
        assert (found.weights, found.quantizing) == (2000, "")
