"""What became of the optimizer's replies: whether any was of use, and what to change where not.

For: the kinds of rejections, with the setting behind each, and a search that could not search. Not
for: rejecting replies (proposing.py and the problems), or saying it (runs/).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from opro_local.search.trajectory import Trajectory

TOO_LONG = "too long"  # the kind of what is over a limit of characters or words
ANOTHER_FORM = "search.metaprompt names another form; or take a larger optimizer"
NO_ROWS = "search.exemplars = 0 shows the optimizer no rows"
WARMER = "raise optimizer.temperature, or take a larger optimizer"
# By the kind of a rejection, what stands before the colon of its reason.
ADVICE: Mapping[str, str] = {
    "unparsed": ANOTHER_FORM,
    "empty": ANOTHER_FORM,
    "several": ANOTHER_FORM,
    "placeholder tag in it": ANOTHER_FORM,
    "unfinished": "raise optimizer.max_tokens",
    "duplicate": WARMER,
    "near-duplicate": f"{WARMER}; search.near_duplicate says what is one",
    "copied": NO_ROWS,
    "leaked": NO_ROWS,
    "echo": ANOTHER_FORM,
    "digits in it": 'search.digits = "allow" lets them pass',
    TOO_LONG: "raise search.max_characters, search.max_words or the limit in search.constraint",
    "not natural wording": "search.constraint asks for natural wording",
    "braces in it": "a prompt with task.template may hold none; give the prompt without a template",
    "missing": "search.required asks for it, and the optimizer was told; take a larger optimizer",
    "the meta-prompt does not fit the optimizer's context": (
        "lower search.history or search.exemplars, or raise optimizer.max_model_len"
    ),
}
SAME = ("duplicate", "near-duplicate")
FEWEST_EQUAL = 4  # replies that say the same before a search is said to get nothing else


def kind_of(reason: str) -> str:
    """The kind of a rejection: what stands before the colon of its reason."""
    return reason.partition(":")[0]


def advice(kind: str) -> str:
    """What to change where most replies are rejected for this."""
    return ADVICE.get(kind, "take another optimizer")


def kinds(reasons: Iterable[str]) -> Counter[str]:
    """How often each kind of rejection occurred."""
    return Counter(map(kind_of, reasons))


def fault(trajectory: Trajectory) -> str:
    """Why a search could not search, in words with what to change; "" where it could.

    It could not where no reply became a new text, or where all said the same, if behind different
    openers.
    """
    refused = [one for one in trajectory.rejections if one.step > 0]
    starts = {entry.solution.text for entry in trajectory.entries if entry.step == 0}
    texts = {entry.solution.text for entry in trajectory.entries if entry.step > 0}
    new = texts - starts
    counted = kinds(one.reason for one in refused)
    most = counted.most_common(1)[0][0] if refused else SAME[0]
    written = trajectory.written
    replies = {one.text.strip() for one in refused} | set(written)
    is_same = len(replies) == 1 and len(refused) + sum(written.values()) >= FEWEST_EQUAL
    if is_same and all(kind in SAME for kind in counted) and (written or len(new) < 2):
        return f"the optimizer wrote the same text every time; {advice(most)}"
    if new or not refused:
        return ""
    listed = ", ".join(f"{count} {kind}" for kind, count in counted.most_common(3))
    return (
        f"the optimizer gave nothing usable: {len(refused)} of {len(refused)} replies rejected "
        f"({listed}); {advice(most)}"
    )
