"""English number words: "forty-two", "three hundred and five", "a dozen", "two and a half".

For: finding them and their values. Not for: digits (notation.py), ordinals ("third"), other
languages.
"""

from __future__ import annotations

import math
import re

_ONES = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen"
)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
ONES, TENS = _ONES.split("|"), _TENS.split("|")
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
VALUES = (
    {word: n for n, word in enumerate(ONES)}
    | {word: 10 * n for n, word in enumerate(TENS, 2)}
    | SCALES
)
PARTS = {
    "half": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    "tenth": 10,
}
PLURALS = {"halves": 2} | {f"{word}s": n for word, n in PARTS.items() if word != "half"}

_FIRST = "|".join(sorted([*ONES, *TENS], key=len, reverse=True))
_SCALE = "|".join(SCALES)
_PART = "|".join([*PLURALS, *PARTS])
# Between two words: "forty-two", "two hundred, five", "five and six".
_SEPARATOR = r"(?: [ \t\xa0‑-]{1,2} | ,[ ] | [ ]and[ ] | -and- )"
# A number in words. It has no groups, so that it can be part of another expression.
NUMERAL = re.compile(
    rf"""
    \b
    (?: (?: minus | negative ) [ ] )?
    (?:                                             # the first word
        half [ ] an? [ ] dozen                      # "half a dozen"
      | an? [ ] (?: {_SCALE} | dozen | half | third | quarter )     # "a hundred", "a half"
      | dozen
      | half
      | {_FIRST}                                    # "forty", "five"
    )
    (?:                                             # the others: "-two", " hundred", " point"
        {_SEPARATOR}
        (?: an? [ ] (?= half | third | quarter ) )?     # "two and a half"
        (?: {_FIRST} | {_SCALE} | dozen | point | {_PART} ) \b
    ){{0,20}}
    (?! \w | [-‑] \w )                              # not "fivefold", "five-year"
    """,
    re.IGNORECASE | re.VERBOSE,
)
WORD = re.compile(r"[a-z]+")


def value(text: str) -> float | None:
    """The value of what `NUMERAL` matched; NaN for two numbers ("five and six"), None for an
    ordinal ("one fifth" is a number, "forty-fifth" is none)."""
    words = WORD.findall(text.lower())
    sign = -1.0 if words[0] in ("minus", "negative") else 1.0
    words = words[1:] if sign < 0 else words
    words = ["one" if word in ("a", "an") else word for word in words]
    number = _unsigned(words)
    if number is None:
        return None if words[-1] in PARTS else math.nan
    return sign * number


def _unsigned(words: list[str]) -> float | None:
    if words[-1] == "dozen":
        before = words[:-1]
        if before[:1] == ["half"]:
            return 6.0 if before[1:] in ([], ["one"]) else None
        count = _whole(before) if before else 1
        return None if count is None else 12.0 * count
    if "point" in words:
        at = words.index("point")
        whole = _whole(words[:at])
        # 10 stands for a word that is no digit.
        digits = [VALUES.get(word, 10) for word in words[at + 1 :]]
        if whole is None or not digits or max(digits) > 9:
            return None
        return float(f"{whole}.{''.join(map(str, digits))}")
    if words[-1] in PARTS or words[-1] in PLURALS:
        return _with_part(words)
    number = _whole(words)
    return None if number is None else float(number)


def _with_part(words: list[str]) -> float | None:
    """The value of "half", "two thirds", "two and a half".

    A plural stands after anything but one, a singular after one.
    """
    *before, part = words
    at = len(before) - 1 - before[::-1].index("and") if "and" in before else -1
    whole = _whole(before[:at]) if at > 0 else 0
    count = _whole(before[at + 1 :]) if before[at + 1 :] else 1
    if whole is None or count is None or (count == 1) != (part in PARTS):
        return None
    return whole + count / (PARTS.get(part) or PLURALS[part])


def _whole(words: list[str]) -> int | None:
    """The whole number that these words are in this order; None where they are none or several.

    "two thousand three hundred five": `group` is what has been said since the last scale word,
    `room` what the next word must stay below for it to be the same number ("twenty" leaves room for
    a digit, "five" for nothing), and `scale` the last scale word, which the next must stay below.
    """
    total, group, room, scale = 0, 0, 1000, 10**15
    before = ""
    for word in words:
        if word == "and":
            if before not in SCALES:
                return None
        elif word not in VALUES:
            return None
        elif word == "hundred":
            if not 0 < group < 100 or room == 100:
                return None
            group, room = 100 * group, 100
        elif word in SCALES:
            if not group or VALUES[word] >= scale:
                return None
            total, group, room, scale = total + group * VALUES[word], 0, 1000, VALUES[word]
        else:
            n = VALUES[word]
            if n >= room or (n == 0 and len(words) > 1):
                return None
            group, room = group + n, 10 if n >= 20 else 1
        before = word
    return total + group if words and before != "and" else None
