r"""Where an answer says that it gives the answer: `####`, `\boxed{}`, "the answer is", "Answer:".

For: finding those places from the end, in time linear in the text. Not for: what stands there
(number.py, choice.py, boolean.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

# How much is read after a mark, and how many marks of each kind are tried: bounds that keep long
# texts linear.
LONGEST_LINE = 2000
LONGEST_BOX = 400
MARKS = 3

# What stands after "answer": the scan has found "nswer" already.
SAYS = re.compile(
    r"nswers?(?:\s(?:choice|option|letter))?[*_\"'`)\]]{0,4}"
    r"(?:[ \t]{0,4}(?:[:：=→]|->)"
    r"|(?:[ \t]{1,4}(?:to|for|of|in)\s[^.:\n]{0,80}?)?\s{1,20}"
    r"(?:is|are|was|(?:would|should|must|will)\s(?:then\s)?be|equals)\b"
    r"|[*_#]{0,4}[ \t]{0,4}\n)",
    re.IGNORECASE,
)
# The end of a sentence. "approx. 5" and "Rs. 500" go on.
SENTENCE = re.compile(r"[.!?][*_\"')\]]{0,4}\s{1,20}(?=[^\W\d_a-z])")
SPACES = re.compile(r"\s{0,40}")
BLANK = " \t\r*_$:#>\"'`"
BOXES_JOINED = re.compile(r"\}?[\s$,]{0,8}(?:or|and|,)[\s$\\]{0,8}")
# Words by which a model takes back what it said before.
WITHDRAWN = re.compile(
    r"\b(?:[Ww]ait(?=[,.!…—–-]|\s(?:no|that|actually|I)\b)|[Ss]orry\b|[Cc]orrection\b|[Ss]cratch that"
    r"|[Oo]n second thought|[Mm]ade (?:a|an) (?:mistake|error)"
    r"|[Ll]et me (?:re|correct|fix))"
)
# A part of each of them, because looking for plain text is ten times as fast.
HINTS = ("ait", "orry", "orrection", "cratch that", "econd thought", "mistake", "error", "et me ")


class Mark(NamedTuple):
    """One marked place: its kind ("hashes", "box" or "phrase"), where the text after it starts, and
    that text.
    """

    kind: str
    at: int
    text: str


def read_marked(answer: str, read: Callable[[Mark], T | None]) -> T | None:
    """What the last marked place says that says anything; None without one.

    A later mark corrects an earlier one. After words that take an answer back ("wait", "I made a
    mistake") only what is marked afterwards counts.
    """
    places = [*_hashes(answer), *_boxes(answer), *_phrases(answer)]
    if len(places) > 1:
        places.sort(key=lambda mark: -mark.at)
    for mark in places:
        if WITHDRAWN.search(answer, mark.at, mark.at + LONGEST_LINE):
            return None
        found = read(mark)
        if found is not None:
            return found
    return None


def standing(answer: str) -> str:
    """What is left of an answer after the last words that take something back."""
    if not any(hint in answer for hint in HINTS):
        return answer
    found = None
    for found in WITHDRAWN.finditer(answer):  # noqa: B007
        pass
    return answer[found.end() :] if found else answer


def _hashes(answer: str) -> Iterator[Mark]:
    at = answer.rfind("####")
    if at >= 0:
        start = SPACES.match(answer, at + 4).end()
        yield Mark("hashes", start, _line(answer, start))


def _boxes(answer: str) -> Iterator[Mark]:
    at, later = answer.rfind("boxed{"), None
    for _ in range(MARKS):
        if at < 0:
            break
        content = braced(answer, at + 6)
        if later and BOXES_JOINED.fullmatch(
            answer, at + 6 + len(content), _backslash(answer, later.at - 6)
        ):
            # Two boxes side by side are one answer that says two things.
            content = f"{content} or {later.text}"
        elif later:
            yield later
        later = Mark("box", at + 6, content)
        at = answer.rfind("boxed{", 0, at)
    if later:
        yield later


def _backslash(answer: str, at: int) -> int:
    return at - 1 if answer[at - 1 : at] == "\\" else at


def _phrases(answer: str) -> Iterator[Mark]:
    # Each spelling on its own way back: looking for both at every turn would take quadratic time.
    for word in ("nswer", "NSWER"):
        at, left = answer.rfind(word), MARKS
        while at >= 0 and left:
            if says := SAYS.match(answer, at):
                left -= 1
                yield Mark("phrase", says.end(), _line(answer, says.end(), below=True))
            at = answer.rfind(word, 0, at)


def _line(text: str, at: int, below: bool = False) -> str:
    """The rest of the line; with `below` the next line with text where nothing is left of this one."""
    end = _line_end(text, at)
    if below and not text[at:end].strip(BLANK):
        at = SPACES.match(text, end).end()
        end = _line_end(text, at)
    return text[at:end]


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at, at + LONGEST_LINE)
    return min(len(text), at + LONGEST_LINE) if end < 0 else end


def sentence(line: str) -> str:
    """The first sentence of a line."""
    end = SENTENCE.search(line)
    return line[: end.start()] if end else line


def braced(text: str, at: int) -> str:
    """What stands from here to the brace that closes it, at most 400 characters."""
    depth = 1
    for place in range(at, min(len(text), at + LONGEST_BOX)):
        depth += (text[place] == "{") - (text[place] == "}")
        if not depth:
            return text[at:place]
    return text[at : at + LONGEST_BOX]
