"""What an answer says: its number, its choice letter, its label, as pure functions of the text.

For: reading free text in linear time, whatever the text. Not for: comparing with a target or choosing a rule
(scoring/__init__.py). A reader that finds nothing, or two different things, returns None; it never guesses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

# A number as people write it. It starts with a digit so that the scan is fast; the sign is looked up before it.
#   group 1: digits, perhaps in groups of three (1,234,567), decimals, exponent     group 2: denominator
# Not after a letter, "_" or "^": the 2 of CO2, m2, x_2 and m^2 is no number of its own.
NUMBER = re.compile(
    r"(?<![A-Za-z_^\d])((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?!\w))?)"
    r"(?:/(\d+(?:\.\d+)?)(?![\d/]))?"
)
# The characters of one number, read backwards; bounded, so that a megabyte of digits is no megabyte-long number.
LAST_NUMBER = re.compile(r"\d[\d.,/eE+\-]{0,400}")
LONGEST_NUMBER = 400
BARE_NUMBER = re.compile(r"[-−–+]?[$€£¥]?\s?[-−–]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}|/\d+)?\s?%?")
FRACTION = re.compile(r"\\[dt]?frac\{(-?\d{1,30})\}\{(\d{1,30})\}")
EXPRESSION = re.compile(r"(?:[^A-Za-z\n]|[xX](?![A-Za-z]))*=")
SPACES = re.compile(r"\s{0,40}")
# What stands after "answer": the reader has found "nswer" already.
SAYS = re.compile(r"nswer\W{0,4}?\s{0,20}(?:is\b|[:=])|NSWER\W{0,4}?\s{0,20}(?:IS\b|is\b|[:=])")

MINUS = frozenset("-−–")
CURRENCY = frozenset("$€£¥")
LONGEST_LINE = 2000


def number(answer: str) -> float | None:
    r"""The number an answer gives: after `####`, in `\boxed{}`, after "the answer is", or else the last one in it.

    Not read: number words ("five"), mixed fractions ("1 1/2"), powers ("10^5" is 10), percentages as shares ("50%"
    is 50), decimal commas ("3,5"), accounting's negatives ("(5)"), digits glued to letters ("USD5").
    """
    if (at := answer.rfind("####")) >= 0:
        found = _number_here(answer, SPACES.match(answer, at + 4).end())
        if found is not None:
            return found
    if (at := answer.rfind("boxed{")) >= 0:
        found = _boxed_number(_braced(answer, at + 6))
        if found is not None:
            return found
    if (at := after_phrase(answer)) is not None:
        found = _phrase_number(answer, at)
        if found is not None:
            return found
    return _last_number(answer)


def number_text(answer: str) -> str | None:
    """`number` as text: "42", "0.75"."""
    value = number(answer)
    return None if value is None else format(value, ".15g")


def is_number(text: str) -> bool:
    """Whether the text is one number and nothing else, as targets are written."""
    text = text.strip()
    return len(text) <= 400 and BARE_NUMBER.fullmatch(text) is not None and number(text) is not None


def _last_number(text: str) -> float | None:
    # Backwards, because answers are long and the number wanted is near their end.
    backwards = text[::-1]
    size = len(text)
    run = LAST_NUMBER.search(backwards)
    while run:
        found = None
        for found in NUMBER.finditer(text, size - run.end(), size - run.start()):  # noqa: B007
            pass
        if found:
            return _value(text, found)
        if run.end() - run.start() > LONGEST_NUMBER:
            return None
        run = LAST_NUMBER.search(backwards, run.end())
    return None


def _number_here(text: str, at: int) -> float | None:
    """The number that starts at this place, after at most a sign, a currency and a space."""
    found = NUMBER.search(text, at, at + 400)
    if found and all(c in MINUS or c in CURRENCY or c in " +.*" for c in text[at : found.start()]):
        return _value(text, found)
    return None


def _boxed_number(content: str) -> float | None:
    plain = content.replace("{,}", ",").replace(r"\!", "").replace(r"\$", "$")
    return _last_number(FRACTION.sub(r"\1/\2", plain))


def _phrase_number(text: str, at: int) -> float | None:
    """The first number on the line after the phrase, or what its last "=" leads to ("Answer: 5 + 3 = 8")."""
    end = text.find("\n", at, at + LONGEST_LINE)
    end = min(len(text), at + LONGEST_LINE) if end < 0 else end
    if not text[at:end].strip(" *_$:"):
        # "Answer:" alone on its line; what follows is on the next one.
        at = SPACES.match(text, end).end()
        line_end = text.find("\n", at, at + LONGEST_LINE)
        end = min(len(text), at + LONGEST_LINE) if line_end < 0 else line_end
    sum_of = EXPRESSION.match(text, at, end)
    found = NUMBER.search(text, sum_of.end(), end) if sum_of else None
    found = found or NUMBER.search(text, at, end)
    return _value(text, found) if found else None


def _value(text: str, found: re.Match[str]) -> float | None:
    body, denominator = found.groups()
    value = float(body.replace(",", ""))
    before = found.start() - 1
    if before >= 0:
        if text[before] == "." and (before == 0 or not text[before - 1].isdigit()) and body.isdigit():
            # ".5": the point stands before the first digit.
            value, before = float("0." + body), before - 1
        value = -value if _negative(text, before) else value
    if denominator:
        value = value / float(denominator) if float(denominator) else math.inf
    return value if math.isfinite(value) else None


def _negative(text: str, before: int) -> bool:
    """Whether the sign before a number is a minus and not the dash of "5-3", "10 - 4" or "pages 3-5"."""
    while before >= 0 and (text[before] in CURRENCY or (text[before] == "\\" and text[before + 1] == "$")):
        before -= 1
    if before < 0 or text[before] not in MINUS:
        return False
    left = before - 1
    while left >= 0 and text[left] in CURRENCY:
        left -= 1
    # A space on the left and none on the right: "is -5". After an operand it would be a subtraction: "8 -5".
    while left >= 0 and text[left] == " " and before - left < 40:
        left -= 1
    return left < 0 or not (
        text[left].isdigit() or text[left] in ")]}%-−–" or (left == before - 1 and text[left].isalpha())
    )


def after_phrase(answer: str) -> int | None:
    """Where the last "answer is", "answer:" or "answer =" ends, in small or capital letters; None without one."""
    ends = [end for word in ("nswer", "NSWER") if (end := _after_word(answer, word)) is not None]
    return max(ends, default=None)


def _after_word(answer: str, word: str) -> int | None:
    # Each spelling on its own way back: looking for both at every turn would take quadratic time.
    at = answer.rfind(word)
    while at >= 0:
        if says := SAYS.match(answer, at):
            return says.end()
        at = answer.rfind(word, 0, at)
    return None


def _braced(text: str, at: int) -> str:
    """What stands from here to the brace that closes it, at most 400 characters."""
    depth = 1
    for place in range(at, min(len(text), at + 400)):
        depth += (text[place] == "{") - (text[place] == "}")
        if not depth:
            return text[at:place]
    return text[at : at + 400]


# A letter right after the phrase; a small one counts only in parentheses ("the answer is a dog"), and "A" or "I" before
# a small word is no choice ("the answer is A dog") unless the word goes on with the sentence ("A because").
PHRASE_CHOICE = re.compile(
    r"[\s:*_\"'`$\\{]{0,12}(?:(?:the|option|choice|letter|Option|Choice|Letter|text\{)\s{0,3}){0,3}[*_\"'`$]{0,4}"
    r"(?:\(([A-Za-z])\)|([A-Z])(?![\w'’])(?!(?<=[AI])\s{1,3}(?!(?:or|and|because|since|as|for|but|which|with)\b)[a-z]))"
)
OTHER_CHOICE = re.compile(r"\W{0,4}(?:(?:and|or|AND|OR)\b|[&/,])\s{0,3}(?:option\s)?\(?[A-Z](?!\w)")
BOXED_CHOICE = re.compile(r"(?:\\text\{)?\s{0,3}\(?([A-Za-z])\)?\s{0,3}\}?")
# "(B)" anywhere, or "B.", "B)", "B:" or "B" alone at the start of a line.
MARKED_CHOICE = re.compile(
    r"(?<!\w)\(([A-Za-z])\)|^[ \t*_\"'`>]{0,8}(?:A:[ \t]{0,3})?([A-Z])(?:[.)](?!\w)|[ \t*_\"'`]{0,8}$)", re.M
)
LONE_CHOICE = re.compile(r"[\s*_\"'`$(]{0,20}([A-Za-z])[\s*_\"'`$).:]{0,20}")


def choice(answer: str) -> str | None:
    r"""The letter an answer chooses, as a capital: "the answer is B", `\boxed{B}`, "(B)", "B.", "B)" or a lone "B".

    Not read: the text of an option, letters in running text ("B seems best"), roman numerals. Two different letters
    are no choice, unless one follows "the answer is".
    """
    if (at := after_phrase(answer)) is not None and (found := PHRASE_CHOICE.match(answer, at)):
        return None if OTHER_CHOICE.match(answer, found.end()) else (found[1] or found[2]).upper()
    if (at := answer.rfind("boxed{")) >= 0 and (found := BOXED_CHOICE.fullmatch(_braced(answer, at + 6))):
        return found[1].upper()
    letters = {(a or b).upper() for a, b in MARKED_CHOICE.findall(answer)}
    if len(letters) == 1:
        return letters.pop()
    if found := LONE_CHOICE.fullmatch(answer):
        return found[1].upper()
    return None


def is_choice(text: str) -> bool:
    """Whether a target is a choice letter from A to J, with or without parentheses."""
    return re.fullmatch(r"\([A-J]\)|[A-J]", text.strip()) is not None


def folded(text: str) -> str:
    """The text in folded case, with every run of whitespace as one space and none around it."""
    return " ".join(text.casefold().split())


def whole(answer: str) -> str | None:
    """The whole answer, folded; None when nothing is left of it."""
    return folded(answer) or None


def label_reader(names: Sequence[str]) -> Callable[[str], str | None]:
    """A reader that finds the one label an answer names, in any case, as a whole word.

    "non-positive" and "positively" do not name "positive"; where "not positive" is a label, it hides the "positive"
    in it. An answer that names two labels names none.

    Not read: negation ("not positive" names "positive" where it is no label itself), inflections, synonyms.

    Args:
        names: the labels; those that differ in case or whitespace only are one label.

    Returns:
        A function from an answer to a folded label or None.
    """
    labels = sorted({folded(name) for name in names} - {""}, key=lambda label: (-len(label), label))
    # The label comes first and the look to its left after it: a pattern that starts with letters scans fast.
    branches = (rf"{word}(?<!\w{word})(?<!\w[-‑]{word})" for word in map(re.escape, labels))
    find = re.compile(rf"(?:{'|'.join(branches)})(?!\w|[-‑]\w)").findall
    spaced = any(" " in label for label in labels)

    def read(answer: str) -> str | None:
        found = find(folded(answer) if spaced else answer.casefold())
        if not found:
            return None
        first = found[0]
        return first if len(found) == 1 or found.count(first) == len(found) else None

    return read
