"""The winners of two finished runs beside each other, and the paired difference where both were
tested on the same rows.

For: `compare`. Not for: prompts within one evaluation (evaluation.py), or champions in production
(feedback/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opro_local import stats
from opro_local.config import reading
from opro_local.errors import OproError, UsageError
from opro_local.runs.figures import FORMER_ALPHA, SplitResult
from opro_local.runs.named_code import named_code
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.prompt import prompt_problem
from opro_local.runs.reading import describe
from opro_local.runs.replay import replay_all
from opro_local.runs.run_result import RunResult
from opro_local.runs.store import Store, read_store
from opro_local.stats import Difference
from opro_local.types import Example


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two runs' winners.

    Attributes:
        a, b: the runs' results.
        difference: of the winners in accuracy on test, b - a, paired by row; None where the runs
            were not tested on the same rows, or that can't be known.
        why: what stands against a paired difference; "" where there is one.
    """

    a: RunResult
    b: RunResult
    difference: Difference | None
    why: str

    def splits(self) -> Mapping[str, tuple[SplitResult | None, SplitResult | None]]:
        """The figures of both by split, where one of them has some; test first."""
        names = {
            "test": (self.a.test, self.b.test),
            "validation": (self.a.validation, self.b.validation),
            "train": (self.a.train, self.b.train),
        }
        return {name: both for name, both in names.items() if any(both)}

    def to_json(self) -> dict[str, Any]:
        """As `compare --json` prints it."""
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "difference": None
            if self.difference is None
            else {
                "value": self.difference.value,
                "interval": list(self.difference.interval),
                "p_value": self.difference.p_value,
            },
            "why_not_paired": self.why or None,
        }


def compare(a: Path, b: Path) -> SideBySide:
    """Two finished searches side by side.

    Raises:
        StoreError: there is no readable run.
        UsageError: one has not finished, or is an evaluation.
    """
    results = [_finished(folder) for folder in (a, b)]
    try:
        difference, why = _paired(a, b, _alpha(results[0])), ""
    except OproError as error:
        difference, why = None, str(error)
    return SideBySide(results[0], results[1], difference, why)


def _finished(folder: Path) -> RunResult:
    result = describe(folder)
    if not isinstance(result, RunResult) or result.search is None:
        raise UsageError(
            f"{folder}: no finished search, so it has no winner", "name two finished runs"
        )
    return result


def _alpha(result: RunResult) -> float:
    return result.search.alpha if result.search else FORMER_ALPHA


def _paired(a: Path, b: Path, alpha: float) -> Difference:
    """The difference on test. Raises OproError, which says why there is none."""
    (rows_a, values_a), (rows_b, values_b) = _tested(a), _tested(b)
    if sorted(rows_a) != sorted(rows_b):
        shared = len(set(rows_a) & set(rows_b))
        raise UsageError(
            f"the runs were tested on different rows ({len(rows_a)} and {len(rows_b)}, {shared} in "
            "both)"
        )
    # The same rows may stand in another order, as another seed shuffles them.
    order_a = sorted(range(len(rows_a)), key=rows_a.__getitem__)
    order_b = sorted(range(len(rows_b)), key=rows_b.__getitem__)
    return stats.paired_difference(values_b[order_b], values_a[order_a], alpha)


def _tested(folder: Path) -> tuple[list[tuple[str, str]], npt.NDArray[np.floating]]:
    """The test rows of a run in order, and its winner's values on them, from its completions."""
    store = read_store(folder)
    try:
        return _tested_of(store)
    finally:
        store.close()


def _tested_of(store: Store) -> tuple[list[tuple[str, str]], npt.NDArray[np.floating]]:
    config = reading.stored(store.get("config") or {})
    if named := named_code(config):
        raise UsageError(f"{store.folder}: to score its rows again {named[0]} would have to be run")
    plan = make_plan(config)
    identity = store.get("identity") or {}
    if any(identity.get(name) != digest for name, digest in plan.identity.items()):
        raise UsageError(f"{store.folder}: its data or rule changed since the run")
    rows: list[Example] = list(prompt_problem(plan).rows.get("test", ()))
    best = _finished(store.folder).best.key
    for entry in reversed(replay_all(plan, store).trajectory.held_out):
        if entry.split == "test" and entry.solution.key == best:
            return [(row.input, row.target) for row in rows], entry.score.values
    raise UsageError(f"{store.folder}: its winner has no answers on test rows")
