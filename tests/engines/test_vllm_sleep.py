"""What vLLM is told when it shall sleep and wake, on a stand-in; and the real thing where there is
a GPU.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from running import SMOL, real

from opro_local.engines.gpus import gpus
from opro_local.engines.settings import EngineSettings
from opro_local.engines.vllm import VllmEngine
from opro_local.engines.vllm_start import arguments
from opro_local.engines.worker import WorkerEngine
from opro_local.errors import EngineError
from opro_local.types import Prompt, Request, Sampling


class Text:
    max_position_embeddings = 4096

    def get_text_config(self):
        return self


def test_vllm_is_built_for_sleep_only_where_it_can_and_should():
    for sleep, cuda in ((0, True), (1, True), (2, True), (1, False), (0, False)):
        found = arguments(EngineSettings("m", "vllm", sleep=sleep), Text(), cuda)
        assert found.get("enable_sleep_mode", False) is bool(sleep and cuda)


class FakeCore:
    def step(self):
        """VllmEngine counts its calls."""


class FakeLlm:
    """Writes down what vLLM's LLM is told; answers as its weights are."""

    def __init__(self) -> None:
        self.told, self.answer, self.broken = [], [5, 6], ""
        self.llm_engine = FakeCore()

    def generate(self, prompts, params, use_tqdm, lora_request):
        assert [len(prompt["prompt_token_ids"]) < 16 for prompt in prompts] == [True]
        self.told.append("generate")
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(self.answer))])]

    def sleep(self, level):
        self._tell(f"sleep {level}")

    def wake_up(self, tags=None):
        self._tell(f"wake_up {tags}")

    def collective_rpc(self, method):
        self._tell(method)

    def reset_prefix_cache(self):
        self._tell("reset_prefix_cache")

    def _tell(self, what):
        self.told.append(what)
        if what == self.broken:
            raise RuntimeError("CUDA out of memory.\nTried to allocate 20 GiB")


@pytest.fixture
def vllm_engine(monkeypatch):
    """Makes a VllmEngine around a FakeLlm; vLLM itself isn't needed."""

    def made(level: int) -> tuple[VllmEngine, FakeLlm]:
        engine = VllmEngine.__new__(VllmEngine)
        engine._llm, engine._sleep_level, engine._first_probe = FakeLlm(), level, []
        engine._failure, engine._adapters = "", {}
        engine._prompts = SimpleNamespace(tokenizer=SimpleNamespace(encode=lambda text: [1, 2, 3]))
        return engine, engine._llm

    monkeypatch.setattr("opro_local.engines.vllm.sampling_params", lambda samplings: samplings)
    monkeypatch.setattr("opro_local.engines.vllm_start._vllm_errors", lambda: ())
    return made


@pytest.mark.parametrize(
    ("level", "waking"),
    [
        (1, ["wake_up None", "reset_prefix_cache"]),
        (
            2,
            ["wake_up ['weights']", "reload_weights", "wake_up ['kv_cache']", "reset_prefix_cache"],
        ),
    ],
)
def test_what_vllm_is_told_in_which_order(vllm_engine, level, waking):
    engine, llm = vllm_engine(level)
    engine.sleep()
    assert llm.told == ["generate", f"sleep {level}"]
    engine.wake()
    assert llm.told[2:] == [*waking, "generate"]
    llm.told.clear()
    engine.sleep()
    # What it said before its first sleep is what counts; it is asked once.
    assert llm.told == [f"sleep {level}"]


def test_a_vllm_that_wakes_with_other_weights_is_refused(vllm_engine):
    engine, llm = vllm_engine(2)
    engine.sleep()
    llm.answer = [0, 0]
    with pytest.raises(EngineError, match="answers differently after its sleep"):
        engine.wake()


@pytest.mark.parametrize(
    ("broken", "message"), [("sleep 1", "go to sleep"), ("wake_up None", "wake up")]
)
def test_a_vllm_without_memory_says_what_it_could_not_do(vllm_engine, broken, message):
    engine, llm = vllm_engine(1)
    llm.broken = broken
    with pytest.raises(
        EngineError, match=rf"^vLLM does not {message}: CUDA out of memory\."
    ) as caught:
        engine.sleep()
        engine.wake()
    assert "lower gpu_memory" in caught.value.hint


def test_a_vllm_that_was_not_built_for_sleep_refuses_before_it_is_told(vllm_engine):
    engine, llm = vllm_engine(0)
    with pytest.raises(EngineError, match="not started for sleep mode"):
        engine.sleep()
    assert llm.told == []


@pytest.mark.real
@pytest.mark.timeout(900)
@pytest.mark.parametrize("level", [1, 2])
def test_a_real_vllm_sleeps_frees_the_gpu_and_answers_as_before(level):
    if not gpus():
        pytest.skip("vLLM's sleep mode needs a CUDA GPU; there is none here")
    real("vllm")
    settings = EngineSettings(
        str(SMOL), "vllm", max_model_len=512, max_num_seqs=16, gpu_memory=0.3, sleep=level
    )
    worker = WorkerEngine(settings)
    try:
        asked = [Request(Prompt(f"Say the number {n} in words."), Sampling(8)) for n in range(8)]
        before, awake = worker.generate(asked), gpus()[0].free
        for _ in range(2):
            worker.sleep()
            assert gpus()[0].free - awake > gpus()[0].total // 5
            worker.wake()
            assert [one.text for one in worker.generate(asked)] == [one.text for one in before]
    finally:
        worker.close()
