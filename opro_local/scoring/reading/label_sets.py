"""The set of labels that a target lists or an answer names.

For: dividing a target by its separator, and reading all labels at the place where an answer gives
them. Not for: one label (labels.py), comparing sets (scoring/label_sets.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence

from opro_local.scoring.reading import marks
from opro_local.scoring.reading.labels import ANSWERING
from opro_local.scoring.reading.lists import LISTED
from opro_local.scoring.reading.normal import folded
from opro_local.scoring.reading.vocabulary import Mention, Vocabulary, shaped, vocabulary

# What may stand between the labels of a target, the surest first.
SEPARATORS = ("|", ";", "\n", ",", "、", "/", "+")
# A target or an answer of no label.
NOTHING = frozenset(
    ("none", "nothing", "[]", "no label", "no labels", "n/a", "empty", "{}", "no labels apply")
)
NONE_OF = re.compile(r"none of (?:the|these|them|those)(?: \w+){0,3}")
JSON_LIST = re.compile(r"\[[^\[\]]{0,2000}\]")
# "Labels: ", "Topics (all that apply) - "
KEYED = re.compile(
    r"^[\s*_\"'#>{-]{0,8}(?P<key>[^\W\d][\w ()/'-]{0,40}?)[\"'*_]{0,3}[ ]?(?:[:=]|->)", re.MULTILINE
)
# What may be left of a line when its labels are taken out of it.
FILLING = re.compile(
    r"(?:\s|[^\w\s]|\b\d{1,3}[.)]|\b(?:and|or|und|oder|et|y|e|и|labels?|the|are|is)\b)*"
)
MOST_LINES = 200


def parts_of(target: str, separator: str | None) -> list[str]:
    """The labels that a target lists: the items of a JSON list, or what its separator divides."""
    listed = _json_list(target)
    if listed is not None:
        return listed
    parts = target.split(separator) if separator else [target]
    return [part for part in map(str.strip, parts) if part]


def separator_of(targets: Iterable[str]) -> str | None:
    """The separator that the targets use; None where each of them is one label or a JSON list."""
    plain = [target for target in targets if _json_list(target) is None]
    for separator in SEPARATORS:
        if any(len(parts_of(target, separator)) > 1 for target in plain):
            return separator
    return None


def _json_list(text: str) -> list[str] | None:
    """The items of a JSON list of texts or numbers."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        # As Python writes it: ['a', 'b'].
        quoted = re.findall(r"'([^'\n]*)'|\"([^\"\n]*)\"", text)
        return [first or second for first, second in quoted] or None
    if not all(isinstance(item, (str, int, float)) for item in items):
        return None
    return [str(item) for item in items]


def set_reader(names: Sequence[str]) -> Callable[[str], frozenset[str] | None]:
    """A reader that finds the labels an answer gives, at the first of these places that names any:
    all of it, where it is a list; a marked place; a key that announces labels; a JSON list; the
    first line; and else every label that it names and does not deny.

    "none" and "[]" are the empty set, where "none" is no label.

    Returns:
        A function from an answer to folded labels; None where nothing was read.
    """
    known = vocabulary(names)
    nothing = NOTHING - {folded(name) for name in names}

    def read(answer: str) -> frozenset[str] | None:
        answer = marks.standing(marks.first_turn(answer))
        for place in (_whole, _marked, _keyed, _in_json, _first_line):
            said = place(answer, known)
            if said is not None:
                return said
        if _is_nothing(answer, nothing) or _is_marked_nothing(answer, nothing):
            return frozenset()
        return frozenset(mention.label for mention in _clear(answer, known)) or None

    return read


def _clear(text: str, known: Vocabulary) -> list[Mention]:
    """The places that name a label and do not deny it."""
    shape = shaped(text)
    mentions = known.mentions(shape, shape.casefold())
    return [mention for mention in mentions if mention.clear and not mention.denied]


def _labels_alone(text: str, known: Vocabulary) -> frozenset[str] | None:
    """The labels of a text that is labels and nothing else."""
    shape = shaped(text)
    low = shape.casefold()
    if label := known.whole(shape):
        return frozenset((label,))
    labels, end = set(), 0
    for place, start, stop in known.places(low):
        if not FILLING.fullmatch(low[end:start]):
            return None
        labels.add(place.name)
        end = stop
    is_alone = labels and FILLING.fullmatch(low[end:])
    return frozenset(labels) if is_alone else None


def _whole(answer: str, known: Vocabulary) -> frozenset[str] | None:
    if len(answer) > MOST_LINES * 50:
        return None
    return _labels_alone(answer, known)


def _marked(answer: str, known: Vocabulary) -> frozenset[str] | None:
    def read(mark: marks.Mark) -> frozenset[str] | None:
        if not (alone := _labels_alone(mark.text, known)):
            return _leading(mark.text, known) or _list_below(answer, mark.at, known)
        # "Answer:" may stand above a list of one label a line.
        at = answer.find(mark.text, mark.at)
        return alone | (_list_below(answer, at, known) or frozenset())

    return marks.read_marked(answer, read)


def _is_nothing(text: str, nothing: frozenset[str]) -> bool:
    """Whether a text says that there is no label."""
    said = folded(text).strip(" .*\"'")
    return said in nothing or ("none" in nothing and NONE_OF.fullmatch(said) is not None)


def _is_marked_nothing(answer: str, nothing: frozenset[str]) -> bool:
    def read(mark: marks.Mark) -> bool | None:
        return _is_nothing(mark.text, nothing) or None

    return marks.read_marked(answer, read) is not None


def _keyed(answer: str, known: Vocabulary) -> frozenset[str] | None:
    """The labels after the last key that announces them, on its line or in the list below it."""
    for match in reversed(list(KEYED.finditer(answer))):
        key = match["key"].casefold()
        if not ANSWERING.search(key) or known.names(key):
            continue
        line = answer[match.end() :].partition("\n")[0]
        said = _in_json(line, known) or _leading(line, known)
        said = said or _list_below(answer, match.end(), known)
        if said is not None:
            return said
    return None


def _in_json(answer: str, known: Vocabulary) -> frozenset[str] | None:
    """The labels of the last JSON list whose items are all labels."""
    for match in reversed(list(JSON_LIST.finditer(answer))):
        items = _json_list(match[0])
        if items == []:
            return frozenset()
        labels = [known.whole(shaped(item)) for item in items or ()]
        if labels and all(labels):
            return frozenset(label for label in labels if label)
    return None


def _first_line(answer: str, known: Vocabulary) -> frozenset[str] | None:
    lines = answer.strip().split("\n", MOST_LINES)
    if said := _labels_alone(lines[0], known):
        # A list of one label a line goes on below.
        return said | (_list_below(answer.strip(), 0, known) or frozenset())
    return _list_below(answer.strip(), 0, known) if lines[0].rstrip(" *").endswith(":") else None


def _leading(line: str, known: Vocabulary) -> frozenset[str] | None:
    """The labels with which a line begins, as a list."""
    if said := _labels_alone(line, known):
        return said
    shape = shaped(line)
    low = shape.casefold()
    places = known.places(low)
    first = next(places, None)
    if first is None or not FILLING.fullmatch(low[: first[1]]):
        return None
    labels, end = {first[0].name}, first[2]
    for label, start, stop in places:
        joint = LISTED.match(low, end)
        if not joint or joint.end() != start:
            break
        labels.add(label.name)
        end = stop
    return frozenset(labels)


def _list_below(answer: str, at: int, known: Vocabulary) -> frozenset[str] | None:
    """The labels of the lines below a place, up to the first line that is no label."""
    labels: set[str] = set()
    lines = answer[at:].split("\n", MOST_LINES)[1:]
    for line in lines:
        if not line.strip():
            continue
        said = _labels_alone(line, known)
        if said is None:
            break
        labels |= said
    return frozenset(labels) or None
