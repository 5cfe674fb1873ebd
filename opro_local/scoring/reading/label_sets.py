"""The set of labels that a target lists or an answer names.

For: dividing a target by its separator, and reading all labels at the place where an answer gives
them. Not for: one label (labels.py), comparing sets (scoring/label_sets.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from opro_local.scoring.reading import marks, turns
from opro_local.scoring.reading.claims import OPEN, Labels, Open, Piece, claimed, claims_of, pieces
from opro_local.scoring.reading.disowned import is_disowned
from opro_local.scoring.reading.label_objects import given
from opro_local.scoring.reading.labels import ANSWERING, IDLE
from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.normal import folded
from opro_local.scoring.reading.vocabulary import (
    LONGEST_WHOLE,
    Vocabulary,
    is_clear,
    shaped,
    vocabulary,
)

# What may stand between the labels of a target, the surest first.
SEPARATORS = ("|", ";", "\n", ",", "、", "/", "+")
# A target or an answer of no label.
NOTHING = frozenset(
    ("none", "nothing", "[]", "no label", "no labels", "n/a", "empty", "{}", "no labels apply")
)
# "Labels: ", "Topics (all that apply) - "
KEYED = re.compile(
    r"^[\s*_\"'#>{-]{0,8}(?P<key>[^\W\d][\w ()/'-]{0,40}?)[\"'*_]{0,3}[ ]?(?:[:=]|->)", re.MULTILINE
)
# The head of a table: its columns' names, and the rule below them.
TABLE_HEAD = re.compile(
    r"""
    (?: ^ | \n ) [^\n]{0,200} \| [^\n]{0,200} \n
    [ \t]* (?= [^\n]{0,200} - ) [|:\s-]{3,200} (?: \n | $ )
    """,
    re.VERBOSE,
)
# Where the list with which an answer begins may end.
CUT = re.compile(
    r"""
    \n+
  | [.!] \s+
  | [ ,(]{0,2} \b (?: because | since | as | due [ ] to | weil | da | denn | car | porque ) \b
    """,
    re.VERBOSE,
)
SENTENCE_END = re.compile(r"[.!](?=\s|$)|\n|\?")
# Words with which an answer adds to its list, or takes something of it back.
ADDING = re.compile(
    r"""
    \b (?:
        also | additionally | too | as [ ] well | moreover | furthermore | maybe | perhaps
      | possibl[ey] | probabl[ey] | actually | rather | correct (?: ion | ed )? | instead | however
      | plus | no | or | should | add | but | only | wait | change | replace | reconsider
      | second | secondary | another | too
    ) \b
    """,
    re.VERBOSE,
)
# A line that says yes or no to a label: "- **Joy**: Yes, because ..."
LINE_START = re.compile(r"[\s|*#>•\"'(-]{0,12}(?:\d{1,2}[.)]\s)?[\s*\"']{0,4}")
LINE_MARK = re.compile(
    r"""
    ["')\]]{0,3} \s{0,3} (?: [:=|–—-] | -> ){1,2} \s{0,3} ["'(]{0,2}
    (?: (?P<yes> yes | true | present | ja | oui | sí | да ) | no | false | absent
      | not [ ] present | nein | non | нет )
    (?= ["')]{0,3} \s{0,3} (?: $ | [.,;:(|–—-] | because\b | since\b ) )
    """,
    re.VERBOSE,
)
HEADING = re.compile(r"(?:not )?(?:present|absent|applicable|included)|yes|no|true|false")
ITEM = re.compile(r"[-*•+]\s|\d{1,3}[.)]\s")
WORD = re.compile(r"\w+")
EMPTY = re.compile(r"\[\s*\]")
JSON_START = re.compile(r"[\[{](?=\s*[\[{\"\]}\d])")
# How many words after a list may be one more item of it, and bounds that keep long texts linear.
FEW = 2
LONGEST_PLACE, LONGEST_SENTENCE, LONGEST_TAIL = 4000, 300, 60
MOST_CUTS, MOST_VALUES = 30, 50
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


def items_of(target: str) -> list[str] | None:
    """The items of a target that is a JSON list of texts; None where it is something else."""
    try:
        items = json.loads(target)
    except (ValueError, RecursionError):
        return None
    is_texts = isinstance(items, list) and all(isinstance(item, str) for item in items)
    return items if is_texts else None


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


def set_reader(names: Sequence[str]) -> Callable[[str], Labels | None]:
    """A reader that finds the labels an answer gives, at the first of these places that speaks of
    any: JSON; a marked place; a key that announces labels; the list with which it begins; lines
    that each say yes or no to a label; and else the sentences that name labels.

    A place is read where every piece of it is understood (see claims.py). Labels that are marked
    absent are not given; one that is left open, or that the task does not know, leaves the answer
    unread. "none" and "[]" are the empty set, where "none" is no label.

    Returns:
        A function from an answer to folded labels; None where nothing was read.
    """
    known = vocabulary(names)
    nothing = NOTHING - {folded(name) for name in names}

    def read(answer: str) -> Labels | None:
        answer = marks.first_turn(answer)
        label = known.whole(shaped(answer)) if len(answer) <= LONGEST_WHOLE else None
        # "joy?" asks.
        if label and ("?" not in answer or answer in names):
            return frozenset((label,))
        if is_disowned(answer, known):
            return None
        if folded(answer).strip(" .*\"'") in nothing:
            return frozenset()
        for place in turns.openings(answer):
            said = _begun(answer[:place], known)
            if isinstance(said, frozenset):
                return said
        answer = marks.standing(answer)
        if "|" in answer:
            answer = TABLE_HEAD.sub("\n", answer)
        if not known.names(shaped(answer).casefold()):
            return _read_at(_NAMELESS, answer, known)
        return _read_at(_PLACES, answer, known)

    return read


def _read_at(places: Sequence[_Place], answer: str, known: Vocabulary) -> Labels | None:
    """The labels at the first of these places that speaks of any; None where it leaves one open."""
    for place in places:
        said = place(answer, known)
        if said is not None:
            return said if isinstance(said, frozenset) else None
    return None


def _beginning(text: str, known: Vocabulary) -> Labels | Open | None:
    """What the longest beginning of a text says that is understood and ends where one may end."""
    shape = shaped(text)
    low = shape.casefold()
    said = list(pieces(shape, low, known))
    reach = said[-1].end if said else 0
    if reach == len(low):
        return claimed(said)
    ends = [cut.end() for cut in CUT.finditer(low, 0, reach + 12) if cut.start() <= reach]
    for end in reversed(ends[-MOST_CUTS:]):
        first = [piece for piece in said if piece.end <= end]
        own = claimed(first)
        if isinstance(own, frozenset):
            return OPEN if _is_item(low[end:], first) or _adds(low, end, own, known) else own
        if own is not None:
            return own
    return None


def _is_item(rest: str, first: Sequence[Piece]) -> bool:
    """Whether what follows a list is one more item of it, a label that the task does not know."""
    following = rest.strip().partition("\n")[0]
    if ITEM.match(following) and any(piece.kind in _BULLETS for piece in first):
        return True
    return 0 < len(WORD.findall(following)) <= FEW and not IDLE.search(following)


def _adds(low: str, end: int, given: Labels, known: Vocabulary) -> bool:
    """Whether what follows a list goes on with it, or takes something of it back."""
    if not ADDING.search(low, end):
        return False
    for label, start, stop in known.places(low):
        if start < end or label.name in given or is_denied(low, start, stop):
            continue
        if ADDING.search(low, max(end, _sentence_start(low, start)), stop + LONGEST_TAIL):
            return True
    return False


_BULLETS = ("mark", "number", "comma", "sign")


def _sentence_start(low: str, at: int) -> int:
    starts = [low.rfind(sign, max(0, at - LONGEST_SENTENCE), at) for sign in (". ", "\n", "! ")]
    return max(*starts, 0)


def _in_json(answer: str, known: Vocabulary) -> Labels | Open | None:
    """What the last JSON value says that speaks of labels."""
    if "[" not in answer and "{" not in answer:
        return None
    values = []
    for value in _json_values(answer):
        said = given(value.said, known)
        if said is not None:
            values.append(value._replace(said=said))
    if len(values) > 1:
        values = [value for value in values if not EMPTY.match(answer, value.start)]
    if not values:
        is_cut = answer.count("[") > answer.count("]") or answer.count("{") > answer.count("}")
        return OPEN if is_cut and known.names(shaped(answer).casefold()) else None
    last = values[-1]
    if EMPTY.match(answer, last.start) and known.names(shaped(answer).casefold()):
        # "[ ] joy" is a box that is not checked.
        return None
    for value in values[:-1]:
        if value.said != last.said and not WORD.search(answer, value.end, last.start):
            # Two lists, and nothing says which one counts.
            return OPEN
    return last.said if isinstance(last.said, frozenset) else OPEN


class _Value(NamedTuple):
    """A JSON value of an answer and its place, or what it says of labels."""

    said: Any
    start: int
    end: int


def _json_values(answer: str) -> list[_Value]:
    """The JSON lists and objects of a text that are in no other one, with their places."""
    decoder = json.JSONDecoder()
    values: list[_Value] = []
    at = 0
    for _ in range(MOST_VALUES):
        start = JSON_START.search(answer, at)
        if not start:
            break
        try:
            value, at = decoder.raw_decode(answer, start.start())
        except (ValueError, RecursionError):
            at = start.end()
            continue
        values.append(_Value(value, start.start(), at))
    return values


def _marked(answer: str, known: Vocabulary) -> Labels | Open | None:
    """What the last marked place says; it is `OPEN` where a plain mark ("Answer:") has no label."""

    def read(mark: marks.Mark) -> list[Labels | Open] | None:
        said = _at_mark(mark, answer, known)
        return None if said is None else [said]

    said = marks.read_marked(answer, read)
    return said[0] if said else None


def _at_mark(mark: marks.Mark, answer: str, known: Vocabulary) -> Labels | Open | None:
    if mark.kind == "tag" and answer.count(_closing(answer, mark)) > 1:
        # "<label>joy</label><label>fear</label>" is a list.
        return None
    if mark.kind in ("box", "tag"):
        alone = claims_of(mark.text, known)
        return OPEN if alone is None else alone
    # "Answer:" may stand above a list of one label a line.
    at = answer.find(mark.text, mark.at)
    said = _beginning(answer[at : at + LONGEST_PLACE], known)
    return OPEN if said is None and mark.is_plain(answer) else said


def _closing(answer: str, mark: marks.Mark) -> str:
    """The closing tag of a mark that is a tag."""
    end = mark.at + len(mark.text)
    return answer[end : answer.index(">", end) + 1]


def _keyed(answer: str, known: Vocabulary) -> Labels | Open | None:
    """The labels after the last key that announces them, on its line or in the list below it."""
    for match in reversed(list(KEYED.finditer(answer))):
        key = match["key"].casefold()
        # "Label 2: fear" is one of several.
        is_headed = HEADING.fullmatch(key) is not None or key[-1].isdecimal()
        if is_headed or not ANSWERING.search(key) or known.names(key):
            continue
        place = answer[match.end() : match.end() + LONGEST_PLACE]
        said = _beginning(place, known)
        if said is not None:
            return said
    return None


def _begun(answer: str, known: Vocabulary) -> Labels | Open | None:
    return _beginning(answer[:LONGEST_PLACE].strip(), known)


def _by_line(answer: str, known: Vocabulary) -> Labels | Open | None:
    """The labels to which lines say yes, where lines say yes or no to each: "Joy: no, because"."""
    said: dict[str, set[bool]] = {}
    for line in answer.split("\n", MOST_LINES)[:MOST_LINES]:
        low = shaped(line).casefold()
        start = LINE_START.match(low)
        label = known.at(low, start.end() if start else 0)
        if not label:
            continue
        word = LINE_MARK.match(low, label[1])
        if not word:
            return None
        said.setdefault(label[0].name, set()).add(word["yes"] is not None)
    if len(said) < 2:
        return None
    if any(len(values) > 1 for values in said.values()):
        return OPEN
    return frozenset(label for label, values in said.items() if True in values)


def _in_sentences(answer: str, known: Vocabulary) -> Labels | Open | None:
    """What the sentences say that name labels, where each of them is understood."""
    shape = shaped(answer)
    low = shape.casefold()
    said: list[Labels] = []
    at = 0
    for label, place, stop in islice(known.places(low), MOST_LINES):
        if place < at or (label.everyday and not is_clear(shape, low, label, place, stop)):
            continue
        start = _sentence_start(low, place)
        end = SENTENCE_END.search(low, stop)
        at = end.start() if end else len(low)
        own = claims_of(shape[start:at].strip(" .\n"), known)
        if not isinstance(own, frozenset):
            return OPEN
        said.append(own)
    return frozenset().union(*said) if said else None


_Place = Callable[[str, Vocabulary], Labels | Open | None]
_PLACES: tuple[_Place, ...] = (_in_json, _marked, _keyed, _begun, _by_line, _in_sentences)
# Where an answer that names no label may say that there is none.
_NAMELESS: tuple[_Place, ...] = (_in_json, _marked, _keyed, _begun)
