"""Hosts a sentence-embedding model with transformers: a text in, its unit vector as JSON out.

For: local folders of the sentence-transformers kind (an encoder, mean or CLS pooling). Not for:
generating text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.engines import trusted
from opro_local.engines.settings import EngineSettings
from opro_local.errors import ModelError
from opro_local.models.offline import model_digest
from opro_local.models.trust import read_json
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request

BATCH = 64  # texts in one forward pass
DIGITS = 6  # of each number of a vector: the store keeps them as text


class EmbeddingEngine(Engine):
    """An engine whose completions are vectors; see protocols.Engine. Sampling is not looked at.

    Raises:
        ModelError: the folder holds no encoder that loads.
    """

    def __init__(self, settings: EngineSettings) -> None:
        import torch
        import transformers

        folder = Path(settings.model)
        trusted.check_settings(settings)
        own = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **own)
            self._model = transformers.AutoModel.from_pretrained(
                str(folder), use_safetensors=True, **own
            ).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(
                f"{folder}: no sentence-embedding model loads from here: {error}",
                "copy the whole model folder",
            ) from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device)
        self._first_token = _pools_first_token(folder)
        self.max_model_len = int(self._model.config.max_position_embeddings)
        self.fingerprint: Mapping[str, Any] = {
            "engine": "embedding",
            "version": transformers.__version__,
            "device": self._device,
            "model": model_digest(folder),
        }

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One vector per request as a JSON list of numbers; texts beyond the context are cut."""
        done: list[Completion] = []
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            done += self._embed([request.prompt.text for request in batch])
            if progress:
                progress(len(done), 0)
        return done

    def _embed(self, texts: list[str]) -> list[Completion]:
        import torch

        inputs = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_model_len, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"].unsqueeze(-1)
        # (texts, tokens, width) to (texts, width); the mean leaves padding out.
        pooled = states[:, 0] if self._first_token else (states * mask).sum(1) / mask.sum(1)
        vectors = torch.nn.functional.normalize(pooled, dim=1).cpu().tolist()
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [
            Completion(json.dumps([round(x, DIGITS) for x in vector]), "stop", length, 0, 0)
            for vector, length in zip(vectors, lengths, strict=True)
        ]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each text, special ones included."""
        return [len(self._tokenizer(prompt.text)["input_ids"]) for prompt in prompts]

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        self._model = None


def _pools_first_token(folder: Path) -> bool:
    """Whether the text's vector is that of its first token (CLS), rather than the mean of all."""
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return False
    said = read_json(file)
    return isinstance(said, dict) and bool(said.get("pooling_mode_cls_token"))
