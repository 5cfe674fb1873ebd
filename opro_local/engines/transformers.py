"""Runs a model with transformers' own `generate`: the engine for machines where vLLM is not
installed.

For: correct, reproducible batches on CPU or GPU. Not for: speed; vLLM is the engine for that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.engines import trusted
from opro_local.engines.constraints import Grammars, refusal
from opro_local.engines.label_reads import label_trees, too_long
from opro_local.engines.loading import load
from opro_local.engines.settings import EngineSettings
from opro_local.engines.tokenizer import PromptTokenizer, explain_template_errors
from opro_local.engines.transformers_labels import LabelReader
from opro_local.errors import EngineError
from opro_local.models import offline
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Constraint, FinishReason, Prompt, Request

# A reply's text depends on the tokens before it only through their last few (see
# PromptTokenizer.decode).
CONTEXT = 4
# A stop string is looked for in the last tokens: one per byte is the most it can take, and some
# more for what stands around it.
SLACK = 4
REPORT_SECONDS = 0.2

# Where a call stands when a batch begins: finished requests, output tokens, and what to tell.
Before = tuple[int, int, Progress | None]


class TransformersEngine(Engine):
    """A causal language model in this process.

    Greedy and sampled requests share batches: each sampled row adds Gumbel noise from a generator
    of its own, so a seeded reply does not depend on what else is in the batch (up to rounding). So
    do requests with different constraints: each constrained row follows a grammar of its own.

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
        self._model = load(settings)
        config = self._model.config
        self._prompts = PromptTokenizer.load(settings.model, config, settings)
        self._eos = _end_ids(self._model, self._prompts.tokenizer)
        # The model's own sampling settings (temperature, repetition penalty) would leak into every
        # call.
        self._model.generation_config = transformers.GenerationConfig()
        self._grammars = Grammars(
            self._prompts.tokenizer, config.get_text_config().vocab_size, self._eos
        )
        cuda = torch.cuda.is_available()
        limit = getattr(config.get_text_config(), "max_position_embeddings", None) or 8192
        default = (8192 if cuda else 2048) + settings.thinking_tokens
        self.max_model_len = min(limit, settings.max_model_len or default)
        self.fingerprint = {
            "engine": "transformers",
            "engine_version": transformers.__version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "model": offline.model_digest(Path(settings.model)),
            **trusted.marks(settings),
            **({"chat": self._prompts.way} if self._prompts.way else {}),
        }

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        import torch

        grammars = self._grammars.compiled(request.sampling.constraint for request in requests)
        ids = self._encode([request.prompt for request in requests])
        done = self._read_labels(requests, progress)
        for i, request in enumerate(requests):
            if i not in done and len(ids[i]) + request.sampling.max_tokens > self.max_model_len:
                done[i] = Completion("", "too_long", len(ids[i]), 0, 0)
        fitting = [i for i in range(len(requests)) if i not in done]
        tokens = 0
        for rows in _batches(fitting, requests, ids, self._settings.batch_tokens):
            batch, before = [requests[i] for i in rows], (len(done), tokens, progress)
            try:
                completions = self._run(batch, [ids[i] for i in rows], grammars, before)
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    "the GPU ran out of memory", "lower batch_tokens or max_tokens"
                ) from error
            done.update(zip(rows, completions, strict=True))
            tokens += sum(completion.completion_tokens for completion in completions)
            if progress:
                progress(len(done), tokens)
        if progress and requests and not fitting:
            progress(len(done), tokens)
        return [done[i] for i in range(len(requests))]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each takes, chat template included."""
        return [len(ids) for ids in self._encode(prompts)]

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        self._model = None

    def _read_labels(
        self, requests: Sequence[Request], progress: Progress | None
    ) -> dict[int, Completion]:
        """Of the requests that have labels how probable these are, by place."""
        import torch

        places = [i for i, request in enumerate(requests) if request.sampling.labels]
        with explain_template_errors(self._settings.model):
            trees = label_trees(self._prompts, [requests[i] for i in places])
        done = too_long(places, trees, self.max_model_len)
        rest = [(i, tree) for i, tree in zip(places, trees, strict=True) if i not in done]
        reader = LabelReader(self._model, self._settings.batch_tokens)

        def report(count: int) -> None:
            if progress:
                progress(len(places) - len(rest) + count, 0)

        try:
            readings = reader.read([tree for _, tree in rest], report)
        except torch.OutOfMemoryError as error:
            raise EngineError("the GPU ran out of memory", "lower batch_tokens") from error
        done.update(
            (i, tree.completion(read)) for (i, tree), read in zip(rest, readings, strict=True)
        )
        return done

    def _encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        with explain_template_errors(self._settings.model):
            return self._prompts.encode(prompts)

    def _run(
        self,
        requests: list[Request],
        ids: list[list[int]],
        grammars: Mapping[Constraint, Any],
        before: Before,
    ) -> list[Completion]:
        """One padded forward batch; all requests share stop strings and max_tokens."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        width = max(map(len, ids))
        pad = self._eos[0] if self._eos else 0
        device = self._model.device
        # Padded on the left, so that all replies begin in the same column; what the mask leaves out
        # is not looked at. Both of shape (requests, width).
        padding = [width - len(row) for row in ids]
        padded = [[pad] * left + row for left, row in zip(padding, ids, strict=True)]
        seen = [[0] * left + [1] * (width - left) for left in padding]
        tokens = torch.tensor(padded, device=device)
        mask = torch.tensor(seen, device=device)
        sampling = requests[0].sampling
        ends = _EndDetector(self._prompts, ids, sampling.stop, self._eos, before)
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=self._eos or None,
            pad_token_id=pad,
        )
        # A reply is drawn from what its grammar allows, so the masks come before the noise.
        processors = LogitsProcessorList([_GumbelNoise(requests, device)])
        if grammars:
            masks = _GrammarMasks(requests, grammars, self._grammars.vocabulary, ends)
            processors.insert(0, masks)
        with torch.inference_mode():
            out = self._model.generate(
                tokens,
                attention_mask=mask,
                generation_config=config,
                logits_processor=processors,
                stopping_criteria=StoppingCriteriaList([ends]),
            )
        return ends.completions(out[:, width:].tolist())


class _GrammarMasks:
    """Holds each constrained row to its grammar: a token the grammar does not allow next can't be
    drawn.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        grammars: Mapping[Constraint, Any],
        vocabulary: int,
        ends: _EndDetector,
    ) -> None:
        import xgrammar

        self._constraints: dict[int, Constraint] = {}
        self._matchers: dict[int, Any] = {}
        for row, request in enumerate(requests):
            constraint = request.sampling.constraint
            if constraint:
                self._constraints[row] = constraint
                self._matchers[row] = xgrammar.GrammarMatcher(grammars[constraint])
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


class _GumbelNoise:
    """Exact sampling by the Gumbel-max trick: the largest of logits plus Gumbel noise is a draw
    from their softmax.
    """

    def __init__(self, requests: Sequence[Request], device: Any) -> None:
        import torch

        self._rows: list[tuple[int, float, float, Any]] = []
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
            # -log of an exponential draw is a Gumbel draw.
            noise = torch.empty_like(logits).exponential_(generator=generator)
            scores[row] = logits - noise.log()
        return scores


def _nucleus(logits: Any, top_p: float) -> Any:
    """The logits, with minus infinity outside the smallest set of tokens of probability top_p."""
    if top_p >= 1.0:
        return logits
    ordered, order = logits.sort(descending=True)
    probability = ordered.softmax(-1)
    # A token is outside if those before it have the probability already; the first never is.
    outside = probability.cumsum(-1) - probability >= top_p
    return logits.scatter(0, order, ordered.masked_fill(outside, float("-inf")))


class _EndDetector:
    """Notices where each row ends, as transformers decodes step by step.

    transformers' own stop strings also match across the prompt's end; here, as in vLLM, only the
    reply counts.
    """

    def __init__(
        self,
        prompts: PromptTokenizer,
        ids: list[list[int]],
        stop: tuple[str, ...],
        eos: list[int],
        before: Before,
    ) -> None:
        self._prompts, self._ids, self._stop, self._eos = prompts, ids, stop, set(eos)
        self._finished, self._tokens, self._progress = before
        self._width = max(map(len, ids))
        self._window = max((len(s.encode("utf-8", "replace")) for s in stop), default=0) + SLACK
        self._stopped: dict[int, int] = {}  # row to the length of its reply, in tokens
        self._reported = time.monotonic()

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        length = input_ids.shape[1] - self._width
        self._report(length)
        if self._stop:
            # Only the last tokens: decoding whole replies at every token would cost their square.
            start = max(self._width, input_ids.shape[1] - self._window)
            tails = input_ids[:, start:].tolist()
            for row, text in enumerate(self._prompts.decode([[]] * len(tails), tails)):
                if row not in self._stopped and any(stop in text for stop in self._stop):
                    self._stopped[row] = length
        done = [row in self._stopped for row in range(len(self._ids))]
        return torch.tensor(done, device=input_ids.device)

    def stopped(self, row: int) -> bool:
        """Whether a stop string has ended the row."""
        return row in self._stopped

    def _report(self, length: int) -> None:
        if self._progress and time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            self._progress(self._finished, self._tokens + length * len(self._ids))

    def completions(self, replies: list[list[int]]) -> list[Completion]:
        """The replies as completions: what follows a row's end is padding, not reply."""
        ends = [self._end(row, reply) for row, reply in enumerate(replies)]
        words = []
        for reply, (length, _) in zip(replies, ends, strict=True):
            words.append([token for token in reply[:length] if token not in self._eos])
        texts = self._prompts.decode([ids[-CONTEXT:] for ids in self._ids], words)
        completions = []
        for text, ids, (length, by_itself) in zip(texts, self._ids, ends, strict=True):
            reason: FinishReason = "stop" if by_itself else "length"
            completions.append(Completion(self._cut(text), reason, len(ids), 0, length))
        return completions

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

    def limits(row: int) -> tuple[tuple[str, ...], int]:
        sampling = requests[row].sampling
        return sampling.stop, sampling.max_tokens

    batch: list[int] = []
    for row in sorted(rows, key=lambda row: (*limits(row), -len(ids[row]))):
        # The first row of a batch is its longest, so it sets the padded width.
        if batch:
            width = len(ids[batch[0]]) + requests[row].sampling.max_tokens
            if limits(row) != limits(batch[0]) or (len(batch) + 1) * width > limit:
                yield batch
                batch = []
        batch.append(row)
    if batch:
        yield batch


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every id that ends a reply: the generation config's (chat models often have two) and the
    tokenizer's.
    """
    named = model.generation_config.eos_token_id
    ids = named if isinstance(named, list) else [named]
    # Each once, in this order: the first is what rows are padded with.
    return list(dict.fromkeys(one for one in (*ids, tokenizer.eos_token_id) if one is not None))
