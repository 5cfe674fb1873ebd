"""How close a new solution is to those before it: the exploration bonus's other half.

For: cosine similarity of texts, by character n-grams or by a local sentence-embedding model. Not
for: deciding what a similarity costs (trajectory.py), or loading a model (engines/embedding.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from opro_local.config.search import SearchSettings
from opro_local.types import Batch, BatchResult, Prompt, Request, Sampling

NGRAMS = "ngrams"
FEATURES = 1 << 16
ROUNDING = 1e-6  # of a cosine in single precision
# Near-duplicates: groups of n-grams that bound a cosine, the bound's rounding, and the limit from
# which it is worth its while: texts of other words are bounded by some 0.9.
GROUPS, BOUND_ROUNDING, BOUNDED_FROM = 64, 1e-4, 0.95
COMPARED_AT_ONCE = 32
ONE_CORE = 1 << 17  # multiplications
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
        self._known = Vectors()

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
        nearest = self._known.cosines(vectors).max(axis=1, initial=0.0)
        among = _dense(vectors @ vectors.T)
        within = [row[:index].max(initial=0.0) for index, row in enumerate(among)]
        self._known.add(vectors)
        # Rounded, so that the last bits of a matrix product decide nothing.
        return [round(float(np.clip(value, 0, 1)), 6) for value in np.maximum(nearest, within)]


class Vectors:
    """Unit vectors in the order they came, sparse or dense, in few blocks: adding some does not
    copy them all.
    """

    def __init__(self) -> None:
        self._blocks: list[Any] = []  # each larger than the next

    def add(self, vectors: Any) -> None:
        """Keep further vectors; shape (n, dimensions)."""
        self._blocks.append(vectors)
        while len(self._blocks) > 1 and self._blocks[-2].shape[0] <= self._blocks[-1].shape[0]:
            last = self._blocks.pop()
            self._blocks[-1] = _stacked(self._blocks[-1], last)

    def cosines(self, vectors: Any) -> np.ndarray:
        """Those of these vectors with all that were added; shape (vectors, added)."""
        products = [_dense(vectors @ block.T) for block in self._blocks]
        return np.concatenate([np.empty((vectors.shape[0], 0), np.float32), *products], axis=1)


class NearDuplicates:
    """Texts, and the question whether another one is nearly one of them, by character n-grams.

    N-grams are divided into groups, and the norms of a vector's groups bound its cosines (Cauchy
    and Schwarz in each group): only the few texts that may reach the limit are compared, and none
    is missed. Low limits, which most texts may reach, are compared with all.

    Args:
        limit: the cosine from which two texts are near-duplicates, in (0, 1]; only equal n-grams
            reach 1.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit - ROUNDING
        self._texts: list[str] = []
        self._known: set[str] = set()
        self._vectors = None if limit >= BOUNDED_FROM else Vectors()
        self._norms = np.empty((GROUPS, GROUPS), np.float32)
        self._measured: dict[str, _Measured] = {}

    def measure(self, texts: Sequence[str]) -> None:
        """Get ready to be asked for these texts and no others: measured together they cost a
        fraction of what each alone does.
        """
        self._measured = {}
        if not texts:
            return
        vectors = sparse_ngrams(texts)
        norms = _group_norms(vectors)
        bounds: np.ndarray | None = None
        if not self._vectors:
            bounds = np.empty((len(texts), len(self._texts)), np.float32)
            # In pieces that a linear algebra library leaves on one core: with more at work than
            # there are, its threads wait for each other at full speed.
            piece = max(1, ONE_CORE // (GROUPS * len(texts)))
            for start in range(0, len(self._texts), piece):
                stop = min(start + piece, len(self._texts))
                bounds[:, start:stop] = norms @ self._norms[start:stop].T
        for place, text in enumerate(texts):
            own = None if bounds is None else bounds[place]
            self._measured[text] = _Measured(vectors, place, norms[place], own)

    def find(self, text: str) -> str | None:
        """The first of the texts added before that this one nearly is; None if there is none."""
        measured = self._of(text)
        if self._vectors:
            cosines = self._vectors.cosines(measured.vector()).ravel()
            near = np.flatnonzero(cosines >= self._limit)
            return self._texts[int(near[0])] if len(near) else None
        bounds = self._bounds(measured)
        possible = np.flatnonzero(bounds >= self._limit - BOUND_ROUNDING)
        for start in range(0, len(possible), COMPARED_AT_ONCE):
            places = possible[start : start + COMPARED_AT_ONCE]
            compared = sparse_ngrams([self._texts[place] for place in places])
            cosines = (compared @ measured.vector().T).toarray().ravel()
            near = np.flatnonzero(cosines >= self._limit)
            if len(near):
                return self._texts[int(places[near[0]])]
        return None

    def add(self, text: str) -> None:
        """Remember a text."""
        if text in self._known:
            return
        measured = self._of(text)
        if self._vectors:
            self._vectors.add(measured.vector())
        else:
            if len(self._texts) == len(self._norms):
                self._norms = np.concatenate([self._norms, np.empty_like(self._norms)])
            self._norms[len(self._texts)] = measured.norms
        self._texts.append(text)
        self._known.add(text)

    def _of(self, text: str) -> _Measured:
        """What was measured of a text; a text is mostly added after it was looked for."""
        if text not in self._measured:
            self.measure([text])
        return self._measured[text]

    def _bounds(self, measured: _Measured) -> np.ndarray:
        """The most that the cosines with all texts added can be: those with the texts that came
        after it was measured are made now; shape (texts,).
        """
        early = measured.bounds if measured.bounds is not None else np.empty(0, np.float32)
        late = self._norms[len(early) : len(self._texts)] @ measured.norms
        return np.concatenate([early, late])


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was measured of a text.

    Attributes:
        vectors: unit vectors, its own among them.
        place: which of them.
        norms: shape (GROUPS,), of its groups of n-grams.
        bounds: of its cosines with the texts there were by then; None where they aren't used.
    """

    vectors: Any
    place: int
    norms: np.ndarray
    bounds: np.ndarray | None

    def vector(self) -> Any:
        """Its own, cut out when it is asked for: mostly the bounds say enough."""
        return self.vectors[self.place]


def _group_norms(vectors: Any) -> np.ndarray:
    """The norms of the parts of sparse vectors; shape (vectors, GROUPS)."""
    count = vectors.shape[0]
    rows = np.repeat(np.arange(count), np.diff(vectors.indptr))
    squares = vectors.data.astype(float) ** 2
    sums = np.bincount(rows * GROUPS + vectors.indices % GROUPS, squares, count * GROUPS)
    return np.sqrt(sums).astype(np.float32).reshape(count, GROUPS)


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
    cut, hasher = _hashing()
    # A lone surrogate, which a reply may hold, is no UTF-8.
    encodable = [text.encode("utf-8", "replace").decode() for text in texts]
    counts = hasher.transform([cut(text) for text in encodable])
    squares = np.add.reduceat(
        np.append(counts.data.astype(float) ** 2, 0.0), np.minimum(counts.indptr[:-1], counts.nnz)
    )
    norms = np.repeat(np.sqrt(squares), np.diff(counts.indptr))
    counts.data = (counts.data / norms).astype(np.float32)
    return counts


@cache
def _hashing() -> tuple[Callable[[str], list[str]], Any]:
    """What cuts a text into n-grams, and what hashes them; neither learns anything.

    Together they are sklearn's HashingVectorizer, whose checks take longer than a text does.
    """
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.feature_extraction.text import HashingVectorizer

    cut = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()
    hasher: Any = FeatureHasher(
        FEATURES, input_type="string", alternate_sign=False, dtype=np.float32
    )
    return cut, hasher


def embedded(texts: Sequence[str], label: str) -> Generator[Batch, BatchResult, np.ndarray]:
    """Unit vectors of a sentence-embedding model; shape (texts, dimensions)."""
    requests = [Request(Prompt(text, chat=False), NO_SAMPLING) for text in texts]
    reply = yield Batch(f"{label}/embed", "embedder", requests)
    return np.array([json.loads(completion.text) for completion in reply.completions], np.float32)
