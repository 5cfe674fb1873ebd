"""Whether an answer says yes or no, in whatever pair of words the targets use.

For: yes/no, true/false, correct/incorrect, right/wrong, valid/invalid, plausible/implausible, with
direct negation ("not true"), corrections ("No. Actually yes"), and whole answers in other words and
languages (assent.py). Not for: comparing (scoring/rules.py), "not sure". Answers that say both are
`AMBIGUOUS`, and so are indirect negations ("not necessarily true"), conditions, doubt ("it may be
true") and what others say; "probably" counts as said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence

from opro_local.scoring.reading import marks, unsaid
from opro_local.scoring.reading.assent import BEGINNING, OF_STATEMENT, POLITE, WHOLE
from opro_local.scoring.reading.claims import Piece, claimed
from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.normal import typed
from opro_local.scoring.reading.pieces import PIECE

AMBIGUOUS = math.nan

PAIRS = (
    ("yes", "no"),
    ("true", "false"),
    ("correct", "incorrect"),
    ("right", "wrong"),
    ("valid", "invalid"),
    ("plausible", "implausible"),
)
TRUTH = {word: float(index == 0) for pair in PAIRS for index, word in enumerate(pair)}
EVERY = tuple(TRUTH)
_WORDS = {**BEGINNING, **TRUTH}
ANY = re.compile(rf"(?<![\w-])(?:{'|'.join(EVERY[:4])})(?![\w-])")

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
THOUGH = re.compile(r"[\s(,]+(?:al|even )?though\b")
# The question, repeated before the answer: "Yes or no: yes".
ECHO = re.compile(
    r"""
    ^ \W* (?: yes [ ]? (?: or | / ) [ ]? no | true [ ]? (?: or | / ) [ ]? false ) \b
    [*_"')]{0,4} [ ]? [:?] [\s*_]* (?= \w )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A first word that is taken back right away.
CORRECTED = re.compile(
    r"""
    [\s*_"'`#>(]{0,12} (?: yes | no | true | false ) \b [*_"'`)]{0,4} \s{0,2}
    (?:
        (?: [.!?,;]+ | -+ )? \s{0,3} (?: but [ ] )? \(?
        (?: actually | should [ ] be | i [ ] mean | or [ ] rather | rather | hmm+
            | make [ ] that ) \b
      | -> | → | =>
    )
    [\s,.:-]*
    """,
    re.IGNORECASE | re.VERBOSE,
)
# "It's right there in the text"
AFTER_RIGHT = re.compile(r"\s{1,3}(?:there|here|in|on|at|before|after|now|away|next|side|hand)\b")
# "false, " of '{"answer": false, "reason": ...'.
JSON_SAYS = re.compile(r"\s?(?P<word>true|false)\s?,\s*\"")
BOLD = re.compile(r"\*\*(?P<text>[^*\n]{1,40})\*\*(?!:)")
EDGES = " \t\r\n*_`\"'.,;:!()[]{}$"
LONGEST, LONGEST_LISTED = 100, 200
MOST_WORDS = 50


def pair_of(targets: Sequence[str]) -> tuple[str, str] | None:
    """The pair of words all targets are from, case aside; None without one."""
    words = {target.strip().casefold() for target in targets}
    return next((pair for pair in PAIRS if words and words <= set(pair)), None)


def truth(text: str) -> float | None:
    """What a text stands for that is a word of assent.py or of a pair, or "not" and such a word:
    1.0, 0.0, or None.
    """
    if len(text) > LONGEST or "?" in text:
        return None
    words = typed(text).casefold().strip(EDGES).replace(",", "").split()
    said = TRUTH.get(" ".join(words), WHOLE.get(" ".join(words)))
    if said is not None:
        return said
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
    leading = {*own, "yes", "no", *BEGINNING} if own else {*TRUTH, *BEGINNING}
    rest = _finder([word for word in EVERY if word not in own]) if own else None

    def read(answer: str, strict: bool) -> float | None:
        answer = typed(marks.first_turn(answer))
        value = truth(answer)
        if value is not None:
            return value
        answer = ECHO.sub("", POLITE.sub("", answer, count=1), count=1)
        value = truth(answer)
        if value is None:
            value = _corrected(answer, read)
        if value is None:
            value = _listed(answer)
        if value is None:
            value = marks.read_marked(answer, lambda mark: _at_mark(mark, first, rest))
        if value is None:
            value = AMBIGUOUS if unsaid.answers_other(answer) else None
            answer = marks.standing(answer)
        if value is None:
            value = _leading(answer, leading)
        if value is None and not strict:
            value = _in_text(answer, first, rest, bool(own))
        return value

    return read


def _in_text(
    answer: str, first: re.Pattern[str], rest: re.Pattern[str] | None, own: bool
) -> float | None:
    """What an answer says without a mark: in bold, by its own words, or by the others."""
    value = _emphasised(answer)
    if value is None:
        value = _agreed(answer, first, own)
    if value is None and rest:
        value = _agreed(answer, rest, False)
    return value


def _listed(answer: str) -> float | None:
    """What a short answer says that names both words, where each piece of it is understood: "[x]
    yes [ ] no", "yes: 0, no: 1", "not yes but no".
    """
    # "No (though some say yes)" goes on about others.
    text = THOUGH.split(answer.strip().casefold(), maxsplit=1)[0]
    if len(text) > LONGEST_LISTED or len({TRUTH[word[0]] for word in ANY.finditer(text)}) < 2:
        return None
    said: list[Piece] = []
    at = 0
    while at < len(text):
        word = ANY.match(text, at)
        match = word or PIECE.match(text, at)
        if not match or not match[0]:
            return None
        kind, name, at = match.lastgroup or "", match[0], match.end()
        if word:
            kind, name = "label", str(TRUTH[word[0]])
        elif denied := ANY.search(match[0]):
            # "is not true"
            kind, name, at = "no", "not", match.start() + denied.start()
        said.append(Piece(kind, name, at))
    if any(piece.kind == "arrow" for piece in said):
        # "Answer: yes -> no" is for the place that is marked.
        return None
    given = claimed(said, one=True)
    is_one = isinstance(given, frozenset) and len(given) == 1
    return float(next(iter(given))) if is_one and isinstance(given, frozenset) else AMBIGUOUS


def _corrected(answer: str, read: Callable[[str, bool], float | None]) -> float | None:
    """What an answer of few words says after it takes its first word back: "No... Actually yes"."""
    match = CORRECTED.match(answer)
    if not match:
        return None
    value = read(answer[match.end() :], True)
    return AMBIGUOUS if value is None else value


def _finder(words: Sequence[str]) -> re.Pattern[str]:
    # The words come first and the look to their left after them: a pattern that starts with letters
    # scans fast.
    parts = (rf"{word}(?<![\w-]{word})" for word in words)
    return re.compile(rf"(?:{'|'.join(parts)})(?![\w-])", re.IGNORECASE)


def _at_mark(
    mark: marks.Mark, first: re.Pattern[str], rest: re.Pattern[str] | None
) -> float | None:
    if corrected := CORRECTED.match(mark.text):
        value = truth(marks.sentence(mark.text[corrected.end() :]))
        return AMBIGUOUS if value is None else value
    if json := JSON_SAYS.match(mark.text):
        return TRUTH[json["word"]]
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
    if unsaid.CONDITION.match(answer, match.end("word")):
        return AMBIGUOUS
    value = _WORDS[match["word"].casefold()]
    own = OF_STATEMENT.match(answer, match.end("word"))
    if own and own["word"].casefold() in TRUTH:
        said = TRUTH[own["word"].casefold()]
        if value != (1 - said if own["denied"] else said):
            return AMBIGUOUS
    second = LEADING.match(answer[match.end() :].lstrip(EDGES))
    if second and TRUTH.get(second["word"].casefold(), value) != value:
        # "Yes... no, actually no."
        return AMBIGUOUS
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
    agreed, is_open = None, False
    for count, word in enumerate(finder.finditer(answer)):
        if not _is_answer(answer, word):
            continue
        if not own and not SAID_OF.search(answer[max(0, word.start() - 30) : word.start()]):
            continue
        # Words that are repeated without end are looked at one by one up to a bound only.
        if count < MOST_WORDS and _is_open(answer, word):
            is_open = True
            continue
        value = AMBIGUOUS if _has_rival(answer, word) else _said(answer, word)
        if (agreed is not None and value != agreed) or math.isnan(value):
            return AMBIGUOUS
        agreed = value
    return AMBIGUOUS if agreed is None and is_open else agreed


def _is_open(text: str, word: re.Match[str]) -> bool:
    """Whether a word is asked or denied otherwise than by a "not" before it: "I can't say yes"."""
    start = max(0, word.start() - 100)
    around = text[start : word.end() + 60].casefold()
    before = around[: word.start() - start]
    agrees = truth(word[0]) == 1
    if unsaid.is_open(text, word, before) or (agrees and unsaid.is_crossed(text, word, before)):
        return True
    if NEGATED.search(before) or HEDGED.search(before):
        return False
    return is_denied(around, word.start() - start, word.end() - start)


def _is_answer(text: str, word: re.Match[str]) -> bool:
    low = word[0].casefold()
    if low not in ("yes", "no") and unsaid.is_of_thing(text, word):
        return False
    if low == "right":
        return AFTER_RIGHT.match(text, word.end()) is None
    return low != "no" or AFTER_NO.match(text, word.end()) is not None


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
