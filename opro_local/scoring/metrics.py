"""What is optimized: the metrics that make one figure of the answers to many rows.

For: the table of metrics, and measuring answers by them, many resamples at once. Not for: reading
answers, or saying how sure a figure is (comparison.py). A new metric is a function of `ClassTotals`
and a line in `METRICS`.

Answers are counted by class. One that could not be read, or names nothing that is a class, is right
nowhere and claims no class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.errors import UsageError

# Codes of answers that are no class: nothing was read, or something else.
UNREAD, OTHER = -1, -2

# Rules under which an answer names one thing, so that answers can be counted by class.
COUNTED_RULES = (
    *("labels", "boolean", "choice", "exact", "exact_strict", "contains", "number", "opro"),
    *("regex", "json", "harness", "python"),
)


# Where a row has a set of labels, its code has one bit a label, and these are the figures of sets.
SET_RULE = "labels_set"
SET_METRICS = ("macro_f1", "micro_f1", "f1")
MOST_SET_LABELS = 62
# What stands between the labels that the rule reads in an answer, and for none at all.
SET_JOINT, NO_LABELS = "; ", "[]"


@dataclass(frozen=True, slots=True)
class ClassTotals:
    """What is known of answers by class; leading dimensions are resamples.

    Attributes:
        rows: shape (..., classes), rows that have the class.
        right: shape (..., classes), those answered right.
        given: shape (..., classes), rows of any class that were answered with this one.
        total: shape (...,), all rows.
    """

    rows: np.ndarray
    right: np.ndarray
    given: np.ndarray
    total: np.ndarray


@dataclass(frozen=True, slots=True)
class Metric:
    """One way to make a figure of many answers; larger is better, 1 is best.

    Attributes:
        name: as `task.metric` has it.
        words: what it is, for people.
        measure: from totals and the place of a label to shape (...,); None of those that are the
            mean of what each row earned.
        low: the least it can be.
    """

    name: str
    words: str
    measure: Callable[[ClassTotals, int], np.ndarray] | None = None
    low: float = 0.0


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)


def _mean_over_classes(values: np.ndarray, totals: ClassTotals) -> np.ndarray:
    """The mean over the classes that rows have."""
    present = totals.rows > 0
    return _ratio((values * present).sum(axis=-1), present.sum(axis=-1).astype(float))


def balanced_accuracy(totals: ClassTotals, label: int) -> np.ndarray:
    """The mean of the classes' recalls."""
    return _mean_over_classes(_ratio(totals.right, totals.rows), totals)


def macro_f1(totals: ClassTotals, label: int) -> np.ndarray:
    """The mean of the classes' F1."""
    return _mean_over_classes(_f1(totals), totals)


def micro_f1(totals: ClassTotals, label: int) -> np.ndarray:
    """F1 of all labels pooled, so that frequent ones count for more."""
    right = totals.right.sum(axis=-1)
    return _ratio(2 * right, totals.rows.sum(axis=-1) + totals.given.sum(axis=-1))


def f1_of_label(totals: ClassTotals, label: int) -> np.ndarray:
    """F1 of one class; 0 where no row has it and none was answered with it."""
    value: np.ndarray = _f1(totals)[..., label]
    return value


def _f1(totals: ClassTotals) -> np.ndarray:
    return _ratio(2 * totals.right, totals.rows + totals.given)


def mcc(totals: ClassTotals, label: int) -> np.ndarray:
    """Matthews' correlation coefficient for several classes (Gorodkin 2004), in [-1, 1]; 0 where
    all rows have one class or all answers give one.

    What is no class counts as one more answer.
    """
    s, t, p = totals.total, totals.rows, totals.given
    none = s - p.sum(axis=-1)
    covariance = totals.right.sum(axis=-1) * s - (t * p).sum(axis=-1)
    of_answers = s * s - (p * p).sum(axis=-1) - none * none
    of_rows = s * s - (t * t).sum(axis=-1)
    return _ratio(covariance, np.sqrt(of_answers * of_rows))


# Every metric by its name; "f1" is written with its label, as "f1:spam". Messages keep this order.
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy"),
        Metric("balanced_accuracy", "balanced accuracy", balanced_accuracy),
        Metric("macro_f1", "macro F1", macro_f1),
        Metric("micro_f1", "micro F1", micro_f1),
        Metric("f1", "F1", f1_of_label),
        Metric("mcc", "MCC", mcc, -1.0),
        Metric("mean", "mean score"),
    )
}


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric of a task's classes.

    Attributes:
        name: as `task.metric` has it, with its label.
        metric: the metric.
        classes: by what a rule reads in their targets, their codes from 0.
        label: the code of the label it is of; 0 where it is of none.
        is_set: whether rows have sets of labels, whose codes have one bit a label.
    """

    name: str
    metric: Metric
    classes: Mapping[str, int]
    label: int = 0
    is_set: bool = False

    def code(self, said: str) -> int:
        """The code of what a rule reads; of a set, the labels that are no class aside."""
        if not self.is_set:
            return self.classes.get(said, OTHER)
        places = [self.classes[name] for name in said.split(SET_JOINT) if name in self.classes]
        return sum(1 << place for place in set(places))


@dataclass(frozen=True, slots=True)
class ClassifiedRows:
    """Answers to rows by class, measured by an objective; see types.RowMeasure.

    Attributes:
        objective: the measure.
        golds: shape (n,), the codes of the rows' classes.
        answers: shape (n,), those of the answers, or UNREAD or OTHER.
    """

    objective: Objective
    golds: np.ndarray
    answers: np.ndarray

    @property
    def name(self) -> str:
        """The objective's name."""
        return self.objective.name

    @property
    def low(self) -> float:
        """The least that the value can be."""
        return self.objective.metric.low

    def value(self) -> float:
        """The figure of all rows."""
        return float(self.values(np.ones((1, len(self.golds))))[0])

    def values(self, weights: np.ndarray) -> np.ndarray:
        """The figure where each row counts so often; shape (resamples,).

        Args:
            weights: shape (resamples, n), 0 or above.
        """
        rows, given = self.indicators()
        return self.figures(weights @ rows, weights @ (rows * given), weights @ given)

    def indicators(self) -> tuple[np.ndarray, np.ndarray]:
        """Of rows and of answers, 1 where the class is theirs; shapes (n, classes)."""
        codes = np.arange(len(self.objective.classes))
        if self.objective.is_set:
            # UNREAD and OTHER have no label.
            golds, answers = np.maximum(self.golds, 0), np.maximum(self.answers, 0)
            return (golds[:, None] >> codes & 1) * 1.0, (answers[:, None] >> codes & 1) * 1.0
        return (self.golds[:, None] == codes) * 1.0, (self.answers[:, None] == codes) * 1.0

    def figures(self, rows: np.ndarray, right: np.ndarray, given: np.ndarray) -> np.ndarray:
        """The figure of totals by class, see ClassTotals."""
        measure = self.objective.metric.measure
        if measure is None:
            raise ValueError(f"{self.name} is a mean of rows")
        return measure(ClassTotals(rows, right, given, rows.sum(axis=-1)), self.objective.label)

    def on(self, places: np.ndarray) -> ClassifiedRows:
        """The rows at these places, in this order."""
        return ClassifiedRows(self.objective, self.golds[places], self.answers[places])

    def joined(self, others: Sequence[ClassifiedRows]) -> ClassifiedRows:
        """These rows and then those of the others."""
        golds = np.concatenate([self.golds, *(other.golds for other in others)])
        answers = np.concatenate([self.answers, *(other.answers for other in others)])
        return ClassifiedRows(self.objective, golds, answers)


def parse_metric(name: str) -> tuple[Metric, str]:
    """A metric and the label it is of, "" for none, as `task.metric` names them.

    Raises:
        UsageError: there is no such metric, or it has a label too many or too few.
    """
    first, colon, label = name.partition(":")
    metric = METRICS.get(first.strip())
    label = label.strip()
    if metric is None or (first == "f1") != bool(label) or (colon and first != "f1"):
        names = [f"{known}:<label>" if known == "f1" else known for known in METRICS]
        raise UsageError(f"unknown metric {name!r} as task.metric", f"accepted: {', '.join(names)}")
    return metric, label


def make_objective(
    name: str, rule: str, said: Sequence[str], label_said: Callable[[str], str]
) -> Objective | None:
    """The objective that `task.metric` names; None where it is the mean over rows.

    Args:
        name: the setting.
        rule: how answers are scored.
        said: what the rule reads in every target, of all splits.
        label_said: what it reads in a label.

    Raises:
        UsageError: there is no such metric, or it can't be had under this rule or of these targets.
    """
    metric, label = parse_metric(name)
    if metric.measure is None:
        return None
    is_set = rule == SET_RULE and metric.name in SET_METRICS
    names = _labels_of(said) if is_set else sorted(set(said))
    if is_set and len(names) > MOST_SET_LABELS:
        raise UsageError(
            f"task.metric = {name!r} counts sets of at most {MOST_SET_LABELS} labels, and there "
            f"are {len(names)}",
            'use "mean"',
        )
    if rule not in COUNTED_RULES and not is_set:
        raise UsageError(
            f"task.metric = {name!r} counts answers by class, which the rule {rule} has not",
            'use "accuracy" or "mean", or a rule such as labels',
        )
    if len(names) < 2 or 2 * len(names) > len(said):
        raise UsageError(
            f"task.metric = {name!r} counts answers by class, and {len(said)} rows with "
            f"{len(names)} different targets have none",
            'use "accuracy" or "mean"',
        )
    classes = {known: code for code, known in enumerate(names)}
    if not label:
        return Objective(name, metric, classes, is_set=is_set)
    if label_said(label) not in classes:
        shown = ", ".join(names[:20])
        raise UsageError(f"task.metric: no row has the label {label!r}", f"there are: {shown}")
    return Objective(name, metric, classes, classes[label_said(label)], is_set)


def _labels_of(said: Sequence[str]) -> list[str]:
    """The labels of sets that were read."""
    parts = {part for one in said for part in one.split(SET_JOINT)}
    return sorted(parts - {NO_LABELS})


def answer_codes(
    objective: Objective, golds: np.ndarray, values: np.ndarray, read: Callable[[int], str | None]
) -> np.ndarray:
    """What answers are, as codes of classes.

    Args:
        objective: the classes.
        golds: shape (n,), the codes of the rows' classes.
        values: shape (n,), what the answers earned; 1 is right, whatever is read in it.
        read: what the rule reads in the answer at a place; asked of those that are not right.
    """
    codes = np.where(values == 1, golds, OTHER)
    for place in np.flatnonzero(values != 1).tolist():
        said = read(place)
        codes[place] = UNREAD if said is None else objective.code(said)
        if codes[place] == golds[place]:
            # It says the class and is not right all the same, by a rule of its own.
            codes[place] = OTHER
    return codes
