"""How close a new solution is to those before it: the exploration bonus's other half.

For: cosine similarity of texts, by character n-grams or by a local sentence-embedding model. Not
for: deciding what a similarity costs (trajectory.py), or loading a model (engines/embedding.py).
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Generator, Sequence
from functools import cache
from typing import Any

import numpy as np

from opro_local.config.search import SearchSettings
from opro_local.types import Batch, BatchResult, Prompt, Request, Sampling

NGRAMS = "ngrams"
FEATURES = 1 << 16
ROUNDING = 1e-6  # of a cosine in single precision
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
        self._known: list[Any] = []  # blocks of vectors, each of them larger than the next

    def measure(
        self, texts: Sequence[str], label: str
    ) -> Generator[Batch, BatchResult, list[float]]:
        """Cosine similarities in [0, 1], one per text; texts of one call count as earlier for those
        after them.

        With an embedding model this is one Batch to the role "embedder", otherwise none.
        """
        if self._off or not texts:
            return [0.0] * len(texts)
        vectors = (yield from embedded(texts, label)) if self._embeds else sparse_ngrams(texts)
        among = _dense(vectors @ vectors.T)
        nearest = [row[:index].max(initial=0.0) for index, row in enumerate(among)]
        for block in self._known:
            nearest = np.maximum(nearest, _dense(vectors @ block.T).max(axis=1))
        self._remember(vectors)
        # Rounded, so that the last bits of a matrix product decide nothing.
        return [round(float(np.clip(value, 0, 1)), 6) for value in nearest]

    def _remember(self, vectors: Any) -> None:
        """Keep vectors in few blocks, without copying all of them in every step."""
        self._known.append(vectors)
        while len(self._known) > 1 and self._known[-2].shape[0] <= self._known[-1].shape[0]:
            last = self._known.pop()
            self._known[-1] = _stacked(self._known[-1], last)


class NearDuplicates:
    """Texts, and the question whether another one is nearly one of them, by character n-grams.

    Each text is filed under those of its rarest n-grams without which it can't reach the limit
    with any text: what shares none of these is further away (Cauchy-Schwarz; prefix filtering,
    Bayardo, Ma and Srikant 2007). So only a few texts are compared, and none is missed.

    Args:
        limit: the cosine from which two texts are near-duplicates, in (0, 1]; only equal n-grams
            reach 1.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit - ROUNDING
        # The squared norm that the n-grams left out may have.
        self._most_left_out = max(0.0, self._limit - 1e-4) ** 2
        self._places: dict[str, int] = {}
        self._texts: list[str] = []
        self._filed: dict[int, array] = {}
        self._frequency = np.zeros(FEATURES, np.int32)

    def find(self, text: str) -> str | None:
        """The first of the texts added before that this one nearly is; None if there is none."""
        vector = sparse_ngrams([text])
        places: set[int] = set()
        for feature in vector.indices:
            places.update(self._filed.get(int(feature), ()))
        if not places:
            return None
        ordered = sorted(places)
        compared = sparse_ngrams([self._texts[place] for place in ordered])
        cosines = (compared @ vector.T).toarray().ravel()
        near = np.flatnonzero(cosines >= self._limit)
        return self._texts[ordered[int(near[0])]] if len(near) else None

    def add(self, text: str) -> None:
        """Remember a text."""
        if text in self._places:
            return
        place = self._places[text] = len(self._texts)
        self._texts.append(text)
        vector = sparse_ngrams([text])
        features, squares = vector.indices, vector.data.astype(float) ** 2
        rarest_last = np.argsort(-self._frequency[features], kind="stable")
        left_out = int((np.cumsum(squares[rarest_last]) <= self._most_left_out).sum())
        for feature in features[rarest_last[left_out:]]:
            self._filed.setdefault(int(feature), array("i")).append(place)
        self._frequency[features] += 1


def _dense(product: Any) -> np.ndarray:
    """A product of sparse or of dense vectors as an array."""
    return product if isinstance(product, np.ndarray) else product.toarray()


def _stacked(first: Any, last: Any) -> Any:
    """Two blocks of vectors as one."""
    if isinstance(first, np.ndarray):
        return np.concatenate([first, last])
    from scipy.sparse import vstack

    return vstack([first, last], format="csr")


def sparse_ngrams(texts: Sequence[str]) -> Any:
    """Unit vectors of character 2- to 4-grams within words, hashed; sparse, shape (texts,
    FEATURES).
    """
    return _hashing().transform(texts)


@cache
def _hashing() -> Any:
    """What makes the vectors; it learns nothing, so one serves all."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 4),
        n_features=FEATURES,
        alternate_sign=False,
        norm="l2",
        dtype=np.float32,
    )


def embedded(texts: Sequence[str], label: str) -> Generator[Batch, BatchResult, np.ndarray]:
    """Unit vectors of a sentence-embedding model; shape (texts, dimensions)."""
    requests = [Request(Prompt(text, chat=False), NO_SAMPLING) for text in texts]
    reply = yield Batch(f"{label}/embed", "embedder", requests)
    return np.array([json.loads(completion.text) for completion in reply.completions], np.float32)
