"""How close a new solution is to those before it: the exploration bonus's other half.

For: cosine similarity of texts, by character n-grams or by a local sentence-embedding model. Not
for: deciding what a similarity costs (trajectory.py), or loading a model (engines/embedding.py).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from opro_local.config.search import SearchSettings
from opro_local.types import Batch, BatchResult, Prompt, Request, Sampling

NGRAMS = "ngrams"
FEATURES = 1 << 16
NO_SAMPLING = Sampling(1)


class Similarity:
    """The similarity of each new text to its nearest earlier one; remembers all texts it has
    measured.

    Args:
        settings: `exploration` 0 measures nothing and gives 0; `similarity` is "ngrams" or a
        model's folder.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self._off = settings.exploration == 0
        self._embeds = settings.similarity != NGRAMS
        self._known: np.ndarray | None = None

    def measure(
        self, texts: Sequence[str], label: str
    ) -> Generator[Batch, BatchResult, list[float]]:
        """Cosine similarities in [0, 1], one per text; texts of one call count as earlier for those
        after them.

        With an embedding model this is one Batch to the role "embedder", otherwise none.
        """
        if self._off or not texts:
            return [0.0] * len(texts)
        vectors = (yield from embedded(texts, label)) if self._embeds else ngrams(texts)
        known = 0 if self._known is None else len(self._known)
        self._known = vectors if self._known is None else np.concatenate([self._known, vectors])
        cosines = vectors @ self._known.T
        nearest = [row[: known + index].max(initial=0.0) for index, row in enumerate(cosines)]
        # Rounded, so that the last bits of a matrix product decide nothing.
        return [round(float(np.clip(value, 0, 1)), 6) for value in nearest]


class NearDuplicates:
    """Texts, and the question whether another one is nearly one of them, by character n-grams.

    Args:
        limit: the cosine from which two texts are near-duplicates, in (0, 1]; only equal n-grams
            reach 1.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._texts: list[str] = []
        self._known: set[str] = set()
        self._vectors: Any = None

    def find(self, text: str) -> str | None:
        """The first of the texts added before that this one nearly is; None if there is none."""
        if self._vectors is None:
            return None
        cosines = (self._vectors @ sparse_ngrams([text]).T).toarray().ravel()
        near = np.flatnonzero(cosines >= self._limit - 1e-6)
        return self._texts[int(near[0])] if len(near) else None

    def add(self, text: str) -> None:
        """Remember a text."""
        from scipy.sparse import vstack

        if text in self._known:
            return
        vector = sparse_ngrams([text])
        self._vectors = (
            vector if self._vectors is None else vstack([self._vectors, vector], format="csr")
        )
        self._texts.append(text)
        self._known.add(text)


def ngrams(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of character 2- to 4-grams within words, hashed; shape (texts, features)."""
    return sparse_ngrams(texts).toarray()


def sparse_ngrams(texts: Sequence[str]) -> Any:
    """The same as a sparse matrix."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing: Any = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 4),
        n_features=FEATURES,
        alternate_sign=False,
        norm="l2",
        dtype=np.float32,
    )
    return hashing.transform(texts)


def embedded(texts: Sequence[str], label: str) -> Generator[Batch, BatchResult, np.ndarray]:
    """Unit vectors of a sentence-embedding model; shape (texts, dimensions)."""
    requests = [Request(Prompt(text, chat=False), NO_SAMPLING) for text in texts]
    reply = yield Batch(f"{label}/embed", "embedder", requests)
    return np.array([json.loads(completion.text) for completion in reply.completions], np.float32)
