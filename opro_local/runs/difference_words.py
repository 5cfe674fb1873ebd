"""A difference between two prompts in words, with its interval.

For: sentences and headings that show an interval. Not for: the difference itself (stats.py), or
what it is called (scoring/verdicts.py).
"""

from __future__ import annotations

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
