"""Which labels a JSON value gives: a list of them, or an object that says yes or no to each.

For: the forms in which models write sets of labels as JSON. Not for: lists in text (claims.py), or
which JSON of an answer counts (label_sets.py). A value with a label that the task does not know,
or with a score between yes and no ("joy": 0.7), is `OPEN`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opro_local.scoring.reading.claims import OPEN, Labels, Open, claims_of
from opro_local.scoring.reading.labels import ANSWERING, IDLE
from opro_local.scoring.reading.vocabulary import Vocabulary, shaped

YES = frozenset(("yes", "true", "present", "1", "y", "ja", "oui", "sí", "да"))
NO = frozenset(("no", "false", "absent", "not present", "0", "n", "nein", "non", "нет", "none"))
# What names the label of one object in a list of objects, and what says whether it is there.
NAMING = ("label", "name", "class", "category", "tag", "emotion", "topic", "value", "aspect")
SAYING = ("present", "applies", "applicable", "value", "detected", "answer", "is_present")
PRESENT = frozenset(("present", "yes", "true", "applies", "applicable", "included", "detected"))
ABSENT = frozenset(("absent", "no", "false", "not_present", "not_applicable", "excluded"))
# What weighs a label between yes and no.
WEIGHING = ("score", "confidence", "probability", "weight", "intensity", "prob")
DEEPEST = 4
LONGEST_TEXT = 2000


def given(value: Any, known: Vocabulary, depth: int = 0) -> Labels | Open | None:
    """The labels that a JSON value gives.

    Returns:
        The labels; `OPEN` where some label is left open or unknown; None where the value speaks of
        no label.
    """
    if depth > DEEPEST:
        return OPEN
    if isinstance(value, list):
        return _of_list(value, known)
    if isinstance(value, dict):
        return _of_object(value, known, depth)
    if isinstance(value, str):
        label = known.whole(shaped(value))
        return frozenset((label,)) if label else claims_of(value[:LONGEST_TEXT], known)
    return None


def truth_of(value: Any) -> bool | None:
    """Whether a value that is given to a label says yes or no; None where neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        said = " ".join(value.casefold().split())
        return True if said in YES else (False if said in NO else None)
    if isinstance(value, dict):
        said_of = [truth_of(value[key]) for key in SAYING if key in value]
        return said_of[0] if len(said_of) == 1 else None
    return None


def _of_list(items: Sequence[Any], known: Vocabulary) -> Labels | Open | None:
    labels: set[str] = set()
    unknown = 0
    for item in items:
        label, is_given = _of_item(item, known)
        unknown += label is None or is_given is None
        if label and is_given:
            labels.add(label)
    if unknown == 0:
        return frozenset(labels)
    # A list without any label is no list of labels.
    is_about = labels or any(isinstance(item, (str, dict)) for item in items)
    return OPEN if is_about else None


def _of_item(item: Any, known: Vocabulary) -> tuple[str | None, bool | None]:
    """The label of one item of a list, and whether it is given."""
    if isinstance(item, dict):
        own = {key: known.whole(shaped(str(item[key]))) for key in NAMING if key in item}
        labels = [label for label in own.values() if label]
        if len(labels) != 1 or (len(own) != 1 and "value" not in own):
            return None, None
        if any(key in item for key in WEIGHING):
            return labels[0], None
        saying = [item[key] for key in SAYING if key in item and not own.get(key)]
        return labels[0], (truth_of(saying[0]) if saying else True)
    if isinstance(item, (str, int, float)) and not isinstance(item, bool):
        return known.whole(shaped(str(item))), True
    return None, None


def _of_object(value: Mapping[str, Any], known: Vocabulary, depth: int) -> Labels | Open | None:
    by_label = {key: known.whole(shaped(key)) for key in value}
    if any(by_label.values()):
        return _one_hot(value, by_label)
    keys = {key.casefold().replace(" ", "_"): key for key in value}
    if PRESENT & keys.keys():
        return _present(value, keys, known)
    telling = [key for key in value if ANSWERING.search(key.casefold()) and not _is_idle(key)]
    if len(telling) != 1:
        telling = [key for key in value if not _is_idle(key)]
    if len(telling) != 1:
        return OPEN if telling else None
    inner = value[telling[0]]
    if inner is None:
        return frozenset()
    said = given(inner, known, depth + 1)
    beside = [given(value[key], known, depth + 1) for key in value if key != telling[0]]
    if not isinstance(said, frozenset) or any(one and one != said for one in beside):
        # {"first": "joy", "second": "fear"}
        return OPEN
    return said


def _is_idle(key: str) -> bool:
    low = key.casefold()
    return bool(IDLE.search(low)) and low not in ("labels", "classes", "categories")


def _one_hot(value: Mapping[str, Any], by_label: Mapping[str, str | None]) -> Labels | Open:
    """The labels to which an object says yes, where it says yes or no to each of its keys."""
    labels = set()
    for key, said in value.items():
        label = by_label[key]
        if label is None and _is_idle(key):
            continue
        is_given = truth_of(said)
        if label is None or is_given is None:
            return OPEN
        if is_given:
            labels.add(label)
    return frozenset(labels)


def _present(
    value: Mapping[str, Any], keys: Mapping[str, str], known: Vocabulary
) -> Labels | Open | None:
    """The labels below "present", where nothing but "absent" and remarks stands beside it."""
    present = PRESENT & keys.keys()
    others = [key for low, key in keys.items() if low not in PRESENT | ABSENT and not _is_idle(key)]
    absent = [given(value[keys[low]], known) for low in ABSENT & keys.keys()]
    if len(present) != 1 or others:
        return OPEN
    said = given(value[keys[next(iter(present))]], known)
    if not isinstance(said, frozenset):
        return OPEN
    return OPEN if any(not isinstance(one, frozenset) or one & said for one in absent) else said
