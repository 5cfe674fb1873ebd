"""Where the marks of the page's pictures stand, in the units of their SVG.

For: geometry. Not for: drawing (templates/), or the figures themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 34
MOST_INTERVALS = 400  # solutions, above which the picture shows no intervals: the table does
Scale = Callable[[float], float]  # a value's place
ROW = 30  # height of a line in the picture of splits


@dataclass(frozen=True, slots=True)
class Point:
    """What is to be shown: a value at a step, its interval, and what its mark says."""

    step: int
    value: float
    interval: tuple[float, float] | None
    says: str
    group: int = 0
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in a picture; `low` and `high` are the ends of its interval, if it is shown."""

    x: float
    y: float
    low: float | None
    high: float | None
    says: str
    group: int
    is_best: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis with its value."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class ProgressChart:
    """Solutions by step and the best so far.

    Attributes:
        marks: the solutions.
        best: the path of the best so far, as SVG's `d`.
        baseline: the height of the first solution's value.
        across, up: ticks of both axes.
        left_out: intervals that are not shown, for there are too many.
    """

    marks: tuple[Mark, ...]
    best: str
    baseline: float
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    left_out: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a picture of intervals: its name, a value and an interval across."""

    name: str
    y: float
    x: float
    low: float | None
    high: float | None
    is_best: bool
    says: str


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """Values with their intervals, one below the other."""

    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    height: float


def progress_chart(points: Sequence[Point], upward: bool = True) -> ProgressChart | None:
    """The picture of a search; None where there is nothing to show.

    Args:
        points: in the order in which they were scored; the first is the baseline.
        upward: whether more is better.
    """
    points = [point for point in points if math.isfinite(point.value)]
    if not points:
        return None
    left_out = len(points) > MOST_INTERVALS
    values = [point.value for point in points]
    if not left_out:
        values += [end for point in points for end in point.interval or ()]
    up = _ticks(min(values), max(values))
    last = max(point.step for point in points)
    across = [value for value in _ticks(0, max(1, last)) if value == int(value) and value <= last]
    low, high = min(up[0], *values), max(up[-1], *values)

    def x(step: float) -> float:
        return _between(step, 0, max(1, last), LEFT + 8, WIDTH - RIGHT - 8)

    def y(value: float) -> float:
        return _between(value, low, high, HEIGHT - BOTTOM, TOP)

    shown = [
        _mark(point, round(x(point.step) + offset, 1), y, not left_out)
        for point, offset in _spread(points)
    ]
    return ProgressChart(
        marks=tuple(shown),
        best=_best_path([(x(step), y(value)) for step, value in _best(points, upward)]),
        baseline=y(points[0].value),
        across=tuple(Tick(x(value), value) for value in across),
        up=tuple(Tick(y(value), value) for value in up),
        left_out=left_out and any(point.interval for point in points),
    )


def interval_chart(lines: Sequence[tuple[str, Point]]) -> IntervalChart | None:
    """The picture of named values with their intervals; None where there are none."""
    if not lines:
        return None
    values = [point.value for _, point in lines]
    values += [end for _, point in lines for end in point.interval or ()]
    across = _ticks(min(values), max(values))
    low, high = min(across[0], *values), max(across[-1], *values)

    def x(value: float) -> float:
        return round(_between(value, low, high, 190, WIDTH - RIGHT - 20), 1)

    drawn = []
    for number, (name, point) in enumerate(lines):
        ends: list[float | None] = [x(end) for end in point.interval or ()]
        left, right = ends or (None, None)
        y = TOP + ROW * number + ROW / 2
        drawn.append(Line(name, y, x(point.value), left, right, point.is_best, point.says))
    ticks = tuple(Tick(x(value), value) for value in across)
    return IntervalChart(tuple(drawn), ticks, TOP + ROW * len(lines) + BOTTOM)


def _mark(point: Point, x: float, y: Scale, has_interval: bool) -> Mark:
    ends = [y(end) for end in point.interval or ()] if has_interval else []
    low, high = ends or (None, None)
    return Mark(x, y(point.value), low, high, point.says, point.group, point.is_best)


def _spread(points: Sequence[Point]) -> list[tuple[Point, float]]:
    """Each point with how far beside its step it stands, so that those of a step show apart."""
    sizes: dict[int, int] = {}
    for point in points:
        sizes[point.step] = sizes.get(point.step, 0) + 1
    last = max(sizes)
    room = 0.7 * (WIDTH - LEFT - RIGHT) / max(1, last)
    seen: dict[int, int] = {}
    spread = []
    for point in points:
        place = seen.get(point.step, 0)
        seen[point.step] = place + 1
        gap = min(7.0, room / sizes[point.step])
        offset = gap * (place - (sizes[point.step] - 1) / 2)
        spread.append((point, 0.0 if point.step == 0 and sizes[0] == 1 else offset))
    return spread


def _best(points: Sequence[Point], upward: bool) -> list[tuple[int, float]]:
    """The best so far after each step that has a solution."""
    best: list[tuple[int, float]] = []
    for point in points:
        value = best[-1][1] if best else point.value
        better = max(value, point.value) if upward else min(value, point.value)
        if best and best[-1][0] == point.step:
            best[-1] = (point.step, better)
        else:
            best.append((point.step, better))
    return best


def _best_path(places: Sequence[tuple[float, float]]) -> str:
    """Steps: the best stays until a later one is better."""
    (x, y), *others = places
    path = [f"M{x:.1f} {y:.1f}"]
    for x, y in others:
        path.append(f"H{x:.1f}V{y:.1f}")
    return "".join(path)


def _between(value: float, low: float, high: float, first: float, last: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(first + share * (last - first), 1)


def _ticks(low: float, high: float) -> list[float]:
    """Some five round values around a range."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
