"""What a prompt earned, and a difference between two, in words, with its interval.

For: sentences and headings that show an interval. Not for: the figures themselves (figures.py,
stats.py), or what a difference is called (scoring/verdicts.py).
"""

from __future__ import annotations

from opro_local.runs.figures import Figures, MetricFigures
from opro_local.stats import Difference


def level(alpha: float) -> str:
    """What a result's intervals are called: "95 % interval"."""
    return f"{100 * (1 - alpha):.6g} % interval"


def points(difference: Difference, alpha: float) -> str:
    """A difference in points, with its interval and p-value."""
    low, high = (round(100 * bound, 1) for bound in difference.interval)
    return (
        f"difference {100 * difference.value:+.1f} points, {level(alpha)} {low:+} to {high:+}, "
        f"p = {difference.p_value:.2g}"
    )


def percent(figures: Figures) -> str:
    """An accuracy with its interval, and what was not read or cut: "74.0 % (67 to 80, 3 extraction
    failures)".
    """
    counts = {
        "extraction failures": figures.extraction_failures,
        "truncated": figures.truncated,
    }
    notes = [f"{count} {name}" for name, count in counts.items() if count]
    if figures.interval is not None:
        low, high = (100 * bound for bound in figures.interval)
        notes.insert(0, f"{low:.0f} to {high:.0f}")
    return f"{100 * figures.accuracy:.1f} %" + (f" ({', '.join(notes)})" if notes else "")


def metric_words(figures: MetricFigures) -> str:
    """A metric with its interval: "61.3 (52 to 70)"."""
    if figures.interval is None:
        return f"{100 * figures.value:.1f}"
    low, high = (100 * bound for bound in figures.interval)
    return f"{100 * figures.value:.1f} ({low:.0f} to {high:.0f})"
