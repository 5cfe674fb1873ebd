"""How numbers are written in digits: the expression that finds them, and what a match stands for.

For: signs, separators, decimals, exponents, fractions, scale words, currencies, and the LaTeX for
all of these. Not for: which of an answer's numbers is its answer (numbers.py), or number words
(numerals.py).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping

from opro_local.scoring.reading import neighbours, numerals

AMBIGUOUS = math.nan

CODES = "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|INR|HKD|SGD|KRW|MXN|BRL|SEK|NOK|DKK|PLN|ZAR|AED"
# "$", "US$", "\$" as LaTeX writes it, "EUR", "Rs.", "kr"
MONEY = rf"(?: (?:US|CA|AU|NZ|HK)? \\? [$€£¥₹₩₽₺₪₫฿] | {CODES} | Rs\.? | RM | kr\.? )"

# A look back from a number's first digit. The 2 of CO2, m2, x_2, m^2 and √2 is no number of its
# own, nor is that of 2^-2, 2^{2} and \sqrt{2}; but USD5 and Rs5 are amounts.
_STARTS_HERE = rf"""
    (?:
        (?<! [A-Za-z_^√\d] . ) (?<! \^ [-−+{{] . ) (?<! \\sqrt \{{ . )
      | (?<= \b (?: {CODES} ) . )
      | (?<= \b (?: Rs | RM | kr ) . )
    )
"""
# The digits behind the first one, with their separators, decimals and exponent.
_MORE_DIGITS = r"""
    (?:
        \d{0,2} (?: \. \d{3} )+ , (?: \d{1,2} | \d{4,} ) (?! [\d,.] )   # 1.234,56
      |
        \d{0,2} (?: \. \d{3} ){2,} (?! [\d.] \d | \d )                  # 1.234.567
      |
        (?:
            \d* , \d{1,2}                                              # 129,90 EUR
            (?= [ \u00a0\u202f]? (?: [€%₽] | EUR\b | CHF\b | PLN\b | zł | kr\b | Kč ) )
          | (?: (?<= €\d ) | (?<= €[ \u00a0]\d ) ) \d* , \d{2} (?! [\d,] )   # €129,90
          | \d{0,2} (?P<separator> [,'’´_ \u00a0\u202f\u2009\u2007] ) \d{3}     # 1,234; 1'234
            (?: (?P=separator) \d{3} )* (?! \d | [ ] \d )
            (?: (?<! , \d{3} ) , \d{1,2} (?! [\d,] ) )?                     # 1 234,50
          | \d? (?: , \d{2} )+ , \d{3} (?! \d )                         # 12,34,567
          | \d*
        )
        (?: \. \d+ )?                                                   # 3.14
        (?: [eE] [+-]? \d{1,3} (?! \w ) )?                              # 2e5
    )
"""
# Scale words of other languages, beside the English ones.
SCALES: Mapping[str, float] = {
    **numerals.SCALES,
    **dict.fromkeys(("Mio", "Millionen", "Million", "millions", "millones", "milioni"), 1e6),
    **dict.fromkeys(("Mrd", "Milliarden", "milliards", "miliardi"), 1e9),
    "lakh": 1e5,
    "crore": 1e7,
    "लाख": 1e5,
    **dict.fromkeys(("Tsd", "tausend", "Tausend", "mille", "тыс", "тысяч", "тысячи"), 1e3),
    **dict.fromkeys(("nghìn",), 1e3),
    **dict.fromkeys(("mn", "mln", "млн", "миллион", "миллиона", "миллионов"), 1e6),
    **dict.fromkeys(("milhão", "milhões", "miljoen", "milyon", "triệu"), 1e6),
    **dict.fromkeys(("bn", "Bn", "mld", "млрд", "миллиард", "миллиарда", "миллиардов"), 1e9),
    **dict.fromkeys(("miljard", "milyar", "tỷ"), 1e9),
}
_SCALES = "|".join(SCALES)
# Written without a space: 3万, 5백만.
JOINED_SCALES: Mapping[str, float] = {
    **dict.fromkeys(("百万", "백만"), 1e6),
    **dict.fromkeys(("億", "亿", "억"), 1e8),
    **dict.fromkeys(("万", "萬", "만"), 1e4),
    **dict.fromkeys(("千", "천"), 1e3),
}
_JOINED = "|".join(JOINED_SCALES)
# Letters glued to a number. Those in the second line scale money only: elsewhere 5m are metres.
SHORT: Mapping[str, float] = {
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "mn": 1e6,
    "Mn": 1e6,
    "bn": 1e9,
    "Bn": 1e9,
}
MONEY_SHORT: Mapping[str, float] = {"m": 1e6, "b": 1e9, "B": 1e9, "T": 1e12}
# What may follow the digits and changes the value.
_REST = rf"""
    (?:
        [ ] (?: and [ ] )? (?P<top> \d{{1,9}} ) / (?P<bottom> \d{{1,9}} ) (?! [\d/] )   # 1 1/2
      |
        [ ]? / [ ]? (?P<denominator> \d+ (?: \. \d+ )? ) (?! [\d/] )                # 3/4
      |
        [ ]? (?: [×x*·] | \\times | \\cdot ) [ ]?                                   # 6 × 10^5
        10 \^ \{{? (?P<power> [-−+]? \d{{1,3}} ) (?! \d ) \}}?
    )?
    (?: (?P<short> [kKMmBbT] | [MmBb]n ) (?! [A-Za-z\d^²³/] ) )?                   # 1.2k, $3M
    (?: [ ]? (?P<scale> {_JOINED} | (?<= [ ] ) (?: {_SCALES} ) \b ) )?             # 5 million
    (?: [ ] and [ ] a [ ] (?P<part> half | quarter ) \b )?                          # 2 and a half
"""
# It starts with a digit, so that the scan is fast; what stands before that digit is looked up after
# it.
NUMBER = re.compile(rf"(?P<digits> \d {_STARTS_HERE} {_MORE_DIGITS} ) {_REST}", re.VERBOSE)

# What most marked places hold, read without further ado: "42", "**$1,234.50**.", "-3".
PLAIN = re.compile(
    r"""
    [ *]{0,8}
    (?P<sign> -? ) \$?
    (?P<digits> \d{1,3} (?: , \d{3} )+ | \d+ )
    (?P<decimals> \. \d+ )?
    [ .*]{0,8}
    """,
    re.ASCII | re.VERBOSE,
)
# A number and nothing else but its sign, its currency and its unit of %, as targets are written.
BARE = re.compile(
    rf"""
    [-−–—‐‑－+]? (?: {MONEY} [ ]? )?    # "-$5"
    [-−–—‐‑－+]? \.?                         # "$-5", ".5"
    (?: {NUMBER.pattern} )
    (?: [ ]? (?: % | percent \b | ° | {MONEY} ) )?
    """,
    re.IGNORECASE | re.VERBOSE,
)
# An accountant's negative: "($500)", "$ (1,234)".
ACCOUNTING = re.compile(
    rf"""
    (?: (?P<money> {MONEY} ) [ ]? )?
    \( [ ]?
    (?: (?P<money_inside> {MONEY} ) [ ]? )?
    (?P<amount> [\d,.'’]{{1,40}} )
    [ ]? \)
    """,
    re.VERBOSE,
)
# What a text before a number ends with: "US$ " and "minus ".
BEFORE_MONEY = re.compile(rf"(?<! [A-Za-z] ) {MONEY} [ ]? $", re.VERBOSE)
BEFORE_WORD = re.compile(r"(?<!\w)(?:minus|negative)[ ]$", re.IGNORECASE)
MINUS = neighbours.DASHES

# "\frac{3}{4}", "\dfrac34"
FRACTION = r"""
    \\ [dt]? frac \s?
    (?:
        \{ (?P<top> -? \d{1,30} ) \} \s? \{ (?P<bottom> \d{1,30} ) \}
      | (?P<top_digit> \d ) (?P<bottom_digit> \d )
    )
"""
_AS_PLAIN_FRACTION = r"\g<top>\g<top_digit>/\g<bottom>\g<bottom_digit>"
# LaTeX and what takes its place, in this order.
LATEX: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # Thousands: "1{,}234", "1\!234", "1\,234".
    (re.compile(r"\{,\}|\\!|\\,(?=\d{3})"), lambda match: "," if match[0] == "{,}" else ""),
    # "\$5", "5\%".
    (re.compile(r"\\(?P<sign>[$%])"), r"\g<sign>"),
    # "\text{ apples}" loses its beginning; spaces and the brackets of formulas become spaces.
    (
        re.compile(
            r"""
            \\ (?: text | mathrm | mathbf | textbf | mbox ) \{
          | \\ [,;: ()\[\]]
          | \\ q?quad \b
          | ~
            """,
            re.VERBOSE,
        ),
        " ",
    ),
    # Degrees: "5^\circ", "5^{\circ}".
    (re.compile(r"\^\s?\{?\\circ\}?"), "°"),
    # "x_{2}" and "2^{3}" begin as "x_2" and "2^3" do.
    (re.compile(r"(?P<sign>[_^])\{"), r"\g<sign>"),
    (re.compile(r"\\boxed\{"), " "),
    # A mixed number: "2\frac{1}{2}" is "2 1/2".
    (re.compile(rf"(?<= \d ) {FRACTION}", re.VERBOSE), f" {_AS_PLAIN_FRACTION}"),
    (re.compile(FRACTION, re.VERBOSE), _AS_PLAIN_FRACTION),
)
PERCENT = re.compile(r"[ \u00a0\u202f]?(?:[%％٪]|percent\b|per cent\b|Prozent\b)", re.IGNORECASE)
# The scale that a number is on: "4 out of 5", "4 von 5 Sternen", "4 sur 5".
OUT_OF = re.compile(
    r"""
    (?: [ ] [A-Za-z]{3,12} )?               # "4 stars out of 5"
    [ ] (?: out [ ] of | of | von | sur | de | su | из | van | av ) [ ]
    (?: a [ ] (?: possible | total | maximum ) [ ] (?: of [ ] )? )?
    (?P<scale> \d{1,4} ) (?! [\d.,]\d | \d | [ ]? / )
    """,
    re.VERBOSE,
)
# A minus sign that a space sets apart from its number, and that is no subtraction.
TRUE_MINUS = re.compile(r"(?<![\d)\]%] )(?<![\d)\]%])−[ \u00a0](?=[\d.$€£])")
VULGAR = re.compile("[¼½¾⅐-⅞]")
BETWEEN_DIGITS = re.compile(r"(?<=\d)[.,](?=\d)")


class Written(float):
    """A number with what it is written with.

    Attributes:
        percent: whether a % stands behind it.
        ratio: what it is of how much, as "4 out of 5" and 4/5 are; None where no scale is named.
    """

    percent: bool
    ratio: tuple[float, float] | None

    def __new__(
        cls, value: float, percent: bool = False, ratio: tuple[float, float] | None = None
    ) -> Written:
        """The number `value`."""
        self = super().__new__(cls, value)
        self.percent, self.ratio = percent, ratio
        return self


def value_of_plain(match: re.Match[str]) -> float | None:
    sign, digits, decimals = match.groups("")
    value = float(sign + digits.replace(",", "") + decimals)
    return value if math.isfinite(value) else None


def plain(text: str, comma: bool) -> str:
    """A short text without the notations that stand for plainer ones: LaTeX, ½, ⁄, decimal commas
    where said.
    """
    if not text.isascii():
        text = text.replace("⁄", "/").replace("∕", "/").replace("٫", ".").replace("٬", ",")
        text = TRUE_MINUS.sub("-", text)
        text = VULGAR.sub(_vulgar, text)
    if "\\" in text or "{" in text:
        for pattern, plain in LATEX:
            text = pattern.sub(plain, text)
    if comma:
        text = BETWEEN_DIGITS.sub(lambda match: "," if match[0] == "." else ".", text)
    return text


def _vulgar(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match[0]).partition("⁄")
    return f" {top}/{bottom}"


def accounting(text: str) -> float | None:
    """The negative of an accountant, "($1,234)": in parentheses, with a currency or a separator,
    and alone.
    """
    match = ACCOUNTING.fullmatch(text)
    if not match:
        return None
    amount = match["amount"]
    if not (match["money"] or match["money_inside"] or re.search("[,.'’]", amount)):
        return None
    digits = NUMBER.fullmatch(amount)
    value = value_of(amount, digits) if digits else None
    return None if value is None else -value


def value_of(text: str, match: re.Match[str]) -> float | None:
    """What a match of `NUMBER` stands for; None for an infinite number, `AMBIGUOUS` for "1 5/3" and
    where a neighbour makes it a part of something else (neighbours.py).
    """
    # All at once, because this is the hottest function of the rule number.
    digits, separator, top, bottom, denominator, power, short, scale, part = match.groups()
    start = match.start()
    value = _decimal(digits, separator)
    if digits.isdecimal() and _follows_point(text, start):
        value, start = float("0." + digits), start - 1
    if bottom:
        if not 0 < int(top) < int(bottom):
            return AMBIGUOUS
        value += int(top) / int(bottom)
    if denominator:
        value = value / float(denominator) if float(denominator) else math.inf
    if power:
        value *= 10.0 ** int(power.replace("−", "-"))
    if short:
        value *= _short(text, start, short)
        if math.isnan(value):
            return AMBIGUOUS
    if scale:
        value *= JOINED_SCALES.get(scale) or SCALES[scale]
    if part:
        value += 1 / numerals.PARTS[part]
    if not math.isfinite(value):
        return None
    before = BEFORE_MONEY.sub("", text[max(0, start - neighbours.WINDOW) : start])
    if not neighbours.is_amount(text, match.end(), before, bool(bottom or denominator)):
        return AMBIGUOUS
    value = -value if _negative(before) else value
    return _with_unit(text, match, value)


def value_of_words(text: str, match: re.Match[str]) -> float | None:
    """What a match of `numerals.NUMERAL` stands for; None for an ordinal and in a name,
    `AMBIGUOUS` for two numbers and where a neighbour makes it a part of something else.
    """
    value = numerals.value(match[0])
    before = text[max(0, match.start() - neighbours.WINDOW) : match.start()]
    if value is None or math.isnan(value) or neighbours.is_name(before):
        return None if value is None or not math.isnan(value) else AMBIGUOUS
    is_amount = neighbours.is_amount(text, match.end(), before, not value.is_integer())
    return value if is_amount else AMBIGUOUS


def is_name(text: str, match: re.Match[str]) -> bool:
    """Whether a match of `NUMBER` is a name's and no amount: "COVID-19", "room 101"."""
    before = text[max(0, match.start() - neighbours.WINDOW) : match.start()]
    if before.endswith("."):
        # The point of "Rs.500" is its currency's.
        before = BEFORE_MONEY.sub("", before)
    return neighbours.is_name(before)


def _short(text: str, start: int, letters: str) -> float:
    """What a letter glued to a number multiplies it by: 1.2k, $3M."""
    if letters in MONEY_SHORT:
        is_money = BEFORE_MONEY.search(text[max(0, start - 8) : start])
        # "5m" are metres or minutes; "5B" may be anything.
        return MONEY_SHORT[letters] if is_money else 1.0 if letters == "m" else math.nan
    return SHORT.get(letters, 1.0)


def _with_unit(text: str, match: re.Match[str], value: float) -> float:
    """The value with its % or its scale, where one is written."""
    if match["denominator"]:
        return Written(
            value, ratio=(value * float(match["denominator"]), float(match["denominator"]))
        )
    after = text[match.end() : match.end() + 2]
    if (after[:1] in "%％٪p" or after[1:] in "%％٪pP") and PERCENT.match(text, match.end()):
        return Written(value, percent=True)
    if after[:1] in " 分" and (scale := OUT_OF.match(text, match.end())):
        return Written(value, ratio=(value, float(scale["scale"])))
    return value


def _follows_point(text: str, at: int) -> bool:
    """Whether a decimal point stands right before a first digit, as in ".5" and not in "a.5"."""
    return text[at - 1 : at] == "." and not text[max(0, at - 2) : at - 1].isalnum()


def _decimal(body: str, separator: str | None) -> float:
    whole, comma, last = body.rpartition(",")
    if comma and len(last) < 3 and last.isdecimal() and "." not in body:
        # The comma before one or two digits is decimal; thousands have three.
        return float(re.sub(r"\D", "", whole) + "." + last)
    if body.count(".") > 1 or (body.count(".") == 1 and body.find(",") > body.find(".")):
        return float(body.replace(".", "").replace(",", "."))
    return float(body.replace(separator, "") if separator else body.replace(",", ""))


def _negative(before: str) -> bool:
    """Whether the text before a number ends with a minus and not with the dash of "5-3", "10 - 4"
    or "pages 3-5".
    """
    if BEFORE_WORD.search(before):
        return True
    if not before or before[-1] not in MINUS:
        return False
    left = BEFORE_MONEY.sub("", before[:-1])
    # A space on the left and none on the right: "is -5". After an operand it would be a
    # subtraction: "8 -5".
    operand = left.rstrip(" ")
    if not operand:
        return True
    if operand[-1].isdigit() or operand[-1] in ")]}%-−–":
        return False
    return operand != left or not operand[-1].isalpha()
