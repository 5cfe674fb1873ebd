"""Labels, and where a text names them.

For: one form of a label however it is joined and decorated ("not_spam", "Not-Spam", "not
**spam**"), the longest label at each place, and whether a place says it. Not for: which of several
named labels an answer means (labels.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from opro_local.scoring.reading import negation, words
from opro_local.scoring.reading.normal import folded, typed

# Words that a text holds whatever it is about. A label that is one of them is read where it stands
# alone, is marked, or is written in its own capitals.
_EVERYDAY = """
    a about all also an and any are as at be both but by can do for general go good have he i if
    in is it like may me more most mixed my new no none normal not of on one or other others our
    out so some such that the this to up us very we what who with yes you da das der die el en es
    et il im la le les lo ne ni o og os si sie un una und
    """
EVERYDAY = frozenset(_EVERYDAY.split())
# Signs that a small fold makes longer: they are folded first, so that places stay the same.
_LONG_FOLDS = {
    code: chr(code).casefold()
    for code in (
        *(0xDF, 0x149, 0x1F0, 0x390, 0x3B0, 0x587, 0x1E9E),
        *range(0x1E96, 0x1E9B),
        *range(0x1F50, 0x2000),
        *range(0xFB00, 0xFB18),
    )
    if len(chr(code).casefold()) > 1
}
_DECORATION = str.maketrans("", "", "*`_")
_ESCAPED = re.compile(r"\\(?=[^\w\s]|_)")
_JOINED = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
# What may stand between the words of a label.
_BETWEEN = re.compile(r"(?<=\w)[-\s]+(?=\w)|\s+")
# A longer text is more than a label.
LONGEST_WHOLE = 300
_POINT_ZERO = re.compile(r"\d+\.0")
_NUMBERED = re.compile(
    r"(?P<word>label|class|category|cluster|group|topic|star|level) ?(?P<number>\d{1,3})"
)
_EDGES = " \t\r\n\"'.,;:!?()[]{}|"
# "# Positive", "> Positive"
_LINE_START = re.compile(r"\s{0,9}[#>]{1,6}\s")
# What may follow a digit that is a label: "4 stars", "4 out of 5", "4/5".
_UNIT = re.compile(
    r"[ -]?(?:stars?|sterne?|étoiles?|estrellas?|stelle|points?|out of \d|/ ?\d+\b|星|★)"
)
# What stands right before a label that is said of something: "it is ", "labelled as ".
_SAID = re.compile(
    r"""
    (?:
        \b (?: is | are | was | be | as | say | says | rated? | give | gives | label
            | labell?ed | it
             | category | class | answer | choose | option | ist | est | es | è | é | это )
        (?: [ ] (?: it | this | clearly | definitely | an? ) ){0,2}
        [ ] ["'(]?
      | [:=] [ ]? ["']?
      | 是 | は | 为 | 給 | 给
    )
    $
    """,
    re.VERBOSE,
)
_CLAUSE_END = re.compile(r"""["')\]}]{0,2}\s*(?:$|[.,;:!\n]|--|- |because\b|since\b)""")
# What a label is turned into its opposite by.
_OPPOSITES = ("not {}", "non {}", "no {}", "non{}", "un{}", "in{}", "im{}", "ir{}", "dis{}")


class Mention(NamedTuple):
    """One place where a text names a label.

    Attributes:
        label: the folded label.
        start, end: its place in the shaped text.
        clear: whether it names the label in running text; an everyday word does not.
        denied: whether its clause denies it.
        score: what gives a number to it: ":" in "spam: 0.9", "(" in "spam (0.9)", else nothing.
    """

    label: str
    start: int
    end: int
    clear: bool
    denied: bool
    score: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label.

    Attributes:
        name: as it was given, folded: what reading it gives.
        shape: as it is written, in the type of `shaped`.
        everyday: whether running text may hold it without meaning it.
    """

    name: str
    shape: str
    everyday: bool


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The labels there are.

    Attributes:
        labels: by their key (see `_key`), with and without spaces in it.
        expression: finds any of them in folded shaped text, the longest first.
        opposites: for labels that have one, the label of what is not so.
    """

    labels: Mapping[str, Label]
    expression: re.Pattern[str]
    opposites: Mapping[str, str]

    def whole(self, text: str) -> str | None:
        """The label that a shaped text is and nothing else."""
        if len(text) > LONGEST_WHOLE:
            return None
        label = self._of(text) or self._of(_LINE_START.sub("", text, count=1).strip(_EDGES))
        return label.name if label else None

    def at(self, low: str, place: int) -> tuple[Label, int] | None:
        """The label that begins at a place of a folded shaped text, and where it ends."""
        match = self.expression.match(low, place)
        if not match or not _is_open(low, place):
            return None
        label = self._of(match[0])
        return (label, match.end()) if label else None

    def places(self, low: str) -> Iterator[tuple[Label, int, int]]:
        """Every label in a folded shaped text, with its start and end."""
        for match in self.expression.finditer(low):
            label = self._of(match[0]) if _is_open(low, match.start()) else None
            if label:
                yield label, match.start(), match.end()

    def mentions(self, text: str, low: str) -> Iterator[Mention]:
        """Every place where a shaped text names a label; `low` is the same text folded."""
        for label, start, end in self.places(low):
            clear = not label.everyday or is_clear(text, low, label, start, end)
            denied = negation.is_denied(low, start, end)
            yield Mention(label.name, start, end, clear, denied, negation.score_sign(low, end))

    def names(self, text: str) -> bool:
        """Whether a folded shaped text names any label."""
        return any(_is_open(text, match.start()) for match in self.expression.finditer(text))

    def _of(self, text: str) -> Label | None:
        key = _key(text)
        return self.labels.get(key) or self.labels.get(key.replace(" ", ""))


def vocabulary(names: Sequence[str]) -> Vocabulary:
    """The vocabulary of these labels; those that differ in case, joints or type are one."""
    labels: dict[str, Label] = {}
    for name in names:
        shape = " ".join(shaped(name).split())
        if key := _key(shape):
            labels.setdefault(key, Label(folded(name), shape, _is_everyday(shape)))
    keys = list(labels)
    opposites = {}
    for key in keys:
        forms = [form.format(key) for form in _OPPOSITES]
        for other in (form for form in forms if form in keys):
            opposites[labels[key].name] = labels[other].name
            opposites[labels[other].name] = labels[key].name
            # Where "not spam" is a label, "non-spam" is the same one.
            for form in forms[:2]:
                labels.setdefault(form, labels[other])
    for key in keys:
        # Codes of classes, as a table with gaps writes them.
        if key.isdecimal() or _POINT_ZERO.fullmatch(key):
            other = key.removesuffix(".0") if "." in key else f"{key}.0"
            labels.setdefault(other, labels[key])
    _add_numbers(labels)
    keys = list(labels)
    for key in keys:
        labels.setdefault(key.replace(" ", ""), labels[key])
    return Vocabulary(labels, _expression(keys), opposites)


def _add_numbers(labels: dict[str, Label]) -> None:
    """The numbers alone, where all labels are one word and a number: "1" is "label_1"."""
    numbered = {key: _NUMBERED.fullmatch(key) for key in labels}
    words_before = {match["word"] for match in numbered.values() if match}
    if len(words_before) != 1 or not all(numbered.values()):
        return
    for key, match in numbered.items():
        if match:
            number = match["number"]
            labels.setdefault(number, Label(labels[key].name, number, True))


def shaped(text: str) -> str:
    """The text in the type in which labels are looked for; its folded form is as long as it is."""
    text = typed(text)
    if not text.isascii():
        text = text.translate(_LONG_FOLDS)
    if "\\" in text:
        text = _ESCAPED.sub("", text)
    if "&" in text:
        text = text.replace("&amp;", "&").replace("&", " and ")
    if "_" in text:
        text = _JOINED.sub("-", text)
    # Where nothing else is left ("***"), the decoration is the text.
    return text.translate(_DECORATION) if text.strip("*`_ ") else text


def _key(text: str) -> str:
    return _BETWEEN.sub(" ", text.strip()).casefold()


def _is_everyday(shape: str) -> bool:
    if shape.casefold() in EVERYDAY or shape.isdecimal() or _POINT_ZERO.fullmatch(shape):
        return True
    if words.is_unspaced(shape[0]):
        # One sign of Chinese, or a syllable of Thai, is part of many words.
        return len(shape) < (2 if shape[0] > "\u2e80" else 4)
    return (len(shape) == 1 and shape.isalnum()) or (len(shape) <= 3 and shape.isupper())


def is_clear(text: str, low: str, label: Label, start: int, end: int) -> bool:
    """Whether an everyday word at this place is the label."""
    before = low[max(0, start - 30) : start]
    if low[end - 1].isdecimal():
        return bool(_UNIT.match(low, end)) or _is_said(before, low, end)
    own_case = label.shape != label.shape.lower() and text[start:end] == label.shape
    telling = label.shape.isupper() or not _begins(before)
    if own_case and len(label.shape) > 1 and telling and not text.isupper():
        return True
    return (own_case or len(label.shape) > 1) and _is_said(before, low, end)


def _begins(before: str) -> bool:
    """Whether a sentence begins here, so that one capital says nothing."""
    return not before.strip(" \"'(") or before.rstrip(" \"'(")[-1] in ".!?:\n"


def _is_said(before: str, low: str, end: int) -> bool:
    return bool(_SAID.search(before) and _CLAUSE_END.match(low, end))


def _is_open(low: str, start: int) -> bool:
    """Whether a word may begin at this place: no letter before it, and no "non-"."""
    if not start:
        return True
    if low[start - 1] == "-" and start > 1 and (low[start - 2].isalnum()):
        return False
    return words.begins_word(low, start)


def _expression(keys: Sequence[str]) -> re.Pattern[str]:
    """What finds these labels: by their first sign, so that few are tried at each place."""
    by_sign: dict[str, list[str]] = {}
    for key in sorted(keys, key=lambda key: (-len(key), key)):
        by_sign.setdefault(key[0], []).append(key)
    branches = []
    for sign, own in by_sign.items():
        rest = "|".join(_spelled(key)[len(re.escape(sign)) :] for key in own)
        branches.append(f"{re.escape(sign)}(?:{rest})")
    return re.compile("|".join(branches) or "(?!)")


def _spelled(key: str) -> str:
    """The expression of one label: its words joined by anything or nothing, and its right edge."""
    parts = key.split(" ")
    text = re.escape(parts[0])
    for before, part in pairwise(parts):
        least = 0 if before.isalpha() and part.isalpha() and len(before) > 1 else 1
        text += rf"[\s-]{{{least},4}}{re.escape(part)}"
    edge = words.right_edge(key[-1])
    joined = r"(?!-(?!stars?\b|points?\b)\w)" if edge else ""
    return text + edge + joined
