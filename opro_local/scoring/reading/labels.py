"""The one label that an answer names.

For: which label an answer means, in time linear in the text: the whole answer, a marked or a
leading one, or else the only one named. Not for: where labels stand in a text (vocabulary.py),
several labels at once (label_sets.py), comparing with a target (scoring/rules.py). A reader that
finds nothing, or two different things, returns None; it never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from opro_local.scoring.reading import marks, retractions, turns
from opro_local.scoring.reading.affirmation import is_affirmed
from opro_local.scoring.reading.decisions import decided
from opro_local.scoring.reading.disowned import is_disowned
from opro_local.scoring.reading.lists import LISTED, REFUTED, is_beside, is_contradicted
from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.normal import folded
from opro_local.scoring.reading.vocabulary import (
    LONGEST_WHOLE,
    Mention,
    Vocabulary,
    shaped,
    vocabulary,
)

AMBIGUOUS = ""

# What may stand before a label with which a text begins: signs, and the number of an option or of a
# list, "2) blue".
OPENING = re.compile(
    r"""
    [\s"'(\[{<>\#•$|-]{0,12}
    (?P<number> (?: \d{1,2} | [A-Za-z] ) [.)] \s{1,4} )?
    ["'(\[<]{0,4}
    """,
    re.VERBOSE,
)
# What ends a label that is an answer by itself: "Positive. The ...", "Positive (because ...".
CLOSING = re.compile(
    r"""
    ["')\]}>]{0,4} [ \t]*
    (?:
        $ | [.,;:!(<\n] | -- | -[ ] | / (?= \s ) | =>
      | (?: because | since | as | due | weil | da | denn | car | porque | perché | 因为 ) \b
    )
    """,
    re.VERBOSE,
)
# The beginning of a sentence that says what the text is: "The review is clearly ".
OPENED = re.compile(
    r"""
    \s* (?: (?: based | according ) [^,\n]{0,60} , \s )?
    (?:
        (?: this | it | the | that | i | we | overall | dies | das | la | le | il | el | esta?
            | этот | это )
        (?: [ ] [\w'-]+ ){0,6}? [ ]
    )?
    (?: is | it's | seems | appears | expresses | shows | conveys | ist | est | es | è | é
        | это | as | is[ ]to[ ]be )
    (?: [ ] (?: an? | the | clearly | definitely | strongly | very | likely | probably | most | of
        | eindeutig | clairement | claramente ) ){0,3}
    [ ] ["']{0,2}
    """,
    re.VERBOSE,
)
# A correction that has a key: "revised label: negative".
KEYED_ANSWER = re.compile(r"(?:the )?(?:final |new |correct )?(?:answer|label|class|sentiment)\b")
# "The plot is negative, but ..." goes on.
GOES_ON = re.compile(
    r"""
    ["')]{0,2} , \s
    (?! (?: because | since | as | weil | da | denn | car | porque | perché ) \b )
    """,
    re.VERBOSE,
)
# "positive/10" is no label; "4/5" is one of stars.
SCALED = re.compile(r"(?<=[^\d/])/\s?\d")
# A name that has what stands after it: "Sentiment: Positive", '"label": "positive"'.
KEYED = re.compile(
    r"""
    (?: ^ | [{,;|.\n] ) [ \t"'\#>•-]{0,8}
    (?P<key> [^\W\d] [\w /'-]{0,40}? )
    ["')]{0,2} [ ]? (?: [:=] | -> ) [\s"'(\[{<]{0,8}
    $
    """,
    re.VERBOSE,
)
KEY_SIGNS = (":", "=", "->")
LONGEST_KEY = 70
# Keys that announce the answer, and those of what is no answer at all.
ANSWERING = re.compile(
    r"""
    label | class | categor | sentiment | intent | topic | predict | verdict | result | output
  | conclu | correct | revis | decision | emotion | rating | score | final | overall | stars?\b
  | polarity | tag\b | kategorie | klasse | stimmung | ergebnis | fazit | étiquette | catégorie
  | classe | sortie | etiqueta | categoría | resultado | clasific | etichetta | risultato | rótulo
  | категория | класс | 标签 | 類別 | 类别 | 分类 | 情感 | 结果 | 意图 | ラベル
  | 分類 | 感情 | カテゴリ | 라벨 | 감정 | 분류 | 카테고리
    """,
    re.VERBOSE,
)
IDLE = re.compile(
    r"""
    reason | explan | because | evidence | note | keyword | example | options | labels\b | classes\b
  | categories\b | confiden | justif | rationale | text | review | input | choices | possible
  | begründ
  | alternat | second | runner | not\b | context | question | title | comment
    """,
    re.VERBOSE,
)
EMPHASISED = re.compile(
    r"\*\*(?P<stars>[^*\n]{1,60})\*\*(?!:)|__(?P<lines>[^_\n]{1,60})__(?!:)|`(?P<ticks>[^`\n]{1,60})`(?!:)"
)
WORDS = re.compile(r"[^\W_]")
# An answer that decides for none, whatever labels it speaks of.
REFUSAL = re.compile(
    r"""
    \b (?:
        (?: cannot | can't | can [ ] not | unable [ ] to | not [ ] able [ ] to | impossible [ ] to
          | not [ ] possible [ ] to | don't [ ] know [ ] how [ ] to | hard [ ] to
          | not [ ] enough [ ] information [ ] to )
        [ ] (?: \w+ [ ] )?
        (?: classify | determine | tell | decide | answer | assess | judge | label | categori[sz]e
          | help | assist | comply | identify | conclude | assign | provide | choose )
      | mixed | undecided | unclear | unknown | i [ ] don't [ ] know
      | (?: for [ ] example | e[.]g[.] ) ,? [ ] (?= \w+ \W* $ )
    ) \b
    """,
    re.VERBOSE,
)
# What asks or weakens.
LEFT_OPEN = re.compile(r"\?|whether|unclear|hardly|barely|scarcely|doubt|\bif\b|unlikely")
FEW_WORDS, LONGEST_REFUSAL = 3, 120
KEYS = 40
# Places of one label that are looked at closely, so that long answers take linear time.
MOST_PLACES = 40


def whole(answer: str) -> str | None:
    """The whole answer, folded; None when nothing is left of it."""
    return folded(answer) or None


def label_reader(names: Sequence[str]) -> Callable[[str], str | None]:
    """A reader that finds the one label an answer names, as whole words in any case and type.

    In this order: the answer is the label; a marked place ("Answer: ...", see marks.py) names it; a
    key has it ("Sentiment: ..."); the answer begins with it; it alone stands in bold; it is the
    only label that the answer names without denying it; a sentence decides for it. Places of equal
    standing with two labels name none. "non-positive" and "positively" do not name "positive", and
    "not positive" is its opposite where that is a label.

    Not read: inflections, synonyms, irony.

    Args:
        names: the labels; those that differ in case, joints ("_", "-", space) or type only are one.

    Returns:
        A function from an answer to a folded label or None.
    """
    known = vocabulary(names)

    def read(answer: str) -> str | None:
        answer = retractions.unstruck(answer)
        label = known.whole(shaped(answer)) if len(answer) <= LONGEST_WHOLE else None
        if label and answer.isascii() and ("?" not in answer or "?" in label):
            return label
        if is_disowned(answer, known):
            return None
        if label and ("?" not in answer or "?" in label):
            return label
        if label := _before_next(answer, known):
            return label
        answer = marks.standing(answer)
        parts = retractions.divided(answer)
        return _corrected(answer, *parts, known) if parts else _read(answer, known)

    return read


def _read(answer: str, known: Vocabulary) -> str | None:
    """The label of an answer that corrects nothing."""
    text = shaped(answer)
    low = text.casefold()
    mentions = list(known.mentions(text, low))
    if not mentions:
        return None
    label = marks.read_marked(answer, lambda mark: _at_mark(mark, answer, known))
    if label is None:
        label = _in_text(answer, low, mentions, known)
    return label or None


def _corrected(answer: str, before: str, after: str, known: Vocabulary) -> str | None:
    """The label of an answer that may correct itself: "positive. Actually, negative".

    "Positive. Actually, the negative parts are few" corrects nothing, and is unread.
    """
    corrected = shaped(after).casefold().lstrip(" ,:.-")
    if not known.names(corrected):
        return _read(answer, known)
    first, last = _read(before, known), _read(after.lstrip(" ,:.-"), known)
    if first in (None, last):
        return last
    stated = _leading(corrected, known) or _opened(corrected, known)
    return last if stated or KEYED_ANSWER.match(corrected) else None


def _before_next(answer: str, known: Vocabulary) -> str | None:
    """The label that an answer gives before a base model goes on with a next example."""
    for place in turns.openings(answer):
        if label := _settled(answer[:place], known):
            return label
    return None


def _settled(answer: str, known: Vocabulary) -> str | None:
    """The label of an answer that gives it in no running text: alone, at a mark, after a key or at
    its beginning.
    """
    text = shaped(answer)
    if label := known.whole(text):
        return label
    if label := marks.read_marked(answer, lambda mark: _at_mark(mark, answer, known)):
        return label
    low = text.casefold()
    mentions = list(known.mentions(text, low))
    rank, label = _keyed(low, mentions, known)
    if label and rank:
        return label
    return _leading(low, known) or _opened(low, known) or None


def _in_text(answer: str, low: str, mentions: list[Mention], known: Vocabulary) -> str | None:
    """The label of an answer without marks."""
    if len({mention.label for mention in mentions if mention.score}) > 1:
        # "positive: 0.6, negative: 0.4" scores them all.
        return None
    rank, label = _keyed(low, mentions, known)
    if label is not None and rank:
        return label
    for read in (_leading, _opened):
        if (said := read(low, known)) is not None:
            return said
    for said in (_emphasised(answer, known, _affirmed(low, mentions)), label):
        if said is not None:
            return said
    return _named(low, mentions, known)


def _named(low: str, mentions: list[Mention], known: Vocabulary) -> str | None:
    """The only label that running text names, or else the one that it decides for."""
    if REFUSAL.search(low, 0, LONGEST_REFUSAL):
        return decided(low, known)
    standing = [mention for mention in mentions if mention.clear and mention.score != ":"]
    named = {mention.label for mention in standing if not mention.denied}
    if len(named) == 1:
        # "The text speaks of spam, but is not spam" names it both ways.
        is_denied_too = any(mention.denied for mention in standing if mention.label in named)
        is_said = not is_denied_too and named <= _affirmed(low, standing)
        return named.pop() if is_said else decided(low, known)
    if named:
        return decided(low, known)
    denied = {mention.label for mention in standing}
    if len(denied) != 1:
        return None
    # "This is not toxic", where "non-toxic" is a label.
    opposite = known.opposites.get(denied.pop())
    return opposite if opposite and not LEFT_OPEN.search(low) else None


def _affirmed(low: str, mentions: list[Mention]) -> set[str]:
    """The labels that some place says, everything around it understood."""
    said: set[str] = set()
    tried: dict[str, int] = {}
    for mention in mentions:
        if mention.denied or mention.label in said or tried.get(mention.label, 0) >= MOST_PLACES:
            continue
        tried[mention.label] = tried.get(mention.label, 0) + 1
        if is_affirmed(low, mention.start, mention.end):
            said.add(mention.label)
    return said


def _at_mark(mark: marks.Mark, answer: str, known: Vocabulary) -> str | None:
    """The label at a marked place; `AMBIGUOUS` where it says something else, or two labels."""
    line = shaped(mark.text)
    if label := known.whole(line):
        return label
    low = line.casefold()
    if (said := _leading(low, known)) is not None:
        return said
    first = marks.sentence(line)
    mentions = list(known.mentions(first, first.casefold()))
    if mentions:
        return _named(first.casefold(), mentions, known) or AMBIGUOUS
    # "Answer: mixed" is an answer, "Answer: Let's think step by step" is none yet.
    says = WORDS.search(first) and not first.rstrip(" *").endswith(":")
    is_answer = len(first.split()) <= FEW_WORDS or REFUSAL.search(first.casefold())
    return AMBIGUOUS if says and is_answer and mark.is_plain(answer) else None


def _leading(low: str, known: Vocabulary) -> str | None:
    """The label with which a folded shaped text begins, by itself; `AMBIGUOUS` where others follow
    in a list.
    """
    opening = OPENING.match(low)
    start = opening.end() if opening else 0
    first = _alone_at(low, start, known)
    if first is None and opening and opening["number"]:
        first = _alone_at(low, opening.start("number"), known)
    if first is None:
        return None
    label, end = first
    return AMBIGUOUS if _others_follow(low, label, end, known) else label


def _alone_at(low: str, start: int, known: Vocabulary) -> tuple[str, int] | None:
    """The label at a place where nothing else is said, and where it ends."""
    begun = known.at(low, start)
    if not begun:
        return None
    label, end = begun
    closing = CLOSING.match(low, end)
    if not closing and (SCALED.match(low, end) or not LISTED.match(low, end)):
        return None
    if closing and label.everyday and closing[0].endswith(":"):
        # "It: HR" is a key, where IT is a label.
        return None
    if closing and label.shape.isdecimal() and closing[0].endswith(".") and low[end:].strip(" ."):
        # "1. First, ..." is a list.
        return None
    denied = is_denied(low, start, end) or REFUTED.match(low, end)
    return None if denied else (label.name, end)


def _others_follow(low: str, label: str, end: int, known: Vocabulary) -> bool:
    """Whether another label stands beside the one that ends here, or begins a later line."""
    if is_beside(low, label, end, known) or is_contradicted(low, label, end, known):
        return True
    at = low.find("\n", end)
    for _ in range(KEYS):
        if at < 0:
            return False
        opening = OPENING.match(low, at + 1)
        other = _alone_at(low, opening.end() if opening else at + 1, known)
        if other and other[0] != label:
            return True
        at = low.find("\n", at + 1)
    return False


def _opened(low: str, known: Vocabulary) -> str | None:
    """The label of a first sentence that says what the text is: "The review is negative."."""
    opened = OPENED.match(low)
    if not opened or known.names(opened[0]):
        return None
    said = _alone_at(low, opened.end(), known)
    if said is None or GOES_ON.match(low, said[1]):
        return None
    if not is_affirmed(low, opened.end(), said[1]):
        return None
    return AMBIGUOUS if _others_follow(low, *said, known) else said[0]


def _keyed(low: str, mentions: list[Mention], known: Vocabulary) -> tuple[int, str | None]:
    """The label that keys have ("sentiment: positive"), and whether they announce an answer."""
    read: tuple[set[str], set[str]] = (set(), set())
    for mention in mentions:
        before = low[max(0, mention.start - LONGEST_KEY) : mention.start]
        if not before.rstrip(" \t\"'([{<").endswith(KEY_SIGNS) or not (
            match := KEYED.search(before)
        ):
            continue
        if IDLE.search(match["key"]) or known.names(match["key"]):
            continue
        if said := _alone_at(low, mention.start, known):
            label = AMBIGUOUS if is_beside(low, *said, known) else said[0]
            read[bool(ANSWERING.search(match["key"]))].add(label)
    rank = int(bool(read[1]))
    labels = read[rank]
    if not labels:
        return rank, None
    return rank, labels.pop() if len(labels) == 1 else AMBIGUOUS


def _emphasised(answer: str, known: Vocabulary, affirmed: set[str]) -> str | None:
    """The one label that stands in bold or as code by itself and is not denied."""
    if "**" not in answer and "`" not in answer and "__" not in answer:
        return None
    labels = set()
    for match in EMPHASISED.finditer(answer):
        text = match[match.lastgroup or 0]
        if not text.rstrip().endswith(":") and (label := known.whole(shaped(text))):
            labels.add(label)
    labels &= affirmed
    return labels.pop() if len(labels) == 1 else None
