"""What each cell of a sweep came to, as figures that can be compared.

For: reading the cells of sweep.json into typed values, and which of them may be averaged. Not for:
statistics over cells (summary.py), or the stores that sweep.json is made from (records.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opro_local.errors import UsageError
from opro_local.sweeps.records import SweepRecord

# What a cell is compared by is the last of these that it has.
SPLITS = ("test", "validation", "train")
SEED = "run.seed"


@dataclass(frozen=True, slots=True)
class Figure:
    """A score on a split.

    Attributes:
        value: what was optimized; of a share, in [0, 1].
        interval: of the value; None where there is none.
        n: rows.
    """

    value: float
    interval: tuple[float, float] | None
    n: int


@dataclass(frozen=True, slots=True)
class Sides:
    """Baseline and best on a split; `p_value` of their difference, on test."""

    baseline: Figure
    best: Figure
    p_value: float | None = None

    @property
    def gain(self) -> float:
        """Best less baseline."""
        return self.best.value - self.baseline.value


@dataclass(frozen=True, slots=True, order=True)
class Measure:
    """What a cell's figure is a figure of. Figures of two measures are never averaged together.

    Attributes:
        split: the split.
        metric: the name of what was optimized; "accuracy" of a share without a name of its own.
        scale: "share", or the task whose own scale it is.
    """

    split: str
    metric: str
    scale: str

    @property
    def shares(self) -> bool:
        """Whether figures are shares, shown in percent."""
        return self.scale == "share"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cell.

    Attributes:
        name, state, error, task, model, optimizer, seed, verdict, digest: see docs/sweeps.md.
        folder: the name of its folder in the sweep's `cells/`.
        settings: every setting that varies but the seed, as text.
        splits: what it earned, by split.
        measure: what it is compared by; None where it has no figures.
        steps, tokens, pairs: how many.
        seconds: that engines worked for it.
    """

    name: str
    state: str
    error: str
    task: str
    model: str
    optimizer: str
    seed: int
    folder: str
    settings: Mapping[str, str]
    splits: Mapping[str, Sides] = field(default_factory=dict)
    measure: Measure | None = None
    verdict: str = ""
    digest: str = ""
    steps: int = 0
    tokens: int = 0
    pairs: int = 0
    seconds: float = 0.0

    @property
    def is_counted(self) -> bool:
        """Whether it may be averaged: it is finished and has a figure."""
        return self.state == "finished" and self.measure is not None

    @property
    def sides(self) -> Sides:
        """What it is compared by. Only of one that is counted."""
        assert self.measure is not None
        return self.splits[self.measure.split]


def read_outcomes(sweep: SweepRecord) -> list[Outcome]:
    """The cells of a sweep, in order.

    Raises:
        UsageError: a record is none of a cell.
    """
    outcomes = []
    for cell in sweep.cells:
        try:
            outcomes.append(_outcome(cell, sweep.keys))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"{sweep.folder}: cell {cell['name']!r:.120}: no record of a cell ({error!r:.120})",
                "the sweep's command makes sweep.json anew",
            ) from None
    return outcomes


def _outcome(cell: Mapping[str, Any], keys: Sequence[str]) -> Outcome:
    shares = bool(cell.get("shares", True))
    splits = {name: sides for name in SPLITS if (sides := _sides(cell.get(name))) is not None}
    task = str(cell["task"])
    return Outcome(
        name=cell["name"],
        state=str(cell["state"]),
        error=str(cell.get("error", "")),
        task=task,
        model=str(cell["model"]),
        optimizer=str(cell["optimizer"]),
        seed=int(cell["seed"]),
        folder=str(cell["path"]).rstrip("/").rpartition("/")[2],
        settings={key: text_of(cell["settings"][key]) for key in keys if key != SEED},
        splits=splits,
        measure=_measure(cell, splits, shares, task),
        verdict=str(cell.get("verdict") or ""),
        digest=str(cell.get("digest") or ""),
        steps=int(cell.get("steps", 0)),
        tokens=_tokens(cell.get("tokens", {})),
        pairs=int(cell.get("pairs", 0)),
        seconds=float(cell.get("seconds", 0.0)),
    )


def text_of(value: Any) -> str:
    """A setting's value as text: two values have one text only where they are one value."""
    if not isinstance(value, str):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value, ensure_ascii=False)  # "1" is not 1


def _tokens(counts: Mapping[str, Any]) -> int:
    """Read and written; the cached ones are a part of those read."""
    return int(counts.get("prompt", 0)) + int(counts.get("completion", 0))


def _measure(
    cell: Mapping[str, Any], splits: Mapping[str, Sides], shares: bool, task: str
) -> Measure | None:
    if not splits:
        return None
    split = next(iter(splits))
    metric = cell[split]["best"].get("metric") or {}
    name = str(metric.get("name") or ("accuracy" if shares else "score"))
    return Measure(split, name, "share" if shares else task)


def _sides(split: Mapping[str, Any] | None) -> Sides | None:
    """Baseline and best of a split; None where there is none, or a figure is no number."""
    if split is None:
        return None
    baseline, best = _figure(split["baseline"]), _figure(split["best"])
    if not (math.isfinite(baseline.value) and math.isfinite(best.value)):
        return None
    difference = split.get("difference") or {}
    p_value = difference.get("p_value")
    return Sides(baseline, best, None if p_value is None else float(p_value))


def _figure(record: Mapping[str, Any]) -> Figure:
    own = record.get("metric") or record
    bounds = own.get("interval")
    interval = None
    if bounds is not None:
        low, high = (float(end) for end in bounds)
        interval = (low, high)
    value = own["value"] if "metric" in record else own["accuracy"]
    return Figure(float(value), interval, int(record["n"]))
