"""What prompts earned on a split, as a result holds it.

For: the figures of one score, of baseline against best, and of the solutions side by side, each
with its JSON. Not for: the whole of a result (run_result.py), or working it out (result.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from opro_local import stats
from opro_local.problems.prompt.constant import ConstantAnswer
from opro_local.records import entries
from opro_local.runs.gain import GainParts
from opro_local.scoring import comparison
from opro_local.scoring.classes import ClassFigures
from opro_local.scoring.label_bias import Bin, calibration
from opro_local.stats import Difference
from opro_local.types import Score, Split

# `evaluation.alpha` of results that were written before they named it.
FORMER_ALPHA = 0.05

NAMED = (
    *("accuracy", "n", "interval", "extraction_failures", "truncated", "classes", "metric"),
    "calibration",
)
# A score on a split, by class; None where its answers are no classes, or were not kept.
ClassesOf = Callable[[Split, Score], ClassFigures | None]


# What one answer to every row of a split would earn; None where that says nothing.
ConstantOf = Callable[[Split], ConstantAnswer | None]


def no_classes(split: Split, score: Score) -> ClassFigures | None:
    """Of a problem whose answers are no classes."""
    return None


def no_constant(split: Split) -> ConstantAnswer | None:
    """Of a problem whose rows have no answers."""
    return None


@dataclass(frozen=True, slots=True)
class MetricFigures:
    """What `task.metric` says of a prompt where it is not accuracy.

    Attributes:
        name: the metric's.
        value: what was optimized.
        interval: of the value, at the run's level; None in a run that has not ended.
    """

    name: str
    value: float
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        bounds = {} if self.interval is None else {"interval": list(self.interval)}
        return {"name": self.name, "value": self.value, **bounds}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MetricFigures:
        """What `to_json` wrote."""
        return cls(record["name"], record["value"], _pair(record.get("interval")))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a prompt earned on a split.

    Attributes:
        accuracy: the mean score, in [0, 1]; for other objectives the value itself.
        n: how many rows.
        interval: of the mean, at the run's level (`evaluation.alpha`); None of an objective on a
            scale of its own in a run that has not ended.
        extraction_failures: answers from which nothing could be read.
        truncated: answers that were cut at the token limit.
        metrics: further figures, such as "strict".
        classes: how each class fares; None where the answers are no classes, and on train.
        metric: what was optimized, where that is not accuracy.
        calibration: how often chosen labels are right by how probable they were; () for answers
            that were written.
    """

    accuracy: float
    n: int
    interval: tuple[float, float] | None
    extraction_failures: int
    truncated: int
    metrics: Mapping[str, float]
    classes: ClassFigures | None = None
    metric: MetricFigures | None = None
    calibration: tuple[Bin, ...] = ()

    @property
    def value(self) -> float:
        """What was optimized."""
        return self.accuracy if self.metric is None else self.metric.value

    def measured_as(self, other: Figures) -> tuple[float, tuple[float, float] | None]:
        """Value and interval by what the other's value is: accuracy unless both have one metric.

        Where labels are read by probability, train has another measure than the other splits.
        """
        if self.metric and other.metric and self.metric.name == other.metric.name:
            return self.metric.value, self.metric.interval
        return self.accuracy, self.interval

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "accuracy": self.accuracy,
            "n": self.n,
            **({} if self.interval is None else {"interval": list(self.interval)}),
            "extraction_failures": self.extraction_failures,
            "truncated": self.truncated,
            **self.metrics,
            **({} if self.metric is None else {"metric": self.metric.to_json()}),
            **({} if self.classes is None else {"classes": self.classes.to_json()}),
            **({"calibration": list(map(asdict, self.calibration))} if self.calibration else {}),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Figures:
        """What `to_json` wrote."""
        classes, metric = record.get("classes"), record.get("metric")
        return cls(
            accuracy=record["accuracy"],
            n=record["n"],
            interval=_pair(record.get("interval")),
            extraction_failures=record["extraction_failures"],
            truncated=record["truncated"],
            metrics={name: value for name, value in record.items() if name not in NAMED},
            classes=None if classes is None else ClassFigures.from_json(classes),
            metric=None if metric is None else MetricFigures.from_json(metric),
            calibration=tuple(
                Bin(one["n"], one["probability"], one["right"])
                for one in entries(record.get("calibration", ()))
            ),
        )


def figures_of(score: Score, alpha: float, classes: ClassFigures | None = None) -> Figures:
    """A score as results show it, with an interval at the level 1 - alpha."""
    metric = None
    if score.measure is not None:
        bounds = comparison.interval(score, alpha)
        metric = MetricFigures(score.measure.name, score.value, bounds)
    bins: tuple[Bin, ...] = ()
    if score.read is not None and score.read.sure is not None:
        bins = calibration(score.read.sure, score.values == 1)
    return Figures(
        accuracy=score.accuracy,
        n=score.n,
        interval=stats.mean_interval(score.values, alpha),
        extraction_failures=score.failures,
        truncated=score.truncated,
        metrics=dict(score.metrics),
        classes=classes,
        metric=metric,
        calibration=bins,
    )


@dataclass(frozen=True, slots=True)
class ConstantFigures:
    """What one answer, given to every row of a split, would have earned there.

    Attributes:
        answer: the commonest target; where `task.metric` is the F1 of a label, that label.
        accuracy: the share of the rows that it is right for.
        value: what it earns by `task.metric`; the accuracy where that is optimized.
        difference: the best prompt minus it, on the same rows, in what was optimized; None on other
            splits than test.
    """

    answer: str
    accuracy: float
    value: float
    difference: Difference | None = None

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        record: dict[str, Any] = {"answer": self.answer, "accuracy": self.accuracy}
        record["value"] = self.value
        if self.difference is not None:
            record["difference"] = difference_to_json(self.difference)
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ConstantFigures:
        """What `to_json` wrote."""
        difference = record.get("difference")
        return cls(
            record["answer"],
            record["accuracy"],
            record["value"],
            None if difference is None else difference_from_json(difference),
        )


def constant_figures(
    constant: ConstantAnswer, difference: Difference | None = None
) -> ConstantFigures:
    """One answer to every row as results show it."""
    score = constant.score
    return ConstantFigures(constant.answer, score.accuracy, score.value, difference)


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Baseline and best on one split.

    Attributes:
        baseline, best: what each earned.
        difference: best minus baseline on the same rows, in what was optimized; None on other
            splits than test.
        smallest_difference: what is usually told from noise with so many rows, in [0, 1]; None on
            other splits than test.
        accuracy_difference: the same in accuracy, where that was not what was optimized.
        gain: what the difference in accuracy is made of; None on other splits than test, and where
            no answers are read.
        constant: what one answer to every row would have earned; None where that says nothing.
    """

    baseline: Figures
    best: Figures
    difference: Difference | None = None
    smallest_difference: float | None = None
    gain: GainParts | None = None
    accuracy_difference: Difference | None = None
    constant: ConstantFigures | None = None

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        sides: dict[str, Any] = {
            "baseline": self.baseline.to_json(),
            "best": self.best.to_json(),
        }
        if self.difference is not None:
            sides["difference"] = difference_to_json(self.difference)
            sides["smallest_difference"] = self.smallest_difference
        if self.accuracy_difference is not None:
            sides["accuracy_difference"] = difference_to_json(self.accuracy_difference)
        if self.gain is not None:
            sides["gain"] = self.gain.to_json()
        if self.constant is not None:
            sides["constant"] = self.constant.to_json()
        return sides

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> SplitResult:
        """What `to_json` wrote."""
        difference, gain = record.get("difference"), record.get("gain")
        in_accuracy, constant = record.get("accuracy_difference"), record.get("constant")
        baseline = Figures.from_json(record["baseline"])
        best = Figures.from_json(record["best"])
        sides = [one.classes.classes.keys() for one in (baseline, best) if one.classes]
        if sides[1:] and sides[0] != sides[1]:
            raise ValueError("baseline and best have other classes on the same rows")
        return cls(
            baseline=baseline,
            best=best,
            difference=None if difference is None else difference_from_json(difference),
            smallest_difference=record.get("smallest_difference"),
            gain=None if gain is None else GainParts.from_json(gain),
            accuracy_difference=None if in_accuracy is None else difference_from_json(in_accuracy),
            constant=None if constant is None else ConstantFigures.from_json(constant),
        )


@dataclass(frozen=True, slots=True)
class Leader:
    """A solution that was scored on validation: its text, the ids of its worked examples, and what
    it earned on the rows it was selected on and on those it was not.
    """

    text: str
    demonstrations: tuple[str, ...]
    train: Figures
    validation: Figures

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "text": self.text,
            **demonstrations_to_json(self.demonstrations),
            "train": self.train.to_json(),
            "validation": self.validation.to_json(),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Leader:
        """What `to_json` wrote."""
        return cls(
            text=record["text"],
            demonstrations=entries(record.get("demonstrations", ())),
            train=Figures.from_json(record["train"]),
            validation=Figures.from_json(record["validation"]),
        )


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """What one operator of a mixed search came to.

    Attributes:
        proposed: how many candidates it proposed.
        usable: how many of them were new solutions.
        scored: how many of these were scored; None in runs of older builds.
        mean_gain: on the parents, at least 0; None of starting solutions, which have none.
        best: the highest train score on all rows; None where nothing was scored on all. Where no
            solution of the run was, the highest on a part of them.
    """

    proposed: int = 0
    usable: int = 0
    scored: int | None = 0
    mean_gain: float | None = None
    best: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "proposed": self.proposed,
            "usable": self.usable,
            **({} if self.scored is None else {"scored": self.scored}),
            "mean_gain": self.mean_gain,
            "best": self.best,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> OperatorFigures:
        """What `to_json` wrote."""
        return cls(
            proposed=record["proposed"],
            usable=record["usable"],
            scored=record.get("scored"),
            mean_gain=record["mean_gain"],
            best=record["best"],
        )


def demonstrations_to_json(ids: tuple[str, ...]) -> dict[str, Any]:
    """The ids of worked examples, where there are some."""
    return {"demonstrations": list(ids)} if ids else {}


def difference_to_json(difference: Difference) -> dict[str, Any]:
    """A paired difference as results show it."""
    return {
        "value": difference.value,
        "interval": list(difference.interval),
        "p_value": difference.p_value,
    }


def difference_from_json(record: Mapping[str, Any]) -> Difference:
    """What `difference_to_json` wrote."""
    low, high = entries(record["interval"])
    return Difference(record["value"], (low, high), record["p_value"])


def _pair(bounds: list[float] | None) -> tuple[float, float] | None:
    if bounds is None:
        return None
    low, high = entries(bounds)
    return low, high
