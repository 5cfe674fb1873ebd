"""A bias for each label, and a scale for all: what makes a model's probabilities of labels agree
with labelled rows.

For: fitting, scoring rows with a bias that has not seen them, and choosing labels. Not for: how the
probabilities are read (engines/label_reads.py), or when (problems/prompt/labelling.py).

A model ranks rows better than it labels them: one label is often too probable on all of them. The
bias takes that off. It is the multinomial logistic regression of the labels on their own
log-probabilities: label k of a row is given the logit

    scale * (log_probability_k + bias_k)

and both are fitted by penalized maximum likelihood, whose fit matches the mean probability of each
label to its share of the rows. The penalty is what is believed before any row: no bias, within a
few nats, and a scale near 1. With few rows it keeps both there. Log-probabilities are normalized
over the labels of the set first, so that what a prompt leaves to other words plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

FOLDS = 8
# Standard deviations of what is believed before any row: of scale * bias in nats, and of the scale.
BIAS_SPREAD, SCALE_SPREAD = 2.0, 0.5
LEAST_SCALE = 0.05  # a scale of 0 or less would turn the model's order round
LEAST_SHARE = 1e-3  # of a right label, in a log-loss: one row must not decide alone
BINS = 10
ROUNDS, STEP = 30, 1.5  # of Newton's method, and the most that a step changes


@dataclass(frozen=True, slots=True)
class LabelBias:
    """What is added to the log-probability of each label before the largest is chosen.

    Attributes:
        labels: in the order of `values`.
        values: nats; only their differences matter, their mean is 0.
        scale: of the sum, for probabilities; it changes no choice.
    """

    labels: tuple[str, ...]
    values: tuple[float, ...]
    scale: float = 1.0

    @property
    def by_label(self) -> dict[str, float]:
        """The bias of each label."""
        return dict(zip(self.labels, self.values, strict=True))

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        values = {label: round(value, 4) for label, value in self.by_label.items()}
        return {"bias": values, "scale": round(self.scale, 4)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> LabelBias:
        """What `to_json` wrote."""
        return cls(tuple(record["bias"]), tuple(record["bias"].values()), record["scale"])

    def probabilities(self, logs: np.ndarray) -> np.ndarray:
        """Shape (n, labels), rows sum to 1; NaN where a row was not read.

        Args:
            logs: shape (n, labels), log-probabilities as an engine reads them.
        """
        return np.exp(self.log_probabilities(logs))

    def log_probabilities(self, logs: np.ndarray) -> np.ndarray:
        """Their logarithms, of the same shape."""
        return _normal(self.scale * (_normal(logs) + np.array(self.values)))

    def chosen(self, logs: np.ndarray) -> np.ndarray:
        """The place of each row's label, shape (n,); -1 where the row was not read."""
        return largest(_normal(logs) + np.array(self.values))


def no_bias(labels: Sequence[str]) -> LabelBias:
    """The model's own choice."""
    return LabelBias(tuple(labels), (0.0,) * len(labels))


def largest(figures: np.ndarray) -> np.ndarray:
    """The place of the largest figure of each row, of equals the first; -1 for rows of NaN."""
    unread = np.isnan(figures).any(axis=1)
    return np.where(unread, -1, np.where(unread[:, None], 0.0, figures).argmax(axis=1))


def voted(biases: Sequence[LabelBias], logs: np.ndarray) -> np.ndarray:
    """The place of the label that several prompts choose together for each row, shape (n,): the one
    with the largest mean of their log-probabilities, each with its own bias; -1 where none of them
    was read.

    A prompt that a row did not fit has no part in that row's label.

    Args:
        biases: one for each prompt.
        logs: shape (prompts, n, labels), log-probabilities as an engine reads them.
    """
    own = np.array([bias.log_probabilities(one) for bias, one in zip(biases, logs, strict=True)])
    read = ~np.isnan(own).any(axis=2)
    total = np.where(read[:, :, None], own, 0.0).sum(axis=0)
    return np.where(read.any(axis=0), total.argmax(axis=1), -1)


def fit(
    labels: Sequence[str], logs: np.ndarray, golds: np.ndarray, balanced: bool = False
) -> LabelBias:
    """The bias that fits labelled rows; none of rows that say nothing.

    Args:
        labels: the set.
        logs: shape (n, labels); NaN in rows that were not read.
        golds: shape (n,), the place of each row's label, or -1.
        balanced: whether every label weighs as much, however few rows have it.
    """
    usable = _usable(logs, golds)
    weights = _weights(usable[None, :].astype(float), golds, len(labels), balanced)
    (scale,), (values,) = _fitted(logs, golds, weights)
    return LabelBias(tuple(labels), tuple(float(value) for value in values), float(scale))


def cross_fitted(logs: np.ndarray, golds: np.ndarray, balanced: bool = False) -> np.ndarray:
    """Each row's probabilities by a bias fitted on the other folds' rows, shape (n, labels); NaN in
    rows that were not read.

    Every eighth row is a fold, by its place alone: no row's own label has a part in what it is
    scored with.

    Args: as those of `fit`.
    """
    count, labels = logs.shape
    folds = min(FOLDS, count)
    fold = np.arange(count) % folds
    if folds < 2:
        return no_bias([""] * labels).probabilities(logs)
    outside = fold[None, :] != np.arange(folds)[:, None]
    weights = _weights(outside * _usable(logs, golds), golds, labels, balanced)
    scales, values = _fitted(logs, golds, weights)
    return np.exp(_normal(scales[fold][:, None] * (_normal(logs) + values[fold])))


def _normal(logs: np.ndarray) -> np.ndarray:
    """Log-probabilities that sum to 1 over the labels of a row."""
    shifted = logs - logs.max(axis=-1, keepdims=True)
    total: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return total


def _usable(logs: np.ndarray, golds: np.ndarray) -> np.ndarray:
    """Rows that say something: read, and with a label of the set."""
    usable: np.ndarray = ~np.isnan(logs).any(axis=1) & (golds >= 0)
    return usable


def _weights(included: np.ndarray, golds: np.ndarray, labels: int, balanced: bool) -> np.ndarray:
    """What each row weighs in each fit; shape (fits, n).

    Args:
        included: the same shape, 1 for rows that the fit may see.
        golds, labels, balanced: see `fit`.
    """
    included = included.astype(float)
    if not balanced:
        return included
    is_label = golds[:, None] == np.arange(labels)
    counts = included @ is_label
    present = np.maximum((counts > 0).sum(axis=1, keepdims=True), 1)
    total = included.sum(axis=1, keepdims=True)
    each = np.divide(total / present, counts, out=np.zeros_like(counts), where=counts > 0)
    return included * (each @ is_label.T)


def _fitted(
    logs: np.ndarray, golds: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method on all fits at once.

    Args:
        logs, golds: see `fit`.
        weights: shape (fits, n).

    Returns:
        the scales, shape (fits,), and the biases, shape (fits, labels).
    """
    fits, labels = len(weights), logs.shape[1]
    inputs = np.where(_usable(logs, golds)[:, None], _normal(logs), 0.0)
    wanted = (golds[:, None] == np.arange(labels)) * 1.0
    start = np.array([1.0, *[0.0] * labels])
    penalty = np.array([SCALE_SPREAD**-2, *[BIAS_SPREAD**-2] * labels])
    fitted = np.tile(start, (fits, 1))
    for _ in range(ROUNDS):
        given = np.exp(_normal(fitted[:, :1, None] * inputs + fitted[:, None, 1:]))
        slope, bend = _derivatives(inputs, given, wanted, weights)
        slope += penalty * (fitted - start)
        bend += np.diag(penalty)
        step = np.linalg.solve(bend, slope[..., None])[..., 0]
        step /= np.maximum(np.abs(step).max(axis=1, keepdims=True) / STEP, 1)
        fitted = fitted - step
        fitted[:, 0] = np.maximum(fitted[:, 0], LEAST_SCALE)
        if np.abs(step).max() < 1e-9:
            break
    scales, offsets = fitted[:, 0], fitted[:, 1:]
    values = offsets / scales[:, None]
    return scales, values - values.mean(axis=1, keepdims=True)


def _derivatives(
    inputs: np.ndarray, given: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The slope and the second derivative of the weighted log-loss by scale and offsets.

    Args:
        inputs: shape (n, labels), normalized log-probabilities.
        given: shape (fits, n, labels), the probabilities now.
        wanted: shape (n, labels), 1 for the right label.
        weights: shape (fits, n).
    """
    weighted = weights[..., None] * given
    excess = weights[..., None] * (given - wanted)
    mean = (given * inputs).sum(axis=-1)
    slope = np.concatenate(
        [(excess * inputs).sum(axis=(1, 2))[:, None], excess.sum(axis=1)], axis=1
    )
    labels = inputs.shape[1]
    bend = np.empty((len(weights), labels + 1, labels + 1))
    bend[:, 0, 0] = (weighted * inputs**2).sum(axis=(1, 2)) - (weights * mean**2).sum(axis=1)
    across = (weighted * (inputs - mean[..., None])).sum(axis=1)
    bend[:, 0, 1:] = bend[:, 1:, 0] = across
    bend[:, 1:, 1:] = -weighted.transpose(0, 2, 1) @ given
    places = np.arange(1, labels + 1)
    bend[:, places, places] += weighted.sum(axis=1)
    return slope, bend


@dataclass(frozen=True)
class LabelFit:
    """How probable the right labels of rows are by a bias that has not seen them; see
    types.RowMeasure.

    Attributes:
        logs: shape (n, labels), log-probabilities as they were read; NaN where they were not.
        golds: shape (n,), the place of each row's label, or -1.
        balanced: whether every label weighs as much.
    """

    logs: np.ndarray
    golds: np.ndarray
    balanced: bool = False
    name: ClassVar[str] = "label_probability"
    low: ClassVar[float] = 0.0

    @cached_property
    def rows(self) -> np.ndarray:
        """The logarithm of each row's right label's probability, shape (n,)."""
        return log_shares(cross_fitted(self.logs, self.golds, self.balanced), self.golds)

    @cached_property
    def weights(self) -> np.ndarray:
        """What each row weighs, shape (n,), their sum 1."""
        included = (self.golds >= 0)[None, :]
        own = _weights(included, self.golds, self.logs.shape[1], self.balanced)[0]
        return own / own.sum() if own.any() else np.full(len(own), 1 / len(own))

    def value(self) -> float:
        """The geometric mean of the right labels' probabilities: exp of minus the log-loss."""
        return float(np.exp(self.weights @ self.rows))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Where the value lies at the level 1 - alpha, rows being drawn anew."""
        mean = self.weights @ self.rows
        spread = float(np.sqrt(self.weights**2 @ (self.rows - mean) ** 2))
        half = NormalDist().inv_cdf(1 - alpha / 2) * spread
        return float(np.exp(mean - half)), float(min(1.0, np.exp(mean + half)))

    def on(self, places: np.ndarray) -> LabelFit:
        """The rows at these places, in this order."""
        return LabelFit(self.logs[places], self.golds[places], self.balanced)

    def joined(self, others: Sequence[LabelFit]) -> LabelFit:
        """These rows and then those of the others."""
        logs = np.concatenate([self.logs, *(other.logs for other in others)])
        golds = np.concatenate([self.golds, *(other.golds for other in others)])
        return LabelFit(logs, golds, self.balanced)


def log_shares(probabilities: np.ndarray, golds: np.ndarray) -> np.ndarray:
    """The logarithm of each row's right label's probability, at least LEAST_SHARE; of a row that
    was not read, or whose label is none of the set, the logarithm of that.
    """
    shares = probabilities[np.arange(len(golds)), golds]
    known = np.where((golds >= 0) & ~np.isnan(shares), shares, 0.0)
    logs: np.ndarray = np.log(np.maximum(known, LEAST_SHARE))
    return logs


def right_share(probabilities: np.ndarray, golds: np.ndarray, balanced: bool = False) -> float:
    """The geometric mean of the right labels' probabilities.

    Args:
        probabilities: shape (n, labels); NaN in rows that were not read.
        golds, balanced: see `fit`.
    """
    logs = log_shares(probabilities, golds)
    if not balanced:
        return float(np.exp(logs.mean()))
    included = (golds >= 0)[None, :]
    weights = _weights(included, golds, probabilities.shape[1], balanced)[0]
    return float(np.exp(np.average(logs, weights=weights if weights.any() else None)))


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose chosen label was about as probable: how many, how probable it was in the mean, and
    on what share of them it was right.
    """

    n: int
    probability: float
    right: float


def calibration(sure: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    """Whether the chosen label is right as often as its probability says: BINS of equal width, the
    empty ones left out.

    Args:
        sure: shape (n,), the probability of each row's chosen label; NaN for none, left out.
        right: shape (n,), bool.
    """
    read = ~np.isnan(sure)
    sure, right = sure[read], right[read]
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(int(own.sum()), float(sure[own].mean()), float(right[own].mean()))
        for own in (places == place for place in range(BINS))
        if own.any()
    )
