"""The classes of a task's rows, for metrics that count answers by class.

For: what every target is as a class, and what answers are. Not for: the metrics
(scoring/metrics.py), or the figures of single classes in a result (scoring/classes.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.config.task import TaskSettings
from opro_local.scoring.metrics import (
    ClassifiedRows,
    Objective,
    answer_codes,
    make_objective,
    parse_metric,
)
from opro_local.scoring.reading.normal import folded
from opro_local.scoring.rule import Rule
from opro_local.types import Example, Split


@dataclass(frozen=True, slots=True)
class RowClasses:
    """An objective and the classes of all rows.

    Attributes:
        objective: what is optimized.
        golds: by split, shape (n,), the codes of the rows' classes.
    """

    objective: Objective
    golds: Mapping[Split, np.ndarray]

    def with_label(self, split: Split) -> np.ndarray:
        """Which rows of a split have the label that the metric is of; all where it is of none.
        Shape (n,), bool.
        """
        golds = self.golds[split]
        if self.objective.name == self.objective.metric.name:
            return np.full(len(golds), True)
        if self.objective.is_set:
            return (golds >> self.objective.label & 1) == 1
        has_label: np.ndarray = golds == self.objective.label
        return has_label

    def measures(
        self,
        rule: Rule,
        texts: Sequence[str],
        values: np.ndarray,
        golds: Sequence[object],
        split: Split,
        rows: Sequence[int] | None,
    ) -> list[ClassifiedRows]:
        """The answers of each solution by class.

        Args:
            rule: how answers are read.
            texts: the answers, by solution and then by row.
            values: shape (solutions * rows,), what they earned.
            golds: what the rule expects of the rows.
            split, rows: which rows were asked; None for all.
        """
        own = self.golds[split] if rows is None else self.golds[split][list(rows)]
        solutions = len(texts) // len(own)
        codes = answer_codes(
            self.objective,
            np.tile(own, solutions),
            values,
            lambda place: rule.read(texts[place], golds[place % len(golds)]),
        )
        return [ClassifiedRows(self.objective, own, part) for part in np.split(codes, solutions)]


def row_classes(
    task: TaskSettings, rule: Rule, rows: Mapping[Split, Sequence[Example]]
) -> RowClasses | None:
    """The classes that `task.metric` counts; None where it is the mean over rows.

    Raises:
        UsageError: there is no such metric, or it can't be had here.
    """
    metric, _ = parse_metric(task.metric)
    if metric.measure is None:
        # Reading every target again would take time for nothing.
        return None
    said = {
        split: [rule.parsed(row.target, row) or folded(row.target) for row in examples]
        for split, examples in rows.items()
    }
    # A judge's verdict is no answer.
    name = "judge" if task.rule == "judge" else rule.name
    every = [text for own in said.values() for text in own]
    objective = make_objective(
        task.metric, name, every, lambda label: rule.extract(label) or folded(label)
    )
    if objective is None:
        return None
    codes = {split: np.array([objective.code(text) for text in own]) for split, own in said.items()}
    return RowClasses(objective, codes)
