r"""Where an answer says that it gives the answer: `####`, `\boxed{}`, "the answer is", "Answer:".

For: finding those places from the end, in time linear in the text. Not for: what stands there
(numbers.py, choices.py, booleans.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from opro_local.scoring.reading import languages, turns

T = TypeVar("T")

# How much is read after a mark, and how many marks of each kind are tried: bounds that keep long
# texts linear.
LONGEST_LINE = 2000
LONGEST_BOX = 400
MARKS = 3

# What stands after "answer": the scan has found "nswer" already.
SAYS = re.compile(
    r"""
    nswers?
    (?: \s (?: choice | option | letter ) )?    # "answer choice"
    [*_"'`)\]]{0,4}                             # "**Answer**", "(my answer)"
    (?:
        [ \t]{0,4} (?: [:：=→] | -> )            # "Answer: 5", "answer -> 5"
      |
        (?:                                     # "answer to the second question is 5"
            [ \t]{1,4} (?: to | for | of | in ) \s
            [^.:\n]{0,80}?
        )?
        \s{1,20}
        (?:
            is | are | was | equals             # "answer is 5"
          | (?: would | should | must | will ) \s (?: then \s )? be     # "answer should then be 5"
        ) \b
      |
        [*_#]{0,4} [ \t]{0,4} \n                # "### Answer" alone on its line
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# The end of a sentence, before a capital or a sign. "approx. 5" and "Rs. 500" go on.
SENTENCE = re.compile(
    r"""
    [.!?]
    [*_"')\]]{0,4}          # "(It is 5.) Then", "**It is 5.** Then"
    \s{1,20}
    (?= [^\W\d_a-z] )       # a letter that is no small Latin one
    """,
    re.VERBOSE,
)
# What stands before "answer" where it is no answer of one's own: "a common wrong answer is".
# ... and where it is one of several: "First answer: 10. Second answer: 20."
DISOWNED = re.compile(
    r"\b(?:wrong|incorrect|mistaken|if (?:the|my|your)(?: (?:final|correct|right))?"
    r"|first|second|third|1st|2nd|3rd)\s+a?$",
    re.IGNORECASE,
)
# An answer between tags.
TAG = re.compile(
    r"<(?P<name>(?:final[_-]?)?(?:answer|label|result|output))>(?P<text>[^<]{0,400})</(?P=name)>",
    re.IGNORECASE,
)
LONGEST_TAGGED = 20_000
SPACES = re.compile(r"\s{0,40}")
BLANK = " \t\r*_$:：#>\"'`"
# The line of a next question, before which an answer ends whatever it says.
NEXT_QUESTION = re.compile(
    r"\n\s{0,9}[*#]{0,3}(?:Q|Question|Input|Frage|问题|質問)[ ]?\d{0,3}[*]{0,2}[ ]?[:：]"
)
STRUCK = re.compile(r"~~(?=\S)[^~\n]{1,400}~~")
# What may stand between two boxes that are one answer: "\boxed{3} or \boxed{4}".
BOXES_JOINED = re.compile(
    r"""
    \}?                     # the brace of the first box
    [\s$,]{0,8}
    (?: or | and | , )
    [\s$\\]{0,8}
    """,
    re.VERBOSE,
)
# Words by which a model takes back what it said before.
WITHDRAWN = re.compile(
    r"""
    \b (?:
        [Ww]ait (?= [,.!…—–-] | \s (?: no | that | actually | I ) \b )  # "Wait, ...", "wait no"
      | [Ss]orry \b
      | [Cc]orrection \b
      | [Ss]cratch [ ] that
      | [Oo]n [ ] second [ ] thought
      | [Mm]ade [ ] (?: a | an ) [ ] (?: mistake | error )              # "I made a mistake"
      | [Ll]et [ ] me [ ] (?: re | correct | fix )                      # "Let me recalculate"
    )
    """,
    re.VERBOSE,
)
# A part of each of these, because looking for plain text is ten times as fast.
HINTS = ("ait", "orry", "orrection", "cratch that", "econd thought", "mistake", "error", "et me ")


class Mark(NamedTuple):
    """One marked place.

    Attributes:
        kind: how it is marked: "hashes", "box", "tag" or "phrase".
        at: where the text after the mark starts.
        text: that text: the content of a box or a tag, or else the rest of the line.
    """

    kind: str
    at: int
    text: str

    def is_plain(self, answer: str) -> bool:
        """Whether a colon or the like announces it, so that it is the answer whatever it says."""
        before = answer[max(0, self.at - 8) : self.at].rstrip(" \t*_\"'`")
        return self.kind == "phrase" and before.endswith((":", "：", "=", "→", "->"))


def read_marked(answer: str, read: Callable[[Mark], T | None]) -> T | None:
    """What the last marked place says that says anything; None without one.

    A later mark corrects an earlier one. After words that take an answer back ("wait", "I made a
    mistake") only what is marked afterwards counts.
    """
    places = [*_hashes(answer), *_boxes(answer), *_phrases(answer), *_tags(answer)]
    if len(places) > 1:
        places.sort(key=lambda mark: -mark.at)
    for mark in places:
        if WITHDRAWN.search(answer, mark.at, mark.at + LONGEST_LINE):
            return None
        said = read(mark)
        if said is not None:
            return said
    return None


def first_turn(answer: str) -> str:
    """The answer without the next question that a base model goes on with, and without what it
    struck out: "~~B~~ C".
    """
    if "~~" in answer:
        answer = STRUCK.sub(" ", answer)
    following = NEXT_QUESTION.search(answer, len(answer) - len(answer.lstrip()))
    return turns.first(answer[: following.start()] if following else answer)


def standing(answer: str) -> str:
    """What is left of an answer after the last words that take something back."""
    if not any(hint in answer for hint in HINTS):
        return answer
    end = 0
    for withdrawn in WITHDRAWN.finditer(answer):
        end = withdrawn.end()
    return answer[end:]


def _hashes(answer: str) -> Iterator[Mark]:
    at = answer.rfind("####")
    if at >= 0:
        start = _after_spaces(answer, at + 4)
        yield Mark("hashes", start, _line(answer, start))


def _after_spaces(text: str, at: int) -> int:
    spaces = SPACES.match(text, at)
    # It matches everywhere, if only no space at all.
    return spaces.end() if spaces else at


def _boxes(answer: str) -> Iterator[Mark]:
    later: Mark | None = None
    at = answer.rfind("boxed{")
    for _ in range(MARKS):
        if at < 0:
            break
        start = at + len("boxed{")
        content = braced(answer, start)
        if later and _is_joined(answer, start + len(content), later):
            # Two boxes side by side are one answer that says two things.
            content = f"{content} or {later.text}"
        elif later:
            yield later
        later = Mark("box", start, content)
        at = answer.rfind("boxed{", 0, at)
    if later:
        yield later


def _is_joined(answer: str, end: int, later: Mark) -> bool:
    """Whether only "or" or its like stands between the end of a box's content and a later box."""
    start = later.at - len("boxed{")
    if answer[start - 1 : start] == "\\":
        start -= 1
    return BOXES_JOINED.fullmatch(answer, end, start) is not None


def _phrases(answer: str) -> Iterator[Mark]:
    # Each spelling on its own way back: looking for both at every turn would take quadratic time.
    for word in ("nswer", "NSWER"):
        yield from _phrases_of(answer, word, SAYS, 0)
    stems = languages.LATIN if answer.isascii() else languages.STEMS
    for stem in (*stems, *languages.CAPITALS):
        if stem in answer:
            yield from _phrases_of(answer, stem, languages.SAYS, len(stem))


def _phrases_of(
    answer: str, word: str, expression: re.Pattern[str], skipped: int
) -> Iterator[Mark]:
    """The places from the end where a word for "answer" stands and the expression goes on."""
    at, left = answer.rfind(word), MARKS
    while at >= 0 and left:
        says = expression.match(answer, at + skipped)
        if says and not DISOWNED.search(answer, max(0, at - 40), at):
            left -= 1
            yield Mark("phrase", says.end(), _line(answer, says.end(), below=True))
        at = answer.rfind(word, 0, at)


def _tags(answer: str) -> Iterator[Mark]:
    """What stands between tags that name an answer: "<answer>5</answer>"."""
    if "</" not in answer:
        return
    for count, tag in enumerate(TAG.finditer(answer, max(0, len(answer) - LONGEST_TAGGED))):
        if count == MARKS:
            return
        yield Mark("tag", tag.start("text"), tag["text"])


def _line(text: str, at: int, below: bool = False) -> str:
    """The rest of the line; with `below`, the next line with text if nothing is left of it."""
    end = _line_end(text, at)
    if below and not text[at:end].strip(BLANK):
        at = _after_spaces(text, end)
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
