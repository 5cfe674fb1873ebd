"""Where a word begins and ends, also in scripts that write no spaces.

For: the expressions that stand around a text which is to be found as whole words. Not for: dividing
a text into words; Chinese "反正面" holds "正面" here.
"""

from __future__ import annotations

import re
import unicodedata

# Scripts without spaces between words. Katakana words end where the script does.
HAN_KANA = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SOUTHEAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
KATAKANA = "\u30a0-\u30ff\u31f0-\u31ff\uff66-\uff9f"
HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
UNSPACED = HAN_KANA + SOUTHEAST
# Vowel signs and marks that belong to a word but are no letters.
SIGNS = "\u0300-\u036f\u0610-\u061a\u0670\u0900-\u0963\u0966-\u0dff"
# A letter, digit or sign of a script with spaces; with Hangul, and without it.
SPACED = rf"(?:[^\W_{UNSPACED}{KATAKANA}]|[{SIGNS}])"
FOREIGN = rf"(?:[^\W_{UNSPACED}{KATAKANA}{HANGUL}]|[{SIGNS}])"
# What Korean writes at a noun: particles, and the forms of "is".
PARTICLE = (
    "(?:적(?:인|으로|이)?)?"
    "(?:은|는|이|가|을|를|의|도|만|에|로|으로|와|과|라고|이라고"
    "|입니다|임|이다|다|이에요|예요|이며|이고|인|인데|이므로|으로서|로서|에서|에게)?"
)
_IS_UNSPACED = re.compile(f"[{UNSPACED}]").match
_IS_KATAKANA = re.compile(f"[{KATAKANA}]").match
_IS_HANGUL = re.compile(f"[{HANGUL}]").match


def is_unspaced(sign: str) -> bool:
    """Whether a sign is of a script that writes no spaces."""
    return bool(_IS_UNSPACED(sign) or _IS_KATAKANA(sign))


def _is_word(sign: str) -> bool:
    return sign.isalnum() or unicodedata.category(sign)[0] == "M"


def left_edge(sign: str) -> str:
    """The expression before a text that begins with this sign."""
    if _IS_UNSPACED(sign) or not _is_word(sign):
        return ""
    if _IS_KATAKANA(sign):
        return f"(?<![{KATAKANA}])"
    if _IS_HANGUL(sign):
        return f"(?<!{SPACED})"
    # "12" does not hold "2", and "1.2", "1,200" and "-2" hold neither.
    digit = r"(?<!\d[.,/'])(?<!-)" if sign.isdigit() else ""
    return f"(?<!{FOREIGN}){digit}"


def right_edge(sign: str) -> str:
    """The expression after a text that ends with this sign."""
    if _IS_UNSPACED(sign) or not _is_word(sign):
        return ""
    if _IS_KATAKANA(sign):
        return f"(?![{KATAKANA}])"
    if _IS_HANGUL(sign):
        return f"(?={PARTICLE}(?!{SPACED}))"
    # "C++" and "C#" do not hold "C".
    return rf"(?!{FOREIGN})" + (r"(?![.,']\d)" if sign.isdigit() else r"(?!\+\+|#)")


_NO_LETTER = re.compile(f"(?<!{FOREIGN})")
_NO_SPACED = re.compile(f"(?<!{SPACED})")
_NO_KATAKANA = re.compile(f"(?<![{KATAKANA}])")
_NO_DIGIT = re.compile(left_edge("0"))


def begins_word(text: str, start: int) -> bool:
    """Whether a word may begin at this place of a text (see left_edge)."""
    sign, before = text[start], text[start - 1 : start]
    if not before or before in " \n" or (before < "\x80" and not before.isalnum() and sign > "9"):
        return True
    if _IS_UNSPACED(sign) or not _is_word(sign):
        return True
    if _IS_KATAKANA(sign):
        return _NO_KATAKANA.match(text, start) is not None
    if _IS_HANGUL(sign):
        return _NO_SPACED.match(text, start) is not None
    return (_NO_DIGIT if sign.isdigit() else _NO_LETTER).match(text, start) is not None


_PARTICLE = re.compile(f"(?<=[{HANGUL}]){PARTICLE}")


def ends_noun(text: str, place: int) -> int:
    """Where the particle ends that Korean writes at a noun which ends at this place."""
    particle = _PARTICLE.match(text, place)
    return particle.end() if particle else place


# What is left of a contraction behind its apostrophe: "don't" holds no "t", but "l'eau" "eau".
_CONTRACTED = frozenset(("t", "s", "m", "d", "ll", "re", "ve"))


def whole_words(text: str) -> re.Pattern[str]:
    """An expression that finds a text as whole words, in folded text.

    "under_score" does not hold "score" (but "_score_" does, in Markdown), nor "don't" "don", "0.5"
    ".5", ".5" "5" or "3-5" "-5".
    """
    # A text that starts with letters is looked for fast: the look to its left comes after it.
    escaped = re.escape(text)
    left = left_edge(text[0]) + _left_of(text)
    behind = f"(?<={left}{escaped})" if left else ""
    within = r"(?!_[^\W_])(?!'t\b)" if _is_word(text[-1]) else ""
    return re.compile(f"{escaped}{behind}{right_edge(text[-1])}{within}")


def _left_of(text: str) -> str:
    """What else may not stand before a text as whole words."""
    if text[0] in ".-+" and text[1:2].isdigit():
        return r"(?<!\d)" if text[0] == "." else r"(?<![^\W_])"
    if not _is_word(text[0]):
        return ""
    left = r"(?<![^\W_]_)"
    if text[0].isdigit():
        left += r"(?<!\s\.)(?<!\A\.)(?<![$€£(]\.)"
    return left + (r"(?<!\w')" if text in _CONTRACTED else "")
