"""Numbers of equal standing: "5 or 6", "3 + 4", "2-3", of which neither is the answer.

For: whether another number rivals one, or a number goes on as something to be worked out. Not for:
which number is the answer (numbers.py, conclusions.py), or how numbers are written (notation.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading import notation, numerals

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
        (?: or | and | vs\.? | versus ) (?! \w )            # "5 or 6"
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
        [*_]{{0,2}} [,;]                                # "5, 6"
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
# What stands after the number of a list's item: "2. Add", "**2:** Add".
LISTED = re.compile(r"[.):] \*{0,2} [ \t]+ \S", re.VERBOSE)
# "x = 12", but not the end of "a + x = 12".
ASSIGNED = re.compile(r"(?<![\w+*/×·^)-])(?<![+*/×·^-][ ])(?P<name>[A-Za-z])[ ]?=[ ]?(?=[-−$]?\d)")
# The rest of an amount that a number only begins: "5 feet 3", "1 in 3", "5 boxes of 12".
SECOND = re.compile(
    r"""
    [ ] (?: feet | foot | ft | hours? | hrs? | h | minutes? | mins? | pounds? | lbs? | stone
      | years? | months? | weeks? | days? | dollars? | euros? | meters? | metres? | miles? | yards?
    ) ,? [ ] (?: and [ ] )? (?: \d | (?: two | three | four | five | six | ten ) \b )
  | [ ] in [ ] (?: every [ ] )? (?: \d+ | two | three | four | five | six | ten ) \b (?! [ ] \w )
  | [ ] (?! out \b ) [a-z]+ [ ] of [ ] \d+ (?: [.]? \s* $ | [ ] [a-z]+ s [.]? \s* $ )
  | [ ] with [ ] (?: an? [ ] )? remainder
  | ,? [ ] which [ ] rounds
  | [ ]? [,(–—-] [ ]? (?: or [ ] )? (?: maybe | perhaps | possibly
      | (?: could | might | may ) [ ] be ) [ ] (?: even [ ] )? \$? \d
  | [ ]? ≈ [^≈=\n\d]{0,4} \d+ [.]? \s* $
  | \uff0c \d{3} (?! \d )
  | [ ] or [ ] (?: approximately | about | around | roughly | maybe | perhaps | possibly ) [ ] \d
    """,
    re.VERBOSE,
)
# The same rest with an "or": "15 per day, or 105 per week". The second number may be the first one.
OTHERWISE = re.compile(
    rf"""
    (?: (?: [ ] [A-Za-z]{{1,15}} ){{0,3}} , | [ ]? \( ) [ ]? or [ ]
    (?: {notation.MONEY} [ ]? )?
    """,
    re.VERBOSE,
)
# What stands between the first number of a calculation in words and its "=": "18 eggs × $2 = $36".
# A bracket or a clause of its own explains the number instead.
CALCULATED = re.compile(
    r"""
    (?= \D* \d )
    (?: (?! [(;=\n] | [,.:] \s | \b (?: because | since | as | so ) \b ) . )*
    """,
    re.VERBOSE,
)
# Words that are numbers too seldom to stand for one by themselves.
LOOSE = frozenset(("one", "half", "a half", "a quarter", "a third"))


def has_rival(text: str, end: int, value: float | None) -> bool:
    """Whether another number of equal standing follows a number that ends here."""
    joined = OTHERWISE.match(text, end) or JOIN.match(text, end)
    if not joined:
        return False
    if digits := notation.NUMBER.match(text, joined.end()):
        return notation.value_of(text, digits) != value
    words = numerals.NUMERAL.match(text, joined.end())
    if not words or words[0].lower() in LOOSE:
        return False
    return numerals.value(words[0]) not in (value, None)


def between_unknowns(sentence: str) -> str | None:
    """What stands between the last two unknowns whose values a sentence ends with: "x = 12, y = 17"
    gives the text between; None for other sentences.
    """
    assigned = list(ASSIGNED.finditer(sentence))
    if len(assigned) < 2 or "=" in sentence[assigned[-1].end() :]:
        return None
    before, last = assigned[-2:]
    return None if before["name"] == last["name"] else sentence[before.end() : last.start()]
