"""Instructions that need no knowledge of the task, as starting points and for a first look at what
wording does.

For: a list that differs in manner. Not for: choosing among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST_NAMED = 8

# Different in manner: a plain one, the two of the literature, a role, brevity, a format, a check.
VARIED = (
    "Answer the question.",
    "Let's think step by step.",
    "Take a deep breath and work on this problem step-by-step.",
    "You are an expert. Read carefully and give the correct answer.",
    "Reply with the answer only.",
    "End your reply with the words: The answer is",
    "Think about it, check your result, then answer.",
)


def labels_of(targets: Iterable[str]) -> list[str]:
    """The distinct targets in the order they come, where they are few enough to be named; else
    none.
    """
    distinct = list(dict.fromkeys(target.strip() for target in targets))
    return distinct if 1 < len(distinct) <= MOST_NAMED else []


def generic(labels: Sequence[str]) -> list[str]:
    """The instructions, those that name the labels first: leaving them out is the commonest cause
    of failure.
    """
    if not labels:
        return list(VARIED)
    either = f"{', '.join(labels[:-1])} or {labels[-1]}"
    named = [
        f"Which is it: {either}?",
        f"Answer with one of these and nothing else: {either}.",
        f"Is this {either}?",
        f"Read the text. Is it {either}? Answer with one of these words.",
    ]
    return [*named, *VARIED]
