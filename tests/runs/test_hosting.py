"""How a run's models share a GPU: what is asked of the plan, and engines that take turns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from running import GIB, real, two_scripted

from opro_local.engines.gpus import Gpu
from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.engines.turns import GpuTurns, TurnTakingEngine
from opro_local.engines.vllm_start import arguments
from opro_local.errors import EngineError
from opro_local.placement.choose import Demand, plan
from opro_local.placement.plan import metadata, plan_for_this_machine
from opro_local.runs import hosting
from opro_local.runs.events import Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run
from opro_local.types import Completion


class Fake:
    """An engine that says who it is and counts how many like it are alive."""

    alive: list[str]

    def __init__(self, name: str, alive: list[str]) -> None:
        self.fingerprint, self.max_model_len, self._alive = {"engine": name}, 100, alive
        alive.append(name)

    def generate(self, requests, progress=None):
        return [Completion(self.fingerprint["engine"], "stop", 1, 0, 1) for _ in requests]

    def count_tokens(self, prompts):
        return [1 for _ in prompts]

    def close(self):
        self._alive.remove(self.fingerprint["engine"])


def test_engines_that_take_turns_are_never_alive_together():
    alive, starts, turns = [], [], GpuTurns()

    def start(name):
        starts.append(name)
        return Fake(name, alive)

    a, b = (TurnTakingEngine(turns, lambda name=name: start(name)) for name in "ab")
    assert alive == ["b"]
    for engine, name in ((b, "b"), (a, "a"), (a, "a"), (b, "b")):
        assert engine.generate([None])[0].text == name and alive == [name]
    assert a.count_tokens([None]) == [1] and alive == ["a"]
    assert (b.generate([]), b.count_tokens([])) == ([], []) and alive == ["a"]
    assert starts == ["a", "b", "a", "b", "a"]
    b.close()
    assert alive == ["a"]
    a.close()
    a.close()
    assert alive == []


def test_an_engine_that_comes_back_as_another_is_refused():
    alive, names, turns = [], iter(["vllm", "other", "transformers"]), GpuTurns()
    first = TurnTakingEngine(turns, lambda: Fake(next(names), alive))
    TurnTakingEngine(turns, lambda: Fake(next(names), alive))
    with pytest.raises(EngineError, match="engine was vllm, now transformers"):
        first.generate([None])
    assert alive == []


def as_planned(wanted: str):
    """Stands for a machine with a GPU on which both models fit, or take turns without sleep mode."""
    roles = ("scorer", "optimizer")
    demands = [
        Demand(role, "none", 10 * GIB, GIB, GIB, 8192, sleepless="of a test") for role in roles
    ]
    return plan(demands, [Gpu("a test GPU", 80 * GIB, 80 * GIB)], wanted)


def test_a_run_whose_models_take_turns_finds_what_it_finds_without(tmp_path, monkeypatch):
    alive, most, starts = [], [], []
    start = start_engine

    def counted(settings, wanted, log=None, own=()):
        engine, notice = start(settings, wanted, log, own)
        close = engine.close
        alive.append(settings.max_model_len)
        most.append(len(alive))
        starts.append(settings)
        engine.close = lambda: (close(), alive.clear())
        return engine, notice

    apart = run(make_plan(two_scripted(tmp_path)), tmp_path / "apart")
    monkeypatch.setattr("opro_local.runs.run_engines.start_engine", counted)
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine",
        lambda asked, kinds, wanted: as_planned("swap"),
    )
    lines: list[str] = []
    turns = run(
        make_plan(two_scripted(tmp_path)), tmp_path / "turns", Listener(notify=lines.append)
    )
    assert turns["digest"] == apart["digest"] and turns["test"] == apart["test"]
    assert max(most) == 1 and alive == []
    # Both start once to say who they are, the scorer last; then two steps of optimizer and scorer.
    assert [one.max_model_len for one in starts] == [4096, None, 4096, None, 4096, None]
    (line,) = [line for line in lines if line.startswith("placement: ")]
    assert line.startswith(
        "placement: swap on a test GPU, 80.0 GiB free (one at a time, as asked for"
    )


def test_a_split_gives_each_worker_its_memory_and_is_told(tmp_path, monkeypatch):
    started = []
    start = start_engine

    def kept(settings, wanted, log=None, own=()):
        started.append(settings)
        return start(settings, wanted, log, own)

    monkeypatch.setattr("opro_local.runs.run_engines.start_engine", kept)
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine",
        lambda asked, kinds, wanted: as_planned("auto"),
    )
    lines: list[str] = []
    run(make_plan(two_scripted(tmp_path)), tmp_path / "run", Listener(notify=lines.append))
    assert [one.max_model_len for one in started] == [None, 4096]
    assert all(one.kv_cache_bytes > GIB and one.max_num_seqs == 256 for one in started)
    assert sum(one.gpu_memory for one in started) <= 1
    assert any(line.startswith("placement: split on a test GPU") for line in lines)


def test_a_run_that_does_not_fit_ends_before_anything_starts(tmp_path, monkeypatch):
    small = Gpu("a test GPU", 8 * GIB, 8 * GIB)
    # Two of them: one alone is started all the same.
    demands = [Demand(role, "none", 10 * GIB, GIB, GIB, 8192) for role in ("scorer", "optimizer")]
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine",
        lambda asked, kinds, wanted: plan(demands, [small]),
    )
    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine", lambda *a: pytest.fail("an engine was started")
    )
    with pytest.raises(
        EngineError, match=r"no place on a test GPU: 7\.5 GiB of 8\.0 GiB .* needs 12\.0 GiB"
    ):
        run(make_plan(two_scripted(tmp_path)), tmp_path / "run")


def test_placement_off_plans_nothing_and_a_machine_without_a_gpu_neither(tmp_path, monkeypatch):
    lines: list[str] = []
    run(make_plan(two_scripted(tmp_path)), tmp_path / "cpu", Listener(notify=lines.append))
    monkeypatch.setattr(
        "opro_local.runs.run_engines.plan_for_this_machine",
        lambda *a: pytest.fail("a plan was made"),
    )
    run(
        make_plan(two_scripted(tmp_path, "run.placement=off")),
        tmp_path / "off",
        Listener(notify=lines.append),
    )
    assert not [line for line in lines if "placement" in line]


def test_only_vllm_for_a_gpu_is_planned(monkeypatch):
    asked = {"scorer": EngineSettings(model="", kind="vllm")}
    monkeypatch.setattr("opro_local.placement.plan.gpus", lambda: (Gpu("g", 80 * GIB, 80 * GIB),))
    monkeypatch.setattr(
        "opro_local.placement.plan.resolve_kind",
        lambda wanted: "vllm" if wanted == "auto" else wanted,
    )
    monkeypatch.setattr(
        "opro_local.placement.plan.plan_for", lambda asked, there, wanted: "planned"
    )
    versions = {"vllm": "0.26.0"}
    monkeypatch.setattr(metadata, "version", lambda name: versions[name])
    assert plan_for_this_machine(asked, {"scorer": "auto"}) == "planned"
    assert plan_for_this_machine(asked, {"scorer": "transformers"}) is None
    versions["vllm"] = "0.26.0+cpu"
    assert plan_for_this_machine(asked, {"scorer": "auto"}) is None


def test_the_plan_sees_the_configs_own_share_not_the_default_one(tmp_path):
    ready = make_plan(two_scripted(tmp_path, "optimizer.gpu_memory=0.3"))
    assert (
        ready.models["scorer"].settings.gpu_memory,
        ready.models["optimizer"].settings.gpu_memory,
    ) == (0.45, 0.3)
    asked = hosting.asked_of(ready.models)
    assert (asked["scorer"].gpu_memory, asked["optimizer"].gpu_memory) == (None, 0.3)


def test_parallel_sizes_reach_vllm():
    class Text:
        max_position_embeddings = 4096

        def get_text_config(self):
            return self

    settings = EngineSettings(model="m", kind="vllm", tensor_parallel=2, pipeline_parallel=3)
    found = arguments(settings, Text(), cuda=True)
    assert (found["tensor_parallel_size"], found["pipeline_parallel_size"]) == (2, 3)
    assert replace(settings, kind="scripted").pipeline_parallel == 3


@pytest.mark.parametrize("cuda", [True, False])
def test_of_a_model_that_reads_images_vllm_loads_the_language_model_alone(cuda):
    class Text:
        max_position_embeddings = 4096

        def get_text_config(self):
            return self

    class Both:
        text_config = Text()

        def get_text_config(self):
            return self.text_config

    settings = EngineSettings(model="m", kind="vllm")
    found = arguments(settings, Both(), cuda)
    assert found["language_model_only"] is True and found["max_model_len"] in (2048, 4096)
    assert "language_model_only" not in arguments(settings, Text(), cuda)
    own = replace(settings, engine_args={"language_model_only": False})
    assert arguments(own, Both(), cuda)["language_model_only"] is False


def test_pipeline_parallel_reaches_the_host(tmp_path):
    ready = make_plan(two_scripted(tmp_path, "scorer.pipeline_parallel=2"))
    assert ready.models["scorer"].settings.pipeline_parallel == 2


def test_a_vllm_that_failed_refuses_instead_of_waiting_for_what_it_left_behind():
    real("vllm")
    from types import SimpleNamespace

    from opro_local.engines.vllm import VllmEngine
    from opro_local.engines.vllm_progress import ProgressBar
    from opro_local.types import Sampling

    calls = []

    def fail(*args, **options):
        calls.append(args)
        raise AssertionError("a fault in its scheduler")

    engine = VllmEngine.__new__(VllmEngine)
    engine._llm = SimpleNamespace(llm_engine=SimpleNamespace(step=lambda: None), generate=fail)
    engine._failure, engine._adapters = "", {}
    for _ in range(2):
        with pytest.raises(
            EngineError, match="vLLM failed: AssertionError: a fault in its scheduler"
        ):
            engine._run([[1]], [Sampling(1)], ProgressBar(None, 0), "")
    assert len(calls) == 1


def test_no_prompt_is_read_in_two_parts_on_a_cpu():
    class Text:
        max_position_embeddings = 8192

        def get_text_config(self):
            return self

    found = arguments(EngineSettings("m", "vllm", max_model_len=6000), Text(), cuda=False)
    assert found["enable_chunked_prefill"] is False and found["max_num_batched_tokens"] == 6000
    assert "enable_chunked_prefill" not in arguments(EngineSettings("m", "vllm"), Text(), cuda=True)
