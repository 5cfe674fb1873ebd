"""The rule labels_set: an answer's labels against a target that lists several.

For: exact sets, and partial credit by Jaccard's index or F1. Not for: one label a row
(rules.label_set), or which labels an answer names (reading/label_sets.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from opro_local.errors import UsageError
from opro_local.scoring.metrics import NO_LABELS, SET_JOINT
from opro_local.scoring.reading.label_sets import parts_of, separator_of, set_reader
from opro_local.scoring.reading.normal import folded
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example

Labels = frozenset[str]


def _exact(said: Labels, gold: Labels) -> float:
    return float(said == gold)


def _jaccard(said: Labels, gold: Labels) -> float:
    return len(said & gold) / len(said | gold) if said | gold else 1.0


def _f1(said: Labels, gold: Labels) -> float:
    return 2 * len(said & gold) / (len(said) + len(gold)) if said or gold else 1.0


# What a set of labels earns against the target's, by the name of the measure.
MEASURES: Mapping[str, Callable[[Labels, Labels], float]] = {
    "exact": _exact,
    "jaccard": _jaccard,
    "f1": _f1,
}


def labels_set(names: Sequence[str], targets: Sequence[str], measure: str | None = None) -> Rule:
    """The labels that the answer gives are those of the target.

    A target lists labels with one separator ("|", ";", ",", a line each, ...) or as a JSON list;
    order and repetitions don't count. Labels are found as the rule labels finds them. Not
    normalised: inflections, synonyms. An answer that names no label is a failed extraction, unless
    it says "none" or "[]".

    Args:
        names: the labels; empty means those that the targets list.
        targets: the targets of all rows.
        measure: "exact" (the same set), "jaccard" (shared of all) or "f1" (2 shared / both sizes,
            row by row); None is "exact".

    Raises:
        UsageError: another measure, or fewer than two labels.
    """
    if (measure or "exact") not in MEASURES:
        raise UsageError(
            f"the rule labels_set has the pattern {measure!r}", f"accepted: {', '.join(MEASURES)}"
        )
    compare = MEASURES[measure or "exact"]
    separator = separator_of(target for target in targets if target not in names)
    parts = [part for target in targets for part in parts_of(target, separator)]
    labels = tuple(dict.fromkeys(names or parts))
    if len({folded(label) for label in labels}) < 2:
        raise UsageError(
            f"the rule labels_set has {len(labels)} label(s)",
            "set task.labels, or use another rule",
        )
    read = set_reader(labels)

    def gold(example: Example) -> Labels | None:
        own = parts_of(example.target, None if example.target in names else separator)
        said = [read(part) for part in own]
        if any(part is None for part in said):
            return None
        return frozenset(label for part in said if part for label in part)

    def verdict(answer: str, gold: Labels | None) -> float:
        said = read(answer)
        if said is None:
            return FAILED
        return 0.0 if gold is None else compare(said, gold)

    def extract(answer: str) -> str | None:
        said = read(answer)
        return None if said is None else SET_JOINT.join(sorted(said)) or NO_LABELS

    return Rule("labels_set", extract, gold, verdict)
