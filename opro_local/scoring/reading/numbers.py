r"""The number an answer gives, in digits or English words.

For: reading numbers in linear time, strictly (where the answer is marked) and leniently (also the
last one). Not for: comparing them with a target (rules.py). A number that stands beside another one
of equal standing ("5 or 6", "3 + 4", "2-3") is not read: `AMBIGUOUS`, never a guess.

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
import unicodedata

from opro_local.scoring.reading import marks, numerals

AMBIGUOUS = math.nan

CODES = "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|INR|HKD|SGD|KRW|MXN|BRL|SEK|NOK|DKK|PLN|ZAR|AED"
MONEY = rf"(?:(?:US|CA|AU|NZ|HK)?\\?[$€£¥₹₩₽₺₪₫฿]|{CODES}|Rs\.?|RM|kr\.?)"
# It starts with a digit, so that the scan is fast; what stands before that digit is looked up after
# it. Not after a letter, "_" or "^": the 2 of CO2, m2, x_2, m^2 and √2 is no number of its own; but
# USD5 is one.   group 1: the digits with their separators, decimals and exponent   2: the separator
# 3, 4: a mixed number's part   5: denominator   6: power of ten   7: scale word   8: "and a half"
NUMBER = re.compile(
    rf"(\d(?:(?<![A-Za-z_^√\d].)(?<!\^[-−+{{].)(?<!\\sqrt\{{.)|(?<=\b(?:{CODES}).)|(?<=\b(?:Rs|RM|kr).))"
    r"(?:\d{0,2}(?:\.\d{3})+,(?:\d{1,2}|\d{4,})(?![\d,.])|\d{0,2}(?:\.\d{3}){2,}(?![\d.]\d|\d)"
    r"|(?:\d{0,2}([,'’_\u00a0\u202f\u2009])\d{3}(?:\2\d{3})*(?!\d)|\d?(?:,\d{2})+,\d{3}(?!\d)|\d*)"
    r"(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?!\w))?))"
    r"(?:[ ](?:and[ ])?(\d{1,9})/(\d{1,9})(?![\d/])|[ ]?/[ ]?(\d+(?:\.\d+)?)(?![\d/])"
    r"|[ ]?(?:[×x*·]|\\times|\\cdot)[ ]?10\^\{?([-−+]?\d{1,3})(?!\d)\}?)?"
    r"(?:[ ](hundred|thousand|million|billion|trillion)\b)?(?:[ ]and[ ]a[ ](half|quarter)\b)?"
)
_DECORATION = r"[ \t\xa0*_`$€£¥₹%°≈~)\[\]\"']{0,10}"
_WORDS = r"(?:[ ]?[A-Za-z]{1,15}[ *]{1,3}){0,2}?"
# What makes two numbers of equal standing: "or" and its like, a dash, an operator, or nothing
# between them.
JOIN = re.compile(
    rf"(?:{_DECORATION}{_WORDS}(?:or|and|vs\.?|versus)\b(?:[ ](?:about|maybe|perhaps|even))?(?:[ ][A-Za-z][ ]?=)?"
    rf"|{_DECORATION}{_WORDS}(?:[-−–+×·÷/x]|(?<!\*)\*(?!\*)|\\(?:times|cdot|div)|(?:minus|plus|times|divided[ ]by)\b)"
    rf"|{_DECORATION}(?:(?:to|through)\b|~|&)|[*_]{{0,2}},|[:.](?=\d)|\((?=\d)|[ \t\xa0*_`$]{{1,10}}+(?!\())"
    rf"[ \t\xa0*_`$(\[\"']{{0,6}}(?:{MONEY}[ ]?)?[-−–+]?"
)
# A number that goes on as something to be worked out.
UNFINISHED = re.compile(r"[ ]?(?:\^|\*\*[ ]?\d|√|π|\\(?:sqrt|pi)\b|!(?=[ ]?[=/*+]))")
# "x = ", "3 * 4 = ": whatever leads to the last "=" without going through prose.
EXPRESSION = re.compile(
    r"(?:[A-Za-z][\w ]{0,40}=)?(?:[^A-Za-z\n\\]|\\[A-Za-z]{1,8}|\\(?![A-Za-z])|[xX](?![A-Za-z]))*[=≈]"
)
# What most marked places hold, read without further ado.
PLAIN = re.compile(r"[ *]{0,8}(-?)\$?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?[ .*]{0,8}", re.ASCII)
BARE = re.compile(
    rf"[-−–+]?(?:{MONEY}[ ]?)?[-−–+]?\.?(?:{NUMBER.pattern})(?:[ ]?(?:%|percent\b|°|{MONEY}))?",
    re.IGNORECASE,
)
ACCOUNTING = re.compile(rf"(?:({MONEY})[ ]?)?\([ ]?(?:({MONEY})[ ]?)?([\d,.'’]{{1,40}})[ ]?\)")
BEFORE_MONEY = re.compile(rf"(?<![A-Za-z]){MONEY}[ ]?$")
BEFORE_WORD = re.compile(r"(?<!\w)(?:minus|negative)[ ]$", re.IGNORECASE)
LISTED = re.compile(r"[.):]\*{0,2}[ \t]+\S")
NOT = re.compile(r"\W{0,6}(?:not|n[o']t|never)\b", re.IGNORECASE)
ONE_OF = re.compile(r"(?:the|this|that|which|each|no|any|every|another) $", re.IGNORECASE)
OF_WHICH = re.compile(r" (?:of|that|which|who|with|way|more)\b")
LOOSE = frozenset(("one", "half", "a half", "a quarter", "a third"))

MINUS = frozenset("-−–")
EDGES = " \t\r\n*_`\"'.。!"
LONGEST = 400
WINDOW = 5 * LONGEST

FRACTION = r"\\[dt]?frac\s?(?:\{(-?\d{1,30})\}\s?\{(\d{1,30})\}|(\d)(\d))"
LATEX = (
    (re.compile(r"\{,\}|\\!|\\,(?=\d{3})"), lambda found: "," if found[0] == "{,}" else ""),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\{|\\[,;: ()\[\]]|\\q?quad\b|~"), " "),
    (re.compile(r"\^\s?\{?\\circ\}?"), "°"),
    (re.compile(r"([_^])\{"), r"\1"),
    (re.compile(r"\\boxed\{"), " "),
    (re.compile(rf"(?<=\d){FRACTION}"), r" \1\3/\2\4"),
    (re.compile(FRACTION), r"\1\3/\2\4"),
)
VULGAR = re.compile("[¼½¾⅐-⅞]")
BETWEEN_DIGITS = re.compile(r"(?<=\d)[.,](?=\d)")


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
    if len(answer) <= LONGEST and (found := whole(answer, comma)) is not None:
        return found
    return marks.read_marked(answer, lambda mark: _at_mark(mark, comma))


def lenient(answer: str, comma: bool = False) -> float | None:
    """`strict`, and where nothing is marked the last number; words count where there are no digits."""
    found = strict(answer, comma)
    return _last(marks.standing(answer), comma) if found is None else found


def whole(text: str, comma: bool = False) -> float | None:
    """The number that the text is and nothing else, as targets are written; None for anything
    longer.
    """
    if not comma and (found := PLAIN.fullmatch(text)):
        return _of_plain(found)
    text = _plain(text, comma).strip(
        EDGES if not text.lstrip().startswith(".") else EDGES.replace(".", "")
    )
    text = text[1:-1] if text[:1] == text[-1:] == "$" else text
    if (found := _accounting(text)) is not None:
        return found
    if text[:1] == "(" and text[-1:] == ")":
        text = text[1:-1]
    if numerals.NUMERAL.fullmatch(text):
        return numerals.value(text)
    if not BARE.fullmatch(text):
        return None
    found = NUMBER.search(text)
    return _value(text, found) if found and not UNFINISHED.match(text, found.end()) else None


def _of_plain(found: re.Match[str]) -> float | None:
    value = float(found[1] + found[2].replace(",", "") + (found[3] or ""))
    return value if math.isfinite(value) else None


def is_number(text: str, comma: bool = False) -> bool:
    """Whether the text is one number and nothing else."""
    found = whole(text, comma) if len(text) <= LONGEST else None
    return found is not None and math.isfinite(found)


def _at_mark(mark: marks.Mark, comma: bool) -> float | None:
    if not comma and (found := PLAIN.fullmatch(mark.text)):
        return _of_plain(found)
    text = _plain(marks.sentence(mark.text) if mark.kind == "phrase" else mark.text, comma)
    if (found := _accounting(text.strip(EDGES))) is not None:
        return found
    if mark.kind == "hashes":
        # A heading ("#### 2. Add", "#### Step 1") is no answer: the number has to come first.
        found = NUMBER.search(text, 0, LONGEST)
        if not found or (
            text[: found.start()].strip(" *.+-−–") and not BARE.match(text.strip(" *"))
        ):
            return whole(text) if len(text) <= LONGEST else None
        return None if LISTED.match(text, found.end()) else _first(text)
    if mark.kind == "phrase" and NOT.match(text):
        return AMBIGUOUS
    if expression := EXPRESSION.match(text):
        found = _first(text[expression.end() :])
        if found is not None:
            return found
    return _first(text)


def _first(text: str) -> float | None:
    """The first number of a short text, or what follows its last "=" where the first is part of a
    calculation.
    """
    found = NUMBER.search(text)
    if word := _first_words(text, found.start() if found else len(text)):
        value, end = numerals.value(word[0]), word.end()
    elif found:
        value, end = _value(text, found), found.end()
    else:
        return None
    if not UNFINISHED.match(text, end) and not _beside(text, end, value):
        return value
    at = max(text.rfind("=", end), text.rfind("≈", end))
    return _first(text[at + 1 :]) if at >= 0 else AMBIGUOUS


def _first_words(text: str, end: int) -> re.Match[str] | None:
    for found in numerals.NUMERAL.finditer(text, 0, end):
        if numerals.value(found[0]) is None:
            continue
        if found[0].lower() == "one" and (
            ONE_OF.search(text[: found.start()]) or OF_WHICH.match(text, found.end())
        ):
            continue
        return found
    return None


def _beside(text: str, end: int, value: float | None) -> bool:
    """Whether another number of equal standing follows."""
    joined = JOIN.match(text, end)
    if not joined:
        return False
    if found := NUMBER.match(text, joined.end()):
        return _value(text, found) != value
    found = numerals.NUMERAL.match(text, joined.end())
    return (
        found is not None
        and found[0].lower() not in LOOSE
        and numerals.value(found[0]) not in (value, None)
    )


def _last(answer: str, comma: bool) -> float | None:
    # Windows from the end, because answers are long and the number wanted is near their end. A
    # number counts only in a window that shows what stands before it.
    for end in range(len(answer), 0, LONGEST - WINDOW + 2 * LONGEST):
        start = max(0, end - WINDOW)
        text = _plain(answer[start:end], comma)
        found = [
            number for number in NUMBER.finditer(text) if not start or number.start() > 2 * LONGEST
        ]
        while found and _listed(text, found[-1]):
            found.pop()
        if found:
            return _alone(text, found)
    return _last_words(answer[-WINDOW:])


def _listed(text: str, found: re.Match[str]) -> bool:
    """Whether the number counts a list's items ("2. Add them", "Step 2: add them")."""
    if not LISTED.match(text, found.end()):
        return False
    line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    return line.strip(" \t*#_>(").lower() in ("", "step")


def _alone(text: str, found: list[re.Match[str]]) -> float | None:
    *_, last = found
    value = _value(text, last)
    if UNFINISHED.match(text, last.end()):
        return AMBIGUOUS
    if len(found) > 1:
        before = found[-2]
        joined = JOIN.match(text, before.end())
        if joined and joined.end() == last.start() and _value(text, before) != value:
            return AMBIGUOUS
    return value


def _last_words(text: str) -> float | None:
    words = (word for word in numerals.NUMERAL.finditer(text) if word[0].lower() not in LOOSE)
    found = [(word, value) for word in words if (value := numerals.value(word[0])) is not None]
    if not found:
        return None
    last, value = found[-1]
    if (
        len(found) > 1
        and found[-2][1] != value
        and JOIN.fullmatch(text, found[-2][0].end(), last.start())
    ):
        return AMBIGUOUS
    return value


def _plain(text: str, comma: bool) -> str:
    """A short text without the notations that stand for plainer ones: LaTeX, ½, ⁄, decimal commas
    where said.
    """
    if not text.isascii():
        text = text.replace("⁄", "/").replace("∕", "/").replace("٫", ".").replace("٬", ",")
        text = VULGAR.sub(_vulgar, text)
    if "\\" in text or "{" in text:
        for pattern, plain in LATEX:
            text = pattern.sub(plain, text)
    if comma:
        text = BETWEEN_DIGITS.sub(lambda found: "," if found[0] == "." else ".", text)
    return text


def _vulgar(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return f" {top}/{bottom}"


def _accounting(text: str) -> float | None:
    """The negative of an accountant, "($1,234)": in parentheses, with a currency or a separator,
    and alone.
    """
    found = ACCOUNTING.fullmatch(text)
    if not found or not (found[1] or found[2] or re.search("[,.'’]", found[3])):
        return None
    body = NUMBER.fullmatch(found[3])
    value = _value(found[3], body) if body else None
    return None if value is None else -value


def _value(text: str, found: re.Match[str]) -> float | None:
    body, separator, part, parts, denominator, power, scale, extra = found.groups()
    start = found.start()
    value = _decimal(body, separator)
    if (
        text[start - 1 : start] == "."
        and body.isdecimal()
        and not text[max(0, start - 2) : start - 1].isalnum()
    ):
        # ".5": the point stands before the first digit.
        value, start = float("0." + body), start - 1
    if parts:
        if not 0 < int(part) < int(parts):
            return AMBIGUOUS
        value += int(part) / int(parts)
    if denominator:
        value = value / float(denominator) if float(denominator) else math.inf
    if power:
        value *= 10.0 ** int(power.replace("−", "-"))
    if scale:
        value *= numerals.SCALES[scale]
    if extra:
        value += 1 / numerals.PARTS[extra]
    if not math.isfinite(value):
        return None
    return -value if _negative(text, start) else value


def _decimal(body: str, separator: str | None) -> float:
    if body.count(".") > 1 or (body.count(".") == 1 and body.find(",") > body.find(".")):
        return float(body.replace(".", "").replace(",", "."))
    return float(body.replace(separator, "") if separator else body.replace(",", ""))


def _negative(text: str, at: int) -> bool:
    """Whether the sign before a number is a minus and not the dash of "5-3", "10 - 4" or "pages
    3-5".
    """
    before = text[max(0, at - 48) : at]
    before = BEFORE_MONEY.sub("", before)
    if BEFORE_WORD.search(before):
        return True
    if not before or before[-1] not in MINUS:
        return False
    left = BEFORE_MONEY.sub("", before[:-1])
    # A space on the left and none on the right: "is -5". After an operand it would be a
    # subtraction: "8 -5".
    spaced = left.rstrip(" ")
    return not spaced or not (
        spaced[-1].isdigit() or spaced[-1] in ")]}%-−–" or (spaced == left and spaced[-1].isalpha())
    )
