"""The engines under contract: each started once for the whole session of tests."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from echo_script import reply
from openai_stand_in import serving

from opro_local.engines.kinds import engine_class
from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.engines.worker import WorkerEngine
from opro_local.protocols import Engine

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent.parent / "models" / "weights" / "smollm2-135m-instruct"
# Runs host their models in workers. Without one, and in several, real models are asked by the long
# tests only.
ENGINES = [
    "scripted-direct",
    "scripted-worker",
    "scripted-sharded",
    "openai-direct",
    "openai-worker",
    pytest.param("transformers-direct", marks=pytest.mark.long),
    pytest.param("transformers-worker", marks=pytest.mark.real),
    pytest.param("transformers-sharded", marks=pytest.mark.long),
    pytest.param("vllm-direct", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    pytest.param("vllm-worker", marks=[pytest.mark.real, pytest.mark.timeout(600)]),
]


def settings_for(kind: str) -> EngineSettings:
    script = f"{HERE / 'echo_script.py'}:reply"
    return EngineSettings(
        model=str(WEIGHTS), kind=kind, max_model_len=512, script=script, max_num_seqs=16
    )


def require(kind: str) -> None:
    if kind in ("scripted", "openai"):
        return
    if not (WEIGHTS / "config.json").is_file():
        pytest.skip(f"no weights in {WEIGHTS}: run scripts/demo.sh")
    for module in ("torch", "transformers", *(["vllm"] if kind == "vllm" else [])):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    kind, _, where = request.param.partition("-")
    require(kind)
    settings = settings_for(kind)
    if kind == "openai":
        with serving(reply) as (base_url, _):
            settings = replace(settings, model="", base_url=base_url)
            started = WorkerEngine(settings) if where == "worker" else engine_class(kind)(settings)
            yield started
            started.close()
        return
    if where == "sharded":
        started = start_engine(replace(settings, data_parallel=2), kind)[0]
    else:
        started = WorkerEngine(settings) if where == "worker" else engine_class(kind)(settings)
    yield started
    started.close()
    started.close()
