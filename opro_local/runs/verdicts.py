"""What the paired test on the test rows is called.

For: the words of `verdict` in a result, and when each is said. Not for: the test itself (stats.py,
scoring/comparison.py), or the sentences around it (result.py).
"""

from __future__ import annotations

from opro_local.runs.figures import SplitResult
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


def is_more(test: SplitResult, alpha: float) -> bool:
    """Whether the best prompt is reliably better than one answer to every row; true where no such
    answer is known.
    """
    constant = test.constant
    if constant is None or constant.difference is None:
        return True
    return verdict(constant.difference, alpha) == GAIN
