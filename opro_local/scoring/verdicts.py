"""What the paired test on the test rows is called.

For: the words of `verdict` in a result, and when each is said; here, so that runs and exports have
one definition. Not for: the test itself (comparison.py, stats.py), or the sentences around a word
(runs/result.py).
"""

from __future__ import annotations

from opro_local.stats import Difference

GAIN = "reliable gain"
LOSS = "reliable loss: keep the baseline"
# Where the paired test shows nothing.
NO_GAIN = "no reliable gain"
# Where it shows a gain over the first prompt, and none over one answer to every row.
NO_MORE_THAN_CONSTANT = "no reliable gain over a constant answer"
NOT_TESTED = "not tested"
# Where the search got nothing from its optimizer, and so says nothing of a gain.
NO_PROPOSALS = "no usable proposals"


def verdict(difference: Difference, alpha: float) -> str:
    """Reliable means: the paired test's p-value is under alpha and the interval lies on one side of
    zero.
    """
    low, high = difference.interval
    if difference.p_value < alpha and low > 0:
        return GAIN
    if difference.p_value < alpha and high < 0:
        return LOSS
    return NO_GAIN


def is_more(over_constant: Difference | None, alpha: float) -> bool:
    """Whether the best prompt is reliably better than one answer to every row.

    Args:
        over_constant: its difference from that answer; None where none is known, which counts as
            more.
        alpha: the run's level.
    """
    return over_constant is None or verdict(over_constant, alpha) == GAIN
