"""vLLM's own OpenAI server, on loopback, as a server inside the site."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from opro_local.engines.openai_server import OpenAIEngine
from opro_local.engines.settings import EngineSettings
from opro_local.engines.worker import WorkerEngine
from opro_local.engines.worker_environment import environment
from opro_local.errors import EngineError, ModelError
from opro_local.models.offline import EMBEDDED, find_model
from opro_local.types import Constraint, Prompt, Request, Sampling

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900)]
TURNS = (("What is the colour of grass?", "green"), ("What is the colour of snow?", "white"))


@pytest.fixture(scope="module")
def folder() -> Path:
    if find_spec("vllm") is None:
        pytest.skip("vllm is not installed")
    try:
        return find_model(EMBEDDED)
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """base_url of a `vllm serve` of the embedded model."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = [str(folder), "--served-model-name", "small", "--max-model-len", "512"]
    limits = ["--max-num-seqs", "16", "--kv-cache-memory-bytes", str(256 << 20)]
    cpu = ["--dtype", "float32", "--enforce-eager", "--block-size", "32"]
    module = "vllm.entrypoints.openai.api_server"
    command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [*command, "--model", *model, *limits, *cpu],
            stdout=stream,
            stderr=stream,
            env={**os.environ, **environment(EngineSettings(str(folder), "vllm"))},
        )
    url, end = f"http://127.0.0.1:{port}/v1", time.monotonic() + 600
    while True:
        try:
            OpenAIEngine(EngineSettings("", "openai", base_url=url))
            break
        except EngineError:
            assert child.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(2)
    yield url
    child.terminate()
    child.wait(60)


def test_it_answers_as_the_engine_does_that_hosts_the_model_itself(server, folder):
    """The same greedy words, the same counts: the server makes the same prompts of our parts."""
    prompts = [
        Prompt("What is the colour of coal?", turns=TURNS),
        Prompt("What is the colour of coal?", "Answer in one word.", turns=TURNS),
        Prompt("Name a colour.", prefill="The colour is"),
        Prompt("The capital of France is", chat=False),
    ]
    requests = [Request(prompt, Sampling(8)) for prompt in prompts]
    held = Request(prompts[0], Sampling(8, constraint=Constraint("choice", ("red", "black"))))
    long = Request(Prompt("word " * 600), Sampling(8))
    asked = OpenAIEngine(EngineSettings("", "openai", base_url=server))
    counts, answers = asked.count_tokens(prompts), asked.generate([*requests, held, long])
    own = WorkerEngine(EngineSettings(str(folder), "vllm", max_model_len=512, max_num_seqs=16))
    try:
        expected = own.generate(requests)
    finally:
        own.close()
    assert [one.text for one in answers[:4]] == [one.text for one in expected]
    assert counts == [one.prompt_tokens for one in expected]
    assert [one.prompt_tokens for one in answers[:4]] == counts
    assert answers[4].text in ("red", "black") and answers[5].finish_reason == "too_long"
    assert asked.max_model_len == 512 and asked.fingerprint["engine_version"].startswith("0.")
