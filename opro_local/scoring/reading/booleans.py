"""Whether an answer says yes or no, in whatever pair of words the targets use.

For: yes/no, true/false, correct/incorrect, right/wrong, valid/invalid, plausible/implausible, with
direct negation ("not true"). Not for: comparing (scoring/rules.py), hedges ("probably" counts as
said), other languages, "not sure". Answers that say both are `AMBIGUOUS`, and so are indirect
negations ("not necessarily true").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence

from opro_local.scoring.reading import marks
from opro_local.scoring.reading.negation import is_denied

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

# What may stand between "not" and the word it denies.
_ADVERBS = (
    "a|an|the|at[ ]all|quite|really|actually|be|been|logically|deductively|completely|factually"
    "|in[ ]fact"
)
# What a text before a word ends with where the word is denied: "is not really ", "isn't a ".
NEGATED = re.compile(
    rf"""
    (?: \b not | n['’]t | \b never | \b cannot[ ]be | \b far[ ]from ) \s
    (?: (?: {_ADVERBS} ) \s ){{0,2}}
    [*_"'`(]{{0,4}}         # "not **true**"
    $
    """,
    re.VERBOSE,
)
# ... and where it is neither said nor denied: "not necessarily ", "isn't clear whether it is ".
HEDGED = re.compile(
    r"""
    (?: \b (?: not | never ) | n['’]t ) \s
    (?:
        necessarily | always | only | just | merely | entirely
      | sure | clear | certain | known
      | both | the[ ]case
    ) \b
    [^.;!?\n]{0,30}         # the rest of the same clause
    $
    """,
    re.VERBOSE,
)
# What may follow "no" where it is an answer, and not "no one" or "no evidence".
AFTER_NO = re.compile(
    r"""
    \s{0,9} (?: [^\w\s] | $ )       # "No.", "no (it is not)", the end
  |
    \s+ (?:                         # "no because it can't"
        because | since | as | it | this | that | the | he | she | they | there | and | or | but
    ) \b
    """,
    re.VERBOSE,
)
# What a text before a word ends with where something is said to be it: "is ", "seems really ".
SAID_OF = re.compile(
    r"""
    (?: \b (?: is | are | was | were | be | seems? | as | not ) | n['’]t | ['’]s | : ) \s
    (?: (?: \w{1,15}ly | quite | really | a | an ) \s )?    # "is clearly true"
    [*_"'`(]{0,4}
    $
    """,
    re.VERBOSE,
)
# A word with which an answer begins and which is a statement of its own: "**Yes**, because ...".
LEADING = re.compile(
    r"""
    [\s*_"'`#>,-]{0,12}
    (?P<word> \w{2,12} )
    [*_"'`]{0,4}
    \s{0,2}
    (?: [.,;:!(—–-] | $ | \n )
    """,
    re.VERBOSE,
)
# Another word beside one, which may say the opposite: "yes or no", "true / perhaps false".
OTHER_WORD = re.compile(
    r"""
    [*_"'`)]{0,4} \s?
    (?: or | and | / | & | , ) \s?
    (?: perhaps[ ] | maybe[ ] | (?P<denied> not[ ] ) )?
    [*_"'`(]{0,4}
    (?P<word> \w+ )
    """,
    re.VERBOSE,
)
BOLD = re.compile(r"\*\*(?P<text>[^*\n]{1,40})\*\*(?!:)")
EDGES = " \t\r\n*_`\"'.,;:!()[]{}$"
LONGEST = 100
MOST_WORDS = 50


def pair_of(targets: Sequence[str]) -> tuple[str, str] | None:
    """The pair of words all targets are from, case aside; None without one."""
    words = {target.strip().casefold() for target in targets}
    return next((pair for pair in PAIRS if words and words <= set(pair)), None)


def truth(text: str) -> float | None:
    """What a text of one word, or of "not" and one word, stands for: 1.0, 0.0, or None."""
    if len(text) > LONGEST:
        return None
    words = text.casefold().strip(EDGES).split()
    if len(words) == 1:
        return TRUTH.get(words[0], SHORT.get(words[0]))
    if len(words) == 2 and words[0] == "not" and words[1] in TRUTH:
        return 1 - TRUTH[words[1]]
    return None


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
    leading = {*own, "yes", "no"} if own else TRUTH.keys()
    rest = _finder([word for word in EVERY if word not in own]) if own else None

    def read(answer: str, strict: bool) -> float | None:
        answer = marks.first_turn(answer)
        value = truth(answer)
        if value is None:
            value = marks.read_marked(answer, lambda mark: _at_mark(mark, first, rest))
        if value is None:
            answer = marks.standing(answer)
            value = _leading(answer, leading)
        if value is None and not strict:
            value = _emphasised(answer)
        if value is None and not strict:
            value = _agreed(answer, first, bool(own))
            if value is None and rest:
                value = _agreed(answer, rest, False)
        return value

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
    if (value := truth(text)) is not None:
        return value
    for finder in (first, rest) if rest else (first,):
        for word in finder.finditer(text):
            if _is_answer(text, word):
                unclear = _has_rival(text, word) or _is_open(text, word)
                return AMBIGUOUS if unclear else _said(text, word)
    return None


def _leading(answer: str, words: Collection[str]) -> float | None:
    """What the word says with which the answer begins, where it is one of these and stands by
    itself.
    """
    match = LEADING.match(answer)
    if not match or match["word"].casefold() not in words:
        return None
    value = TRUTH[match["word"].casefold()]
    below = truth(answer[match.end("word") :].strip(EDGES).partition("\n")[0])
    # "Yes.\nNo." is a list.
    agrees = below is None or below == value
    return value if agrees and _beside(answer, match.end("word"), value) == value else AMBIGUOUS


def _emphasised(answer: str) -> float | None:
    """What the words in bold say, where they agree and are neither denied nor asked."""
    values = set()
    for match in BOLD.finditer(answer):
        value = truth(match["text"])
        if value is not None and not _is_open(answer, match):
            values.add(value)
    return values.pop() if len(values) == 1 else None


def _agreed(answer: str, finder: re.Pattern[str], own: bool) -> float | None:
    """What all the words say that the finder finds; `AMBIGUOUS` where they differ.

    Words that are not the targets' own count only as what something is said to be.
    """
    agreed = None
    for count, word in enumerate(finder.finditer(answer)):
        if not _is_answer(answer, word):
            continue
        if not own and not SAID_OF.search(answer[max(0, word.start() - 30) : word.start()]):
            continue
        # Words that are repeated without end are looked at one by one up to a bound only.
        if count < MOST_WORDS and _is_open(answer, word):
            continue
        value = _said(answer, word)
        if (agreed is not None and value != agreed) or math.isnan(value):
            return AMBIGUOUS
        agreed = value
    return agreed


def _is_open(text: str, word: re.Match[str]) -> bool:
    """Whether a word is asked or denied otherwise than by a "not" before it: "I can't say yes"."""
    start = max(0, word.start() - 100)
    around = text[start : word.end() + 60].casefold()
    before = around[: word.start() - start]
    if NEGATED.search(before) or HEDGED.search(before):
        return False
    return is_denied(around, word.start() - start, word.end() - start)


def _is_answer(text: str, word: re.Match[str]) -> bool:
    return word[0].casefold() != "no" or AFTER_NO.match(text, word.end()) is not None


def _has_rival(text: str, word: re.Match[str]) -> bool:
    """Whether a word that says the opposite stands right after this one."""
    value = TRUTH[word[0].casefold()]
    return _beside(text, word.end(), value) != value


def _beside(text: str, at: int, value: float) -> float:
    """What the word beside the one that ends here says, or that one's value where none does."""
    other = OTHER_WORD.match(text, at)
    if not other or other["word"].casefold() not in TRUTH:
        return value
    said = TRUTH[other["word"].casefold()]
    return 1 - said if other["denied"] else said


def _said(text: str, word: re.Match[str]) -> float:
    before = text[max(0, word.start() - 60) : word.start()].casefold()
    value = TRUTH[word[0].casefold()]
    if NEGATED.search(before):
        return 1 - value
    return AMBIGUOUS if HEDGED.search(before) else value
