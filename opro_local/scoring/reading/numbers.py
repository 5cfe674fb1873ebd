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
Not read: numbers whose neighbours make them a part of something else (neighbours.py: 10^5, 5!, "at
least 5", "room 101"), what an answer takes back (corrections.py), "3 dozen" (a unit: 3), ordinals,
roman numerals, words of other languages. The sign % is dropped: 50% is 50. 3,5 is two numbers,
unless `comma` says that the comma is decimal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from opro_local.scoring.reading import conclusions, corrections, marks, notation, numerals, rivals

AMBIGUOUS = notation.AMBIGUOUS

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
# "The answer is not 5", "... isn't".
NOT = re.compile(r"\W{0,6} (?: not | n[o']t | never ) \b", re.IGNORECASE | re.VERBOSE)
# Where "one" counts nothing: "this one", "one of them".
ONE_OF = re.compile(r"(?:the|this|that|which|each|no|any|every|another) $", re.IGNORECASE)
OF_WHICH = re.compile(r" (?:of|that|which|who|with|way|more)\b")
# "007", "4012888888881881", "1 234 567 890 123 456".
IDENTIFIER = re.compile(r"0\d+|\d(?:[ ,'_]?\d){15,}", re.ASCII)
# "≈ 4.8 ≈ 5" gives two results.
ROUNDED_TWICE = re.compile(r"≈[^≈=\n]{1,30}≈")
EDGES = " \t\r\n*_`\"'.。"
# Characters: a number and what belongs to it are shorter.
LONGEST = 400

DIGITS = re.compile(r"\d[\d.,]*")
# A statement as short as this with a denial and one number says what the number is not.
LONGEST_DENIAL = 120
DENIAL = re.compile(
    r"""
    \b (?:
        not | never | cannot | \w+n['\u2019]t | isnt | wrong | incorrect
        | too [ ] (?: high | low | many | much )
        | anything [ ] but | unlikely | doubt
        | (?: less | more | fewer | greater ) [ ] than | at [ ] (?: least | most )
        | nicht | kein\w* | falsch | pas | jamais | faux | non [ ] \u00e8 | \u043d\u0435
    ) \b
    """,
    re.VERBOSE | re.IGNORECASE,
)


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
    return _standing(marks.first_turn(answer), comma, _strict)


def _strict(answer: str, comma: bool) -> float | None:
    if len(answer) <= LONGEST and (number := whole(answer, comma)) is not None:
        return number
    return marks.read_marked(answer, lambda mark: _at_mark(mark, comma))


def lenient(answer: str, comma: bool = False) -> float | None:
    """`strict`, and where nothing is marked the number that the answer begins with as its whole
    statement, or comes to (conclusions.py); words count where there are no digits.
    """
    return _standing(marks.first_turn(answer), comma, _lenient)


def _lenient(answer: str, comma: bool) -> float | None:
    marked = _strict(answer, comma)
    if marked is not None:
        return marked
    text = marks.standing(answer)
    if _is_denied(text):
        return None
    begun = conclusions.first_said(text, comma)
    return conclusions.last_said(text, comma) if begun is None else begun


def _standing(answer: str, comma: bool, read: Callable[[str, bool], float | None]) -> float | None:
    """What an answer says once its corrections are made; `AMBIGUOUS` where they may be none."""
    answer = corrections.without_struck(answer)
    correction = corrections.last(answer)
    if correction is None:
        return read(answer, comma)
    after = read(correction.after, comma)
    if correction.is_certain or _strict(correction.after, comma) is not None:
        return AMBIGUOUS if after is None else after
    before = read(correction.before, comma)
    return read(answer, comma) if before is None or before == after else AMBIGUOUS


def _is_denied(text: str) -> bool:
    """Whether a short answer gives one number and denies or bounds it: "not 28", "more than 3"."""
    one_number = len(text) <= LONGEST_DENIAL and len(DIGITS.findall(text)) == 1
    return one_number and DENIAL.search(text) is not None


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
    if not match or rivals.UNFINISHED.match(text, match.end()):
        return None
    return notation.value_of(text, match)


def is_identifier(text: str) -> bool:
    """Whether digits are a name and no amount: with zeros in front, or more than 15 of them, which
    no amount of a data set has and no float tells apart.
    """
    return IDENTIFIER.fullmatch(text.strip()) is not None


def is_number(text: str, comma: bool = False) -> bool:
    """Whether the text is one number and nothing else, and no identifier."""
    if is_identifier(text):
        return False
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
    if ROUNDED_TWICE.search(text):
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
    return None if rivals.LISTED.match(text, match.end()) else _first(text)


def _comes_first(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()].strip(" *.+-−–")
    return not before or notation.BARE.match(text.strip(" *")) is not None


def _first(text: str) -> float | None:
    """The first number of a short text, or what follows its last "=" where the first is part of a
    calculation.
    """
    match = next(
        (match for match in notation.NUMBER.finditer(text) if not notation.is_name(text, match)),
        None,
    )
    if words := _first_words(text, match.start() if match else len(text)):
        value, end = notation.value_of_words(text, words), words.end()
    elif match:
        value, end = notation.value_of(text, match), match.end()
    else:
        return None
    if rivals.SECOND.match(text, end):
        return AMBIGUOUS
    is_alone = not rivals.UNFINISHED.match(text, end) and not rivals.has_rival(text, end, value)
    equals = max(text.rfind("=", end), text.rfind("≈", end))
    if is_alone and not (equals >= 0 and rivals.CALCULATED.fullmatch(text, end, equals)):
        return value
    return _first(text[equals + 1 :]) if equals >= 0 else AMBIGUOUS


def _first_words(text: str, end: int) -> re.Match[str] | None:
    """The first number in words before a place, but for the "one" of "this one" and "one of"."""
    for words in numerals.NUMERAL.finditer(text, 0, end):
        if notation.value_of_words(text, words) is None:
            continue
        if words[0].lower() == "one" and _counts_nothing(text, words):
            continue
        return words
    return None


def _counts_nothing(text: str, one: re.Match[str]) -> bool:
    before = ONE_OF.search(text[: one.start()])
    return before is not None or OF_WHICH.match(text, one.end()) is not None
