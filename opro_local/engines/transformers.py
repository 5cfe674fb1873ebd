"""Runs a model with transformers' own `generate`: the engine for machines where vLLM is not
installed.

For: correct, reproducible batches on CPU or GPU. Not for: speed; vLLM is the engine for that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opro_local.engines.constraints import Grammars, refusal
from opro_local.engines.tokenizer import PromptTokenizer, explain_template_errors
from opro_local.errors import EngineError, ModelError
from opro_local.models import offline
from opro_local.types import Completion, Constraint, EngineSettings, Progress, Prompt, Request

# A reply's text depends on the tokens before it only through their last few (see
# PromptTokenizer.decode).
CONTEXT = 4
SLACK = 4


class TransformersEngine:
    """A causal language model in this process.

    Greedy and sampled requests share batches: each sampled row adds Gumbel noise from a generator
    of its own, so a seeded reply does not depend on what else is in the batch (up to rounding). So
    do requests with different
    constraints: each constrained row follows a grammar of its own.

    Raises:
        EngineError: torch or transformers is missing, or memory ran out.
        ModelError: the folder does not load.
    """

    def __init__(self, settings: EngineSettings) -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise EngineError(
                f"transformers can't be imported: {error}", "pip install 'opro-local[cpu]'"
            ) from error
        if settings.adapters:
            raise EngineError(
                "the transformers engine knows no LoRA adapters",
                "use the vllm engine, or merge them",
            )
        self._settings = settings
        self._model = _load(settings)
        config = self._model.config
        self._prompts = PromptTokenizer.load(settings.model, config, settings.template_args)
        self._eos = _end_ids(self._model, self._prompts.tokenizer)
        # The model's own sampling settings (temperature, repetition penalty) would leak into every
        # call.
        self._model.generation_config = transformers.GenerationConfig()
        self._grammars = Grammars(
            self._prompts.tokenizer, config.get_text_config().vocab_size, self._eos
        )
        limit = getattr(config.get_text_config(), "max_position_embeddings", None) or 8192
        self.max_model_len = min(
            limit, settings.max_model_len or (8192 if torch.cuda.is_available() else 2048)
        )
        self.fingerprint = {
            "engine": "transformers",
            "engine_version": transformers.__version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "model": offline.model_digest(settings.model),
        }

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        import torch

        grammars = self._grammars.compiled(request.sampling.constraint for request in requests)
        ids = self._encode([request.prompt for request in requests])
        completions: list[Completion | None] = [None] * len(requests)
        room = self.max_model_len
        for i, request in enumerate(requests):
            if len(ids[i]) + request.sampling.max_tokens > room:
                completions[i] = Completion("", "too_long", len(ids[i]), 0, 0)
        open_rows = [i for i, completion in enumerate(completions) if completion is None]
        finished, tokens = len(requests) - len(open_rows), 0
        for rows in _batches(open_rows, requests, ids, self._settings.batch_tokens):
            batch, before = [requests[i] for i in rows], (finished, tokens, progress)
            try:
                done = self._run(batch, [ids[i] for i in rows], grammars, before)
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    "the GPU ran out of memory", "lower batch_tokens or max_tokens"
                ) from error
            for i, completion in zip(rows, done, strict=True):
                completions[i] = completion
            finished, tokens = finished + len(rows), tokens + sum(c.completion_tokens for c in done)
            if progress:
                progress(finished, tokens)
        if progress and requests and not open_rows:
            progress(finished, tokens)
        return completions  # every row is answered: too long above, or in one of the batches

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each takes, chat template included."""
        return [len(ids) for ids in self._encode(prompts)]

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        self._model = None

    def _encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        return explain_template_errors(lambda: self._prompts.encode(prompts), self._settings.model)

    def _run(
        self, requests: list[Request], ids: list[list[int]], grammars: Mapping, before: tuple
    ) -> list[Completion]:
        """One padded forward batch; all requests share stop strings and max_tokens."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        width = max(map(len, ids))
        pad = self._eos[0] if self._eos else 0
        device = self._model.device
        tokens = torch.tensor([[pad] * (width - len(row)) + row for row in ids], device=device)
        mask = torch.tensor(
            [[0] * (width - len(row)) + [1] * len(row) for row in ids], device=device
        )
        sampling = requests[0].sampling
        ends = _Ends(self._prompts, ids, sampling.stop, self._eos, before)
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=self._eos or None,
            pad_token_id=pad,
        )
        # A reply is drawn from what its grammar allows, so the masks come before the noise.
        masks = [_Masks(requests, grammars, self._grammars.vocabulary, ends)] if grammars else []
        with torch.inference_mode():
            out = self._model.generate(
                tokens,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([*masks, _Noise(requests, device)]),
                stopping_criteria=StoppingCriteriaList([ends]),
            )
        return ends.completions(out[:, width:].tolist())


class _Masks:
    """Holds each constrained row to its grammar: a token the grammar does not allow next can't be
    drawn.
    """

    def __init__(
        self, requests: Sequence[Request], grammars: Mapping, vocabulary: int, ends: _Ends
    ) -> None:
        import xgrammar

        self._constraints: dict[int, Constraint] = {
            row: request.sampling.constraint
            for row, request in enumerate(requests)
            if request.sampling.constraint
        }
        self._matchers = {
            row: xgrammar.GrammarMatcher(grammars[limit])
            for row, limit in self._constraints.items()
        }
        self._masks = xgrammar.allocate_token_bitmask(len(requests), vocabulary)
        self._apply = xgrammar.apply_token_bitmask_inplace
        self._ends = ends
        self._begun = False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._begun:
            self._advance(input_ids[:, -1].tolist())
        self._begun = True
        for row, matcher in self._matchers.items():
            matcher.fill_next_token_bitmask(self._masks, row)
            if not self._masks[row].any():
                raise refusal(
                    self._constraints[row],
                    "a reply reached a dead end",
                    "let every beginning have an end",
                )
        if self._matchers:
            self._apply(scores, self._masks.to(scores.device), indices=list(self._matchers))
        return scores

    def _advance(self, tokens: list[int]) -> None:
        """Take in each row's last token; rows that have ended get padding from here on, which no
        grammar knows.
        """
        for row, matcher in list(self._matchers.items()):
            if not matcher.accept_token(tokens[row]):
                raise EngineError(
                    f"token {tokens[row]} breaks the constraint it was drawn under",
                    "report this fault",
                )
            if self._ends.stopped(row) or matcher.is_terminated():
                del self._matchers[row]


class _Noise:
    """Exact sampling by the Gumbel-max trick: the largest of logits plus Gumbel noise is a draw
    from their softmax.
    """

    def __init__(self, requests: Sequence[Request], device: Any) -> None:
        import torch

        self._rows = []
        for row, request in enumerate(requests):
            sampling = request.sampling
            if sampling.temperature > 0:
                generator = torch.Generator(device).manual_seed((sampling.seed or 0) % (1 << 63))
                self._rows.append((row, sampling.temperature, sampling.top_p, generator))

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        if not self._rows:
            return scores
        scores = scores.float()
        for row, temperature, top_p, generator in self._rows:
            logits = _nucleus(scores[row] / temperature, top_p)
            noise = torch.empty_like(logits).exponential_(generator=generator)
            scores[row] = logits - noise.log()
        return scores


def _nucleus(logits: Any, top_p: float) -> Any:
    """The logits with everything outside the smallest set of probability top_p at minus infinity."""
    if top_p >= 1.0:
        return logits
    ordered, order = logits.sort(descending=True)
    probability = ordered.softmax(-1)
    outside = probability.cumsum(-1) - probability >= top_p
    return logits.scatter(0, order, ordered.masked_fill(outside, float("-inf")))


class _Ends:
    """Notices where each row ends, as transformers decodes step by step.

    transformers' own stop strings also match across the prompt's end; here, as in vLLM, only the
    reply counts.
    """

    def __init__(
        self, prompts: PromptTokenizer, ids: list, stop: tuple, eos: list, before: tuple
    ) -> None:
        self._prompts, self._ids, self._stop, self._eos = prompts, ids, stop, set(eos)
        self._finished, self._tokens, self._progress = before
        self._width = max(map(len, ids))
        self._window = max((len(s.encode("utf-8", "replace")) for s in stop), default=0) + SLACK
        self._stopped: dict[int, int] = {}
        self._told = time.monotonic()

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        length = input_ids.shape[1] - self._width
        self._tell(length)
        if self._stop:
            tails = input_ids[:, max(self._width, input_ids.shape[1] - self._window) :].tolist()
            for row, text in enumerate(self._prompts.decode([[]] * len(tails), tails)):
                if row not in self._stopped and any(stop in text for stop in self._stop):
                    self._stopped[row] = length
        done = [row in self._stopped for row in range(len(self._ids))]
        return torch.tensor(done, device=input_ids.device)

    def stopped(self, row: int) -> bool:
        """Whether a stop string has ended the row."""
        return row in self._stopped

    def _tell(self, length: int) -> None:
        if self._progress and time.monotonic() - self._told > 0.2:
            self._told = time.monotonic()
            self._progress(self._finished, self._tokens + length * len(self._ids))

    def completions(self, replies: list[list[int]]) -> list[Completion]:
        """The replies as completions: what follows a row's end is padding, not reply."""
        ended = [self._end(row, reply) for row, reply in enumerate(replies)]
        kept = [reply[:length] for reply, (length, _) in zip(replies, ended, strict=True)]
        words = [[token for token in reply if token not in self._eos] for reply in kept]
        texts = self._prompts.decode([ids[-CONTEXT:] for ids in self._ids], words)
        return [
            Completion(self._cut(text), "stop" if stopped else "length", len(ids), 0, length)
            for text, ids, (length, stopped) in zip(texts, self._ids, ended, strict=True)
        ]

    def _end(self, row: int, reply: list[int]) -> tuple[int, bool]:
        """Tokens of the row's reply, its end token included, and whether it ended by itself."""
        eos = next((i + 1 for i, token in enumerate(reply) if token in self._eos), len(reply) + 1)
        end = min(eos, self._stopped.get(row, len(reply) + 1))
        return (end, True) if end <= len(reply) else (len(reply), False)

    def _cut(self, text: str) -> str:
        places = [text.find(stop) for stop in self._stop if stop in text]
        return text[: min(places)] if places else text


def _batches(
    rows: list[int], requests: Sequence[Request], ids: list[list[int]], limit: int
) -> Iterator[list[int]]:
    """Rows that can share a forward batch: equal stop strings and max_tokens, longest first, padded
    size in limit.
    """

    def key(row: int) -> tuple:
        sampling = requests[row].sampling
        return sampling.stop, sampling.max_tokens, -len(ids[row])

    batch: list[int] = []
    for row in sorted(rows, key=key):
        # The first row of a batch is its longest, so it sets the padded width.
        if batch:
            width = len(ids[batch[0]]) + requests[row].sampling.max_tokens
            if key(row)[:2] != key(batch[0])[:2] or (len(batch) + 1) * width > limit:
                yield batch
                batch = []
        batch.append(row)
    if batch:
        yield batch


def _load(settings: EngineSettings) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    cuda = torch.cuda.is_available()
    dtype = settings.dtype if cuda or settings.dtype != "auto" else "float32"
    placed = {"device_map": "auto"} if cuda else {}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            settings.model, dtype=dtype, local_files_only=True, **placed, **settings.engine_args
        )
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "the model does not fit the GPU", "use a smaller model or dtype"
        ) from error
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelError(
            f"{settings.model} does not load: {error}", "check that the folder is complete"
        ) from error
    return model.eval()


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every id that ends a reply: the generation config's (chat models often have two), the
    tokenizer's otherwise.
    """
    ids = model.generation_config.eos_token_id
    ids = [] if ids is None else ids if isinstance(ids, list) else [ids]
    return list(
        dict.fromkeys([*ids, tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else ids)
    )
