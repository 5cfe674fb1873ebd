r"""The formula that an answer gives: in `\boxed{}`, after "the answer is", between dollar signs, or
the whole of a short answer.

For: finding it, and a plain form of it in which equal ones are equal texts. Not for: whether two
formulas say the same (mathematics/), or numbers by themselves (numbers.py). Where two formulas of
equal standing are given, or prose, nothing is read.
"""

from __future__ import annotations

import re

from opro_local.scoring.reading import conclusions, corrections, marks, numbers

LONGEST = 400
# A formula in running text.
FORMULA = re.compile(
    r"""
    \$\$ (?P<display> [^$]{1,400} ) \$\$
  | \$ (?P<inline> (?! \s ) [^$\n]{1,400} (?<! \s ) | \s [^$\n]{1,400} \s ) \$ (?! \d )
  | \\\( (?P<round> .{1,400}? ) \\\)
  | \\\[ (?P<square> .{1,400}? ) \\\]
    """,
    re.DOTALL | re.VERBOSE,
)
# Letters that are words: a formula's own names are commands or single letters.
COMMANDS = re.compile(r"\\[A-Za-z]+")
WORDS = re.compile(r"[^\W\d_]{3,}")
FUNCTIONS = frozenset(("sin", "cos", "tan", "log", "exp", "ln", "sqrt", "abs", "min", "max", "mod"))
TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname)\s?\{([^{}]*)\}")
# What stands around a formula (#) that an answer denies or takes back.
BOX = re.compile(r"\$?\\boxed\{[^{}]*\}\$?")
DENIED = re.compile(
    r"""
    \b (?: not | n't | never | maybe | perhaps | possibly | (?: could | might | may ) [ ] be )
    \s* \# [^#]* $
  | ^ [^#]* \# \W* (?: but | and | which | that )? \s*
    (?: is | was | it's | it [ ] is | that's | that [ ] is | this [ ] is ) \s
    (?: wrong | incorrect | false | not [ ] (?: right | correct | it | the [ ] answer ) ) \b [^#]* $
    """,
    re.IGNORECASE | re.VERBOSE,
)
SOLVED = re.compile(r"\s*[A-Za-z]\s*=\s*")
# "or" and "and" between two solutions are the comma of a set.
JOINED = re.compile(r"(?:\\text\{\s*(?:or|and)\s*\}|,?\s+(?:or|and)\b)\s*")
# What makes no difference: spacing, sizes, dollar signs.
SPACING = re.compile(
    r"""
    \\ (?: left | right | big | Big | bigl | bigr | displaystyle | limits | quad | qquad ) \b
  | \\ [,;:!()\[\]\ ]
  | [~$]
  | (?<! \d ) \s+ | \s+ (?! \d )        # not the space of "3 4"
    """,
    re.VERBOSE,
)
SYNONYMS = (
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\frac(\d)(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\(?:le|leq|leqslant)(?![A-Za-z])"), "≤"),
    (re.compile(r"\\(?:ge|geq|geqslant)(?![A-Za-z])"), "≥"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "*"),
    (re.compile(r"\^\{(\w)\}"), r"^\1"),
)


def formula(answer: str) -> str | None:
    """The formula that an answer gives, without what marks it; None without one, or with two."""
    answer = corrections.without_struck(marks.first_turn(answer))
    if corrections.last(answer):
        return _number(answer)
    if DENIED.search(FORMULA.sub("#", BOX.sub("#", answer))):
        return None
    marked = marks.read_marked(answer, lambda mark: _told(_statement(mark)))
    if marked is not None:
        return marked or None
    text = marks.standing(answer).strip()
    if len(text) <= LONGEST and "\n" not in text and (whole := _bare(text)):
        return whole
    return _last(text) if _formulas(text) else _number(text)


def plain(text: str) -> str:
    """A formula in the form in which equal ones are equal texts."""
    text = TEXT.sub(r"\1", text)
    text = SPACING.sub("", text).strip(".")
    for pattern, same in SYNONYMS:
        text = pattern.sub(same, text)
    return text


def joined(text: str) -> str:
    """A formula with "or" and "and" between solutions as commas."""
    return JOINED.sub(", ", text)


def is_prose(text: str) -> bool:
    """Whether a text has words that no formula has."""
    letters = COMMANDS.sub(" ", text)
    return any(word.lower() not in FUNCTIONS for word in WORDS.findall(letters))


def _statement(mark: marks.Mark) -> str:
    """What a mark says: the content of its box, or its first sentence."""
    return marks.sentence(mark.text) if mark.kind == "phrase" else mark.text


def _told(text: str) -> str | None:
    """The formula of a marked place; "" where it has several, None where it has none."""
    inner = _formulas(text)
    if inner:
        return _one(inner, text)
    bare = _bare(text)
    return bare if bare else _number(text)


def _one(inner: list[str], text: str) -> str:
    """The only formula, or all of those that "and" or a comma makes one answer; else ""."""
    distinct = list(dict.fromkeys(map(plain, inner)))
    if len(distinct) == 1:
        return inner[-1]
    between = FORMULA.sub("#", text)
    is_list = re.search(r"#(?:\s*(?:,|,?\s*and|,?\s*or)\s*#)+", between)
    if not is_list or between.count("#") != is_list[0].count("#"):
        return ""
    # "x = 2 and x = 3" are the solutions 2 and 3.
    names = {match[0] if (match := SOLVED.match(part)) else "" for part in inner}
    return (
        ", ".join(SOLVED.sub("", part) for part in inner) if len(names) == 1 else ", ".join(inner)
    )


def _bare(text: str) -> str | None:
    """A text that is a formula and nothing else, without what encloses it."""
    text = text.strip(" \t\r\n*_`").rstrip(".").strip()
    match = FORMULA.fullmatch(text)
    text = next(filter(None, match.groups())) if match else text
    if not text or FORMULA.search(text) or is_prose(TEXT.sub("", text)):
        return None
    # Without a digit, a command or an operator it is a word.
    is_formula = re.search(r"[\d\\^=+<>≤≥√π∞]", text) or len(text) == 1
    return text if is_formula else None


def _last(text: str) -> str | None:
    """The last formula, where it is the only one or its sentence concludes."""
    text = text[-5 * LONGEST :]
    inner = _formulas(text)
    if not inner:
        return None
    if len({plain(part) for part in inner}) == 1:
        return inner[-1]
    line = text.rstrip().rpartition("\n")[2]
    own = _formulas(line)
    if own and (own == inner or conclusions.CONCLUDES.search(FORMULA.sub(" ", line))):
        return _one(own, line) or None
    return None


def _formulas(text: str) -> list[str]:
    found = []
    for match in FORMULA.finditer(text):
        found.append(next(filter(None, match.groups())).strip())
    return found


def _number(text: str) -> str | None:
    """The number of a text with words, as a formula."""
    value = numbers.lenient(text)
    return None if value is None or value != value else format(value, ".15g")
