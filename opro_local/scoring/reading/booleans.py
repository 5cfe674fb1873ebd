"""Whether an answer says yes or no, in whatever pair of words the targets use.

For: yes/no, true/false, correct/incorrect, right/wrong, valid/invalid, plausible/implausible, with
direct negation ("not true"). Not for: comparing (scoring/rules.py), hedges ("probably" counts as
said), other languages, "not sure". Answers that say both are `AMBIGUOUS`, and so are indirect
negations ("not necessarily true").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from opro_local.scoring.reading import marks

AMBIGUOUS = math.nan

PAIRS = (
    ("yes", "no"),
    ("true", "false"),
    ("correct", "incorrect"),
    ("right", "wrong"),
    ("valid", "invalid"),
    ("plausible", "implausible"),
)
SHORT = {"y": 1.0, "n": 0.0, "t": 1.0, "f": 0.0}
TRUTH = {word: float(index == 0) for pair in PAIRS for index, word in enumerate(pair)}
EVERY = tuple(TRUTH)

_ADVERBS = "a|an|the|at all|quite|really|actually|be|been|logically|deductively|completely|factually|in fact|a"
NEGATED = re.compile(
    rf"(?:\bnot|n['’]t|\bnever|\bcannot be|\bfar from)\s(?:(?:{_ADVERBS})\s){{0,2}}[*_\"'`(]{{0,4}}$"
)
HEDGED = re.compile(
    r"(?:\b(?:not|never)|n['’]t)\s(?:necessarily|always|only|just|merely|entirely|sure|clear|certain|known|both"
    r"|the case)\b[^.;!?\n]{0,30}$"
)
# What may follow "no" where it is an answer, and not "no one" or "no evidence".
AFTER_NO = re.compile(
    r"\s{0,9}(?:[^\w\s]|$)|\s+(?:because|since|as|it|this|that|the|he|she|they|there|and|or|but)\b"
)
SAID_OF = re.compile(
    r"(?:\b(?:is|are|was|were|be|seems?|as|not)|n['’]t|['’]s|:)\s(?:(?:\w{1,15}ly|quite|really|a|an)\s)?[*_\"'`(]{0,4}$"
)
LEADING = re.compile(r"[\s*_\"'`#>,-]{0,12}(\w{2,12})[*_\"'`]{0,4}\s{0,2}(?:[.,;:!—–-]|$|\n)")
BESIDE = re.compile(
    r"[*_\"'`)]{0,4}\s?(?:or|and|/|&|,)\s?(?:perhaps |maybe |not )?[*_\"'`(]{0,4}(\w+)"
)
EDGES = " \t\r\n*_`\"'.,;:!()[]{}$"
LONGEST = 100


def pair_of(targets: Sequence[str]) -> tuple[str, str] | None:
    """The pair of words all targets are from, case aside; None without one."""
    words = {target.strip().casefold() for target in targets}
    return next((pair for pair in PAIRS if words and words <= set(pair)), None)


def truth(text: str) -> float | None:
    """What a text of one word, or "not" and one word, stands for: 1.0 or 0.0; None for any other."""
    if len(text) > LONGEST:
        return None
    words = text.casefold().strip(EDGES).split()
    if len(words) == 2 and words[0] == "not" and words[1] in TRUTH:
        return 1 - TRUTH[words[1]]
    return TRUTH.get(words[0], SHORT.get(words[0])) if len(words) == 1 else None


def reader(own: Sequence[str]) -> Callable[[str, bool], float | None]:
    """A reader of answers to targets with these words.

    The targets' own words go before the others: "Yes, because it is false that ..." says yes to a
    yes/no question.

    Args:
        own: words of the targets; empty for no preference.

    Returns:
        A function of an answer and whether to be strict, giving 1.0, 0.0, None or `AMBIGUOUS`.
        Strict reads marked places, a leading "Yes," or an answer of one word; lenient also an
        answer all of whose words agree.
    """
    first = _finder(own or EVERY)
    rest = _finder([word for word in EVERY if word not in own]) if own else None

    def read(answer: str, strict: bool) -> float | None:
        found = truth(answer)
        if found is None:
            found = marks.read_marked(answer, lambda mark: _at_mark(mark, first, rest))
        if found is None:
            answer = marks.standing(answer)
            found = _leading(answer)
        if found is None and not strict:
            found = _agreed(answer, first, bool(own))
            if found is None and rest:
                found = _agreed(answer, rest, False)
        return found

    return read


def _finder(words: Sequence[str]) -> re.Pattern[str]:
    # The words come first and the look to their left after them: a pattern that starts with letters
    # scans fast.
    parts = (rf"{word}(?<![\w-]{word})" for word in words)
    return re.compile(rf"(?:{'|'.join(parts)})(?![\w-])", re.IGNORECASE)


def _at_mark(
    mark: marks.Mark, first: re.Pattern[str], rest: re.Pattern[str] | None
) -> float | None:
    text = marks.sentence(mark.text)
    if (found := truth(text)) is not None:
        return found
    for finder in (first, rest) if rest else (first,):
        for word in finder.finditer(text):
            if _is_answer(text, word):
                return AMBIGUOUS if _beside(text, word) else _said(text, word)
    return None


def _leading(answer: str) -> float | None:
    found = LEADING.match(answer)
    if not found or found[1].casefold() not in TRUTH:
        return None
    value = TRUTH[found[1].casefold()]
    beside = BESIDE.match(answer, found.end(1))
    other = TRUTH.get(beside[1].casefold(), value) if beside else value
    return value if other == value else AMBIGUOUS


def _agreed(answer: str, finder: re.Pattern[str], own: bool) -> float | None:
    """What all the words say; those that are not the targets' own count only as what something is
    said to be.
    """
    found = None
    for word in finder.finditer(answer):
        if not _is_answer(answer, word) or not (
            own or SAID_OF.search(answer[max(0, word.start() - 30) : word.start()])
        ):
            continue
        value = _said(answer, word)
        if (found is not None and value != found) or math.isnan(value):
            return AMBIGUOUS
        found = value
    return found


def _is_answer(text: str, word: re.Match[str]) -> bool:
    return word[0].casefold() != "no" or AFTER_NO.match(text, word.end()) is not None


def _beside(text: str, word: re.Match[str]) -> bool:
    beside = BESIDE.match(text, word.end())
    value = TRUTH[word[0].casefold()]
    return beside is not None and TRUTH.get(beside[1].casefold(), value) != value


def _said(text: str, word: re.Match[str]) -> float:
    before = text[max(0, word.start() - 60) : word.start()].casefold()
    value = TRUTH[word[0].casefold()]
    if NEGATED.search(before):
        return 1 - value
    return AMBIGUOUS if HEDGED.search(before) else value
