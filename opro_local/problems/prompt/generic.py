"""Instructions that need no knowledge of the task, as starting points and for a first look at what
wording does.

For: a list that differs in manner. Not for: choosing among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from opro_local.problems.prompt.layout import PLACE

MOST_NAMED = 8
LONGEST_NAMED = 300  # characters of all labels, in a first seed that names them
OFTEN = 2  # rows that share a target on average, where targets are labels
# Rules whose targets are labels, however many there are.
LABEL_RULES = frozenset({"labels", "labels_set", "boolean"})

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


def nameable(targets: Sequence[str], rule: str) -> frozenset[str]:
    """The targets that an instruction may name, as they say what answers there are and not what any
    row's is.

    Args:
        targets: those of the train rows.
        rule: how answers are scored; under a rule for labels all targets are labels, elsewhere
            those that rows share.
    """
    counts = Counter(target.strip() for target in targets)
    if rule in LABEL_RULES:
        return frozenset(counts)
    shared = {target for target, count in counts.items() if count >= OFTEN}
    if len(targets) < OFTEN * len(counts):
        shared = set()
    return frozenset({*shared, *labels_of(targets)})


def first_seed(targets: Sequence[str], rule: str) -> str:
    """What the search of one's own table starts from where the user said nothing: the labels, where
    there are some that fit into an instruction.
    """
    labels = list(dict.fromkeys(target.strip() for target in targets if target.strip()))
    if rule not in LABEL_RULES or len(labels) < 2 or len(", ".join(labels)) > LONGEST_NAMED:
        return VARIED[0]
    if any(PLACE.search(label) for label in labels):
        return VARIED[0]  # a label such as "{text}" would be a place for a row's column
    either = f"{', '.join(labels[:-1])} or {labels[-1]}"
    if rule == "labels_set":
        return f"Name all that apply: {either}."
    return f"Classify the text: {either}."


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
