"""Screening: which of many drafts promise most, guessed from the scores of texts like them.

For: choosing what is worth scoring among cheap drafts. Not for: where drafts come from, or whether they are new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opro_local.similarity import sparse_ngrams

DOUBT = 12.5  # rows: a score on so many weighs half of one without error
UNKNOWN = 0.25  # the quantile of the scores that a text like no other is expected to have


def promise(texts: Sequence[str], scored: Sequence[tuple[str, float, int]]) -> np.ndarray:
    """What each text is expected to score; shape (texts,).

    The mean of a Gaussian process whose kernel is the cosine of character n-grams (kernel ridge regression): a text is
    expected to score what those like it do, and one like no other a low score, as most do that are about something
    else. How well it guesses is in docs/benchmarks.

    Args:
        texts: what is guessed for.
        scored: texts with their scores and the number of rows that they were scored on; at least one.
    """
    from sklearn.kernel_ridge import KernelRidge

    known, values, rows = zip(*scored, strict=True)
    vectors, level = sparse_ngrams(known), float(np.quantile(values, UNKNOWN))
    weights = np.array(rows) / (np.array(rows) + DOUBT)
    ridge = KernelRidge(alpha=1.0, kernel="precomputed")
    ridge.fit((vectors @ vectors.T).toarray(), np.array(values) - level, sample_weight=weights)
    guessed = level + ridge.predict((sparse_ngrams(texts) @ vectors.T).toarray())
    # Rounded, so that the last bits of a matrix product decide nothing.
    return guessed.round(6)
