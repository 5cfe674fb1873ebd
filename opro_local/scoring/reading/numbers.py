r"""The number an answer gives, in digits or English words.

For: reading numbers in linear time, strictly (where the answer is marked) and leniently (also the
last one). Not for: how they are written (notation.py), or comparing them with a target
(scoring/rules.py). A number that stands beside another one of equal standing ("5 or 6", "3 + 4",
"2-3") is not read: `AMBIGUOUS`, never a guess.

Read: 1,234,567 and 12,34,567, 1'234, 1_000, no-break and thin spaces, 1.234,56 and 1.234.567,
decimals, exponents, 6 × 10^5, fractions (3/4, ½, \frac{3}{4}), mixed ones (1 1/2, 2½, 2 and a
half), scale words (5 million), words (forty-two, a dozen), currencies before or after and glued
(USD5, $5, 5€), %, minus signs, "minus five", and an accountant's ($500) where nothing else stands
at the marked place.
Not read: powers and roots (10^5), 5k, "3 dozen" (a unit: 3), ordinals, roman numerals, 1 000 with
plain spaces, words of other languages. The sign % is dropped: 50% is 50. 3,5 is two numbers, unless
`comma` says that the comma is decimal.
"""

from __future__ import annotations

import math
import re

from opro_local.scoring.reading import marks, notation, numerals

AMBIGUOUS = notation.AMBIGUOUS

# What may stand between a number and the word or sign that joins it to the next: Markdown,
# currencies, a closing bracket, and up to two words ("5 red apples or 6").
_DECORATION = r"""[ \t\xa0*_`$€£¥₹%°≈~)\[\]"']{0,10}"""
_WORDS = r"(?: [ ]? [A-Za-z]{1,15} [ *]{1,3} ){0,2}?"
# What makes two numbers of equal standing: "or" and its like, a dash, an operator, or nothing
# between them.
JOIN = re.compile(
    rf"""
    (?:
        {_DECORATION} {_WORDS}
        (?: or | and | vs\.? | versus ) \b              # "5 or 6"
        (?: [ ] (?: about | maybe | perhaps | even ) )? # "5 or maybe 6"
        (?: [ ] [A-Za-z] [ ]? = )?                      # "x = 5 or y = 6"
      |
        {_DECORATION} {_WORDS}
        (?:
            [-−–+×·÷/x]                                 # "5-6", "3 + 4"
          | (?<! \* ) \* (?! \* )                       # "3 * 4", and not the bold of "**3** 4"
          | \\ (?: times | cdot | div )
          | (?: minus | plus | times | divided [ ] by ) \b
        )
      |
        {_DECORATION} (?: (?: to | through ) \b | ~ | & )       # "5 to 6"
      |
        [*_]{{0,2}} ,                                   # "5, 6"
      |
        [:.] (?= \d )                                   # "12:30"
      |
        \( (?= \d )                                     # "5(6)"
      |
        [ \t\xa0*_`$]{{1,10}}+ (?! \( )                 # "5 6"
    )
    [ \t\xa0*_`$(\["']{{0,6}}
    (?: {notation.MONEY} [ ]? )?
    [-−–+]?
    """,
    re.VERBOSE,
)
# A number that goes on as something to be worked out: "10^5", "2 ** 3", "2√3", "2\pi", "5! = 120".
UNFINISHED = re.compile(
    r"""
    [ ]?
    (?: \^ | \*\* [ ]? \d | √ | π | \\ (?: sqrt | pi ) \b | ! (?= [ ]? [=/*+] ) )
    """,
    re.VERBOSE,
)
# "x = ", "3 * 4 = ": whatever leads to the last "=" without going through prose.
EXPRESSION = re.compile(
    r"""
    (?: [A-Za-z] [\w ]{0,40} = )?       # "x = ", "total cost = "
    (?:
        [^A-Za-z\n\\]                   # digits, signs and spaces
      | \\ [A-Za-z]{1,8}                # "\times"
      | \\ (?! [A-Za-z] )               # "\,"
      | [xX] (?! [A-Za-z] )             # the x of "3 x 4"
    )*
    [=≈]
    """,
    re.VERBOSE,
)
# What stands after the number of a list's item: "2. Add", "**2:** Add".
LISTED = re.compile(r"[.):] \*{0,2} [ \t]+ \S", re.VERBOSE)
# "The answer is not 5", "... isn't".
NOT = re.compile(r"\W{0,6} (?: not | n[o']t | never ) \b", re.IGNORECASE | re.VERBOSE)
# Where "one" counts nothing: "this one", "one of them".
ONE_OF = re.compile(r"(?:the|this|that|which|each|no|any|every|another) $", re.IGNORECASE)
OF_WHICH = re.compile(r" (?:of|that|which|who|with|way|more)\b")
# Words that are numbers too seldom to stand for one by themselves.
LOOSE = frozenset(("one", "half", "a half", "a quarter", "a third"))

EDGES = " \t\r\n*_`\"'.。!"
# Characters: a number and what belongs to it are shorter, and what is read at once from the end of
# an answer. Both keep the work linear.
LONGEST = 400
WINDOW = 5 * LONGEST


def strict(answer: str, comma: bool = False) -> float | None:
    r"""The marked number: after `####`, in `\boxed{}`, after "the answer is", or the answer is a
    number and no more.

    Args:
        answer: any text.
        comma: the comma is the decimal sign and the point separates thousands ("1.234,5").

    Returns:
        The number; None where none is marked; `AMBIGUOUS` where the last marked place gives more
        than one.
    """
    if len(answer) <= LONGEST and (number := whole(answer, comma)) is not None:
        return number
    return marks.read_marked(answer, lambda mark: _at_mark(mark, comma))


def lenient(answer: str, comma: bool = False) -> float | None:
    """`strict`, and where nothing is marked the last number; words count where there are no
    digits.
    """
    marked = strict(answer, comma)
    return _last(marks.standing(answer), comma) if marked is None else marked


def whole(text: str, comma: bool = False) -> float | None:
    """The number that the text is and nothing else, as targets are written; None for anything
    longer.
    """
    if not comma and (plain := notation.PLAIN.fullmatch(text)):
        return notation.value_of_plain(plain)
    text = notation.plain(text, comma)
    # The point of ".5" is no full stop.
    text = text.strip(EDGES.replace(".", "") if text.lstrip().startswith(".") else EDGES)
    text = text[1:-1] if text[:1] == text[-1:] == "$" else text
    if (negative := notation.accounting(text)) is not None:
        return negative
    if text[:1] == "(" and text[-1:] == ")":
        text = text[1:-1]
    if numerals.NUMERAL.fullmatch(text):
        return numerals.value(text)
    if not notation.BARE.fullmatch(text):
        return None
    match = notation.NUMBER.search(text)
    if not match or UNFINISHED.match(text, match.end()):
        return None
    return notation.value_of(text, match)


def is_number(text: str, comma: bool = False) -> bool:
    """Whether the text is one number and nothing else."""
    number = whole(text, comma) if len(text) <= LONGEST else None
    return number is not None and math.isfinite(number)


def _at_mark(mark: marks.Mark, comma: bool) -> float | None:
    if not comma and (plain := notation.PLAIN.fullmatch(mark.text)):
        return notation.value_of_plain(plain)
    text = marks.sentence(mark.text) if mark.kind == "phrase" else mark.text
    text = notation.plain(text, comma)
    if (negative := notation.accounting(text.strip(EDGES))) is not None:
        return negative
    if mark.kind == "hashes":
        return _after_hashes(text)
    if mark.kind == "phrase" and NOT.match(text):
        return AMBIGUOUS
    if expression := EXPRESSION.match(text):
        result = _first(text[expression.end() :])
        if result is not None:
            return result
    return _first(text)


def _after_hashes(text: str) -> float | None:
    """The number after `####`.

    A heading ("#### 2. Add", "#### Step 1") is no answer: the number has to come first.
    """
    match = notation.NUMBER.search(text, 0, LONGEST)
    if not match or not _comes_first(text, match):
        return whole(text) if len(text) <= LONGEST else None
    return None if LISTED.match(text, match.end()) else _first(text)


def _comes_first(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()].strip(" *.+-−–")
    return not before or notation.BARE.match(text.strip(" *")) is not None


def _first(text: str) -> float | None:
    """The first number of a short text, or what follows its last "=" where the first is part of a
    calculation.
    """
    match = notation.NUMBER.search(text)
    if words := _first_words(text, match.start() if match else len(text)):
        value, end = numerals.value(words[0]), words.end()
    elif match:
        value, end = notation.value_of(text, match), match.end()
    else:
        return None
    if not UNFINISHED.match(text, end) and not _has_rival(text, end, value):
        return value
    equals = max(text.rfind("=", end), text.rfind("≈", end))
    return _first(text[equals + 1 :]) if equals >= 0 else AMBIGUOUS


def _first_words(text: str, end: int) -> re.Match[str] | None:
    """The first number in words before a place, but for the "one" of "this one" and "one of"."""
    for words in numerals.NUMERAL.finditer(text, 0, end):
        if numerals.value(words[0]) is None:
            continue
        if words[0].lower() == "one" and _counts_nothing(text, words):
            continue
        return words
    return None


def _counts_nothing(text: str, one: re.Match[str]) -> bool:
    before = ONE_OF.search(text[: one.start()])
    return before is not None or OF_WHICH.match(text, one.end()) is not None


def _has_rival(text: str, end: int, value: float | None) -> bool:
    """Whether another number of equal standing follows a number that ends here."""
    joined = JOIN.match(text, end)
    if not joined:
        return False
    if digits := notation.NUMBER.match(text, joined.end()):
        return notation.value_of(text, digits) != value
    words = numerals.NUMERAL.match(text, joined.end())
    if not words or words[0].lower() in LOOSE:
        return False
    return numerals.value(words[0]) not in (value, None)


def _last(answer: str, comma: bool) -> float | None:
    # Windows from the end, because answers are long and the number wanted is near their end. A
    # number counts only in a window that shows what stands before it.
    for end in range(len(answer), 0, LONGEST - WINDOW + 2 * LONGEST):
        start = max(0, end - WINDOW)
        first = 2 * LONGEST + 1 if start else 0
        text = notation.plain(answer[start:end], comma)
        matches = [match for match in notation.NUMBER.finditer(text) if match.start() >= first]
        while matches and _is_listed(text, matches[-1]):
            matches.pop()
        if matches:
            return _alone(text, matches)
    return _last_words(answer[-WINDOW:])


def _is_listed(text: str, match: re.Match[str]) -> bool:
    """Whether the number counts a list's items ("2. Add them", "Step 2: add them")."""
    if not LISTED.match(text, match.end()):
        return False
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    return line.strip(" \t*#_>(").lower() in ("", "step")


def _alone(text: str, matches: list[re.Match[str]]) -> float | None:
    """The last number, unless it is unfinished or the one before it is of equal standing."""
    last = matches[-1]
    value = notation.value_of(text, last)
    if UNFINISHED.match(text, last.end()):
        return AMBIGUOUS
    if len(matches) > 1:
        before = matches[-2]
        joined = JOIN.match(text, before.end())
        if joined and joined.end() == last.start() and notation.value_of(text, before) != value:
            return AMBIGUOUS
    return value


def _last_words(text: str) -> float | None:
    """The last number in words, unless the one before it is of equal standing."""
    matches, values = [], []
    for words in numerals.NUMERAL.finditer(text):
        if words[0].lower() in LOOSE or (value := numerals.value(words[0])) is None:
            continue
        matches.append(words)
        values.append(value)
    if not matches:
        return None
    if len(matches) > 1 and values[-2] != values[-1]:
        before, last = matches[-2:]
        if JOIN.fullmatch(text, before.end(), last.start()):
            return AMBIGUOUS
    return values[-1]
