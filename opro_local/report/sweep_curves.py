"""The best so far of every cell of a sweep by step: a small picture for each task and model.

For: reading curves from the cells' stores, and where they stand in their SVG. Not for: drawing
(templates/sweep.html.j2), or figures over cells (sweeps/summary.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import OproError
from opro_local.runs.store import FILE, read_store
from opro_local.sweeps.outcomes import Outcome

WIDTH, HEIGHT, EDGE = 260, 150, 22
COLORS = 8  # that report.css has


@dataclass(frozen=True, slots=True)
class Curve:
    """The best train score of a cell so far: (step, value), the steps rising."""

    cell: Outcome
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A curve in its picture: the path, as SVG's `d`, its color and what it says."""

    path: str
    color: int
    says: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A small picture: the cells of one task and model.

    Attributes:
        task, model: which.
        traces: a line a cell.
        low, high: the values at its lower and upper edge.
        last: the step at its right edge.
        shares: whether values are shares.
    """

    task: str
    model: str
    traces: tuple[Trace, ...]
    low: float
    high: float
    last: int
    shares: bool


def read_curve(cell: Outcome, folder: Path) -> Curve | None:
    """A cell's curve; None where its store is not there, can't be read, or has no train scores.

    Args:
        cell: which.
        folder: the sweep's.
    """
    path = folder / "cells" / cell.folder
    if not cell.folder or not (path / FILE).is_file():
        return None
    try:
        store = read_store(path)
        try:
            rows = store.solutions("train")
        finally:
            store.close()
    except OproError:
        return None
    points: list[tuple[int, float]] = []
    for row in rows:
        value = row["score"]
        if row["partial"] or not math.isfinite(value):
            continue
        if not points or value > points[-1][1]:
            points.append((row["step"], value))
    return Curve(cell, (*points, (rows[-1]["step"], points[-1][1]))) if points else None


def panels_of(curves: Sequence[Curve], colors: Mapping[str, int]) -> list[Panel]:
    """The pictures, in the order of the cells. Those of a task have one scale.

    Args:
        curves: of the cells.
        colors: the color of each cell's name.
    """
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.cell.task, curve.cell.model), []).append(curve)
    return [_panel(task, model, own, curves, colors) for (task, model), own in groups.items()]


def _panel(
    task: str,
    model: str,
    own: Sequence[Curve],
    every: Sequence[Curve],
    colors: Mapping[str, int],
) -> Panel:
    alike = [one for one in every if one.cell.task == task]
    values = [value for one in alike for _, value in one.points]
    low, high = min(values), max(values)
    last = max(1, *(one.points[-1][0] for one in alike))
    traces = []
    for one in own:
        says = f"{one.cell.name}: {one.points[0][1]:.4g} to {one.points[-1][1]:.4g}"
        traces.append(Trace(_path(one, low, high, last), colors[one.cell.name], says))
    measure = own[0].cell.measure
    shares = measure.shares if measure else 0 <= low <= high <= 1
    return Panel(task, model, tuple(traces), low, high, last, shares)


def _path(curve: Curve, low: float, high: float, last: int) -> str:
    """Steps: the best stays until a later one is better."""
    span = high - low
    parts: list[str] = []
    for step, value in curve.points:
        x = EDGE + step / last * (WIDTH - 2 * EDGE)
        share = (value - low) / span if span > 0 else 0.5
        y = HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)
        parts.append(f"H{x:.1f}V{y:.1f}" if parts else f"M{x:.1f} {y:.1f}")
    return "".join(parts)
