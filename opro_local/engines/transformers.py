"""The transformers engine: serves where there is no vLLM, on a GPU or a CPU.

For: length-sorted padded batches under a token budget, exact per-request seeds. Not for: prefix caching or speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opro_local import offline
from opro_local.engines.prompts import Renderer
from opro_local.errors import EngineError, ModelError
from opro_local.types import Completion, EngineSettings, Progress, Prompt, Request, Sampling

CPU_CONTEXT, GPU_CONTEXT = 2048, 8192


class TransformersEngine:
    """See types.Engine.

    Args:
        settings: the model and how to host it; `batch_tokens` bounds a forward batch, padding included.

    Raises:
        EngineError: transformers or accelerate is not installed.
        ModelError: the model does not load.
    """

    def __init__(self, settings: EngineSettings) -> None:
        offline.switch_off_network()
        try:
            import accelerate  # noqa: F401
            import torch
            import transformers
        except ImportError as error:
            raise EngineError(f"transformers is not usable here: {error}", "pip install 'opro-local[cpu]'") from error
        self._cuda = torch.cuda.is_available()
        self._batch_tokens = settings.batch_tokens
        self._tokenizer, self._model = _load(transformers, torch, settings, self._cuda)
        self._renderer = Renderer(self._tokenizer, settings.template_args)
        own = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        most = settings.max_model_len or (GPU_CONTEXT if self._cuda else CPU_CONTEXT)
        self.max_model_len = min(own or most, most)
        self._eos = _end_tokens(self._model, self._tokenizer)
        self.fingerprint: Mapping[str, Any] = {
            "engine": "transformers",
            "engine_version": transformers.__version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if self._cuda else "cpu",
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "max_model_len": self.max_model_len,
            "model": offline.model_digest(settings.model),
        }

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """See types.Engine."""
        ids = self._renderer.ids([request.prompt for request in requests])
        done = [Completion("", "too_long", len(tokens), 0, 0) for tokens in ids]
        finished = [i for i, r in enumerate(requests) if len(ids[i]) + r.sampling.max_tokens > self.max_model_len]
        count, written = len(finished), 0
        for batch in self._batches(requests, ids, set(finished)):
            for i, completion in zip(batch, self._answer(batch, requests, ids), strict=True):
                done[i] = completion
                written += completion.completion_tokens
            count += len(batch)
            if progress:
                progress(count, written)
        if progress and not (len(requests) and count > len(finished)):
            progress(len(requests), 0)
        return done

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """See types.Engine."""
        return [len(tokens) for tokens in self._renderer.ids(prompts)]

    def close(self) -> None:
        """Drop the model."""
        self._model = None

    def _batches(self, requests: Sequence[Request], ids: list[list[int]], skip: set[int]) -> Iterator[list[int]]:
        """Positions that go through the model together: same limits, like lengths, longest first."""

        def kind(i: int) -> tuple[Any, ...]:
            sampling = requests[i].sampling
            return (sampling.stop, sampling.max_tokens, -len(ids[i]))

        batch: list[int] = []
        for i in sorted((i for i in range(len(requests)) if i not in skip), key=kind):
            width = len(ids[batch[0]]) + requests[i].sampling.max_tokens if batch else 0
            if batch and (kind(i)[:2] != kind(batch[0])[:2] or width * (len(batch) + 1) > self._batch_tokens):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _answer(self, batch: list[int], requests: Sequence[Request], ids: list[list[int]]) -> list[Completion]:
        import torch

        samplings = [requests[i].sampling for i in batch]
        width = max(len(ids[i]) for i in batch)
        pad = self._eos[0]
        tokens = torch.tensor([[pad] * (width - len(ids[i])) + ids[i] for i in batch], device=self._model.device)
        mask = torch.tensor([[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in batch], device=self._model.device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=tokens, attention_mask=mask, do_sample=False, pad_token_id=pad, eos_token_id=self._eos,
                max_new_tokens=samplings[0].max_tokens, logits_processor=[_draw(samplings, self._model.device)],
                **({"stop_strings": list(samplings[0].stop), "tokenizer": self._tokenizer} if samplings[0].stop else {}),
            )  # fmt: skip
        written = output[:, width:].tolist()
        return [self._completion(row, s, len(ids[i])) for row, s, i in zip(written, samplings, batch, strict=True)]

    def _completion(self, row: list[int], sampling: Sampling, prompt_tokens: int) -> Completion:
        """Cut a row where it ended: at the first end token, at a stop string, or at its limit."""
        end = next((at for at, token in enumerate(row) if token in self._eos), None)
        kept = row if end is None else row[:end]
        text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        stops = [at for at in (text.find(stop) for stop in sampling.stop) if at >= 0]
        if stops:
            text = text[: min(stops)]
        ended = end is not None or bool(stops)
        return Completion(text, "stop" if ended else "length", prompt_tokens, 0, len(kept) + (end is not None))


def _load(transformers: Any, torch: Any, settings: EngineSettings, cuda: bool) -> tuple[Any, Any]:
    dtype = settings.dtype if settings.dtype != "auto" or cuda else "float32"
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(settings.model, local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            settings.model,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            device_map="auto" if cuda else "cpu",
            local_files_only=True,
            **settings.engine_args,
        )
    except (ValueError, OSError, KeyError, RuntimeError, AttributeError, ImportError) as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"transformers does not load {settings.model}: {line}") from error
    # The card's or the config's sampling decides, not what the model's authors suggest.
    model.generation_config = transformers.GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return tokenizer, model.eval()


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    ends = own if isinstance(own, list) else [own]
    return list(dict.fromkeys(token for token in (*ends, tokenizer.eos_token_id) if token is not None))


def _draw(samplings: list[Sampling], device: Any) -> Any:
    """A logits processor that makes the arg max an exact sample, by the Gumbel-max trick, with a seed for every row.

    Sampling inside `generate` would take one random stream for the whole batch, so that a reply depended on its
    neighbours. Greedy rows pass unchanged.
    """
    import torch
    from transformers import LogitsProcessor, TopPLogitsWarper

    streams = {
        row: torch.Generator(device).manual_seed(sampling.seed)
        for row, sampling in enumerate(samplings)
        if sampling.temperature > 0
    }

    class Draw(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            scores = scores.clone().float()
            for row, stream in streams.items():
                warm = scores[row : row + 1] / samplings[row].temperature
                if samplings[row].top_p < 1:
                    warm = TopPLogitsWarper(samplings[row].top_p)(input_ids, warm)
                noise = torch.empty_like(warm).exponential_(generator=stream)
                scores[row] = (warm - noise.log())[0]
            return scores

    return Draw()
