"""The options that a question lists, and where a text names them.

For: reading a list from A on, and finding options by their texts as whole words. Not for: which
option an answer chooses (choices.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.normal import folded, typed

# What stands before an option's text in a question.
OPTION = re.compile(
    r"""
    (?<! [^\s,;] )                          # after a space, a comma, or at the start
    (?:
        \( (?P<enclosed> [A-Za-z] ) \)      # "(A) foo"
      | (?P<closed> [A-Za-z] ) \)           # "A) foo"
      | (?m: ^ ) [ \t]* (?P<line> [A-Z] ) [.:]      # "A. foo", "A: foo", only where a line starts
    )
    [ \t]*
    (?= \S )
    """,
    re.VERBOSE,
)
# A text with a word in it, so that naming it says something: "12" and "a, b" have none.
WORDY = re.compile(r"[^\W\d_]{3}")
EDGES = " \t*_`\"'.,;:!$()[]{}\\"
MOST_PLACES = 5

Options = Mapping[str, str]


def options(question: str) -> dict[str, str]:
    """The options that a question lists, folded text by capital letter; empty without a list from A
    on.

    Where it lists several times (worked examples before the question), the last list counts.
    """
    runs: list[list[re.Match[str]]] = []
    for mark in OPTION.finditer(question):
        if letter_of(mark) == "A":
            runs.append([mark])
        elif runs and _continues(runs[-1], mark):
            runs[-1].append(mark)
    lists = [run for run in runs if len(run) > 1]
    if not lists:
        return {}
    last = lists[-1]
    # An option's text ends where the next one starts, the last one's with its line.
    line_end = question.find("\n", last[-1].end())
    ends = [mark.start() for mark in last[1:]]
    ends.append(len(question) if line_end < 0 else line_end)
    listed = {}
    for mark, end in zip(last, ends, strict=True):
        listed[letter_of(mark)] = folded(typed(question[mark.end() : end])).strip(",; ")
    return listed


def _continues(run: list[re.Match[str]], mark: re.Match[str]) -> bool:
    """Whether a mark has the next letter of a list, written as the list's others are."""
    return letter_of(mark) == chr(ord("A") + len(run)) and _style(mark) == _style(run[-1])


def _raw_letter(match: re.Match[str]) -> str:
    """The letter of an expression whose groups exclude each other: the one that took part."""
    return match[match.lastindex or 0]


def letter_of(match: re.Match[str]) -> str:
    return _raw_letter(match).upper()


def _style(match: re.Match[str]) -> tuple[str | None, bool]:
    return match.lastgroup, _raw_letter(match).isupper()


def bare(option: str) -> str:
    return option.strip(EDGES)


def begins(text: str, option: str) -> bool:
    """Whether a folded text begins with an option's, as whole words."""
    option = bare(option)
    after = text[len(option) : len(option) + 1]
    return bool(option) and text.startswith(option) and not after.isalnum()


def named_in(text: str, listed: Options) -> set[str]:
    """The letters of the options whose texts a folded text names; a text within a longer one that
    is named is not.
    """
    letters = set()
    for letter, option in sorted(listed.items(), key=lambda item: -len(item[1])):
        option = bare(option)
        if option and (places := _places(text, option)):
            if not all(is_denied(text, at, at + len(option)) for at in places):
                letters.add(letter)
            text = text.replace(option, "\0")
    return letters


def _places(text: str, words: str) -> list[int]:
    """The first places where a text holds these words with no letter or digit right before or after
    them.
    """
    places: list[int] = []
    at = text.find(words)
    while at >= 0 and len(places) < MOST_PLACES:
        end = at + len(words)
        if not text[max(0, at - 1) : at].isalnum() and not text[end : end + 1].isalnum():
            places.append(at)
        at = text.find(words, end)
    return places
