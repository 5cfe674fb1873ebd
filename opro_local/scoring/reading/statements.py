"""What an answer gives as free text: what is marked, its first line, or all of it.

For: short texts that are compared as a whole ("Paris"). Not for: labels, numbers or choices, whose
readers know what they look for; long texts (scoring/overlap.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading import marks, retractions
from opro_local.scoring.reading.normal import bare, typed

# "A: Paris", where A stands for answer.
SHORT_MARK = re.compile(r"\s{0,9}[*_]{0,2}A(?:ns)?[*_]{0,2}\s?[:.]\s{0,3}(?=\S)")
# What Markdown and a colon leave at a marked place: "**Answer:** Paris", "is: **Paris**".
LEFT_OVER = re.compile(r"[\s:：]{0,9}(?:[*_]{1,3}\s{1,3})?")
IN_TEX = re.compile(r"\s{0,9}\\(?:text|textbf|textit|mathrm|mathbf)\{(?P<text>[^{}]*)\}\s{0,9}")
# How a line begins that explains the one before.
EXPLAINS = re.compile(
    r"""
    [\s*_#>(-]{0,8}
    (?: explanation | explain | reason | because | note | this | it | the | here | since | as | step
      | in | i | context | source | confidence | erklärung | begründung | weil | explication
      | explicación | spiegazione | пояснение | 解释 | 理由 | 因为 | 説明 | 설명
    ) (?! \w )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# "J. R. Smith" and "Dr. Who" are no ends of sentences.
ABBREVIATED = re.compile(
    r"""
    (?:
        \b [^\W\d_] \. [ ]? [^\W\d_]                     # "J. R" of "J. R. Smith"
      | \b [K-Z]                                         # "R"; letters up to J are choices
      | \b (?: Dr | Mrs? | Ms | Prof | St | Ste | Mt | Ft | Jr | Sr | Gen | Col | Capt | Lt | Sgt
              | Rev | Hon | Gov | Pres | Sen | Rep | No | Nr | vs | Inc | Ltd | Co | Corp | Bros
              | Fig | approx | ca | bzw | Hr | Fr | M | Mme | Sra? | al )
    ) \Z
    """,
    re.VERBOSE,
)
INITIAL = re.compile(r"\b[^\W\d_]\Z")
NEXT_INITIAL = re.compile(r"\.[ ][A-Z]\.")
# A later line that says that the one before is wrong.
WRONG = re.compile(
    r"\n\s*(?:this|that|it)(?: answer)?(?:'s| is| was) (?:wrong|incorrect|not (?:right|correct))\b",
    re.IGNORECASE,
)
SENTENCE_WORDS = 4
SENTENCE_SIGNS = 9
LONGEST_LINE = 400


def readings(answer: str) -> tuple[str, ...]:
    """What an answer may be taken to say, in the normal form `bare`: all of it first.

    Then what is marked, the line and its first sentence; and where nothing is marked, the first
    line, if what follows explains it. Empty for an empty answer.
    """
    everything = bare(answer)
    if not everything:
        return ()
    answer = marks.first_turn(answer)
    parts = retractions.divided(answer)
    marked = marks.read_marked(parts[1] if parts else answer, _lines)
    if marked:
        return (everything, *marked)
    if parts or _is_taken_back(answer):
        return (everything,)
    first = _first_line(answer)
    return (everything, first) if first and first != everything else (everything,)


def stated(answer: str) -> str | None:
    """The reading to show: the marked one, or the first line, or all of it."""
    said = readings(answer)
    return said[-1] if said else None


def _is_taken_back(answer: str) -> bool:
    """Whether an answer takes its first line back, as in "This is incorrect."."""
    return marks.standing(answer) != answer or WRONG.search(answer) is not None


def _lines(mark: marks.Mark) -> tuple[str, ...] | None:
    text = _cleared(mark.text)
    line = bare(text)
    # "The answer is as follows:" marks nothing.
    if not line or text.rstrip(" *\n").endswith(":"):
        return None
    first = bare(_sentence(text))
    return (line, first) if first and first != line else (line,)


def _sentence(line: str) -> str:
    """The first sentence of a line, which initials and short forms do not end."""
    for end in marks.SENTENCE.finditer(line):
        before = line[max(0, end.start() - 16) : end.start()]
        is_initial = INITIAL.search(before) and NEXT_INITIAL.match(line, end.start())
        if not is_initial and not ABBREVIATED.search(before):
            return line[: end.start()]
    return line


def _cleared(text: str) -> str:
    """The text at a mark without what belongs to the mark."""
    if tex := IN_TEX.fullmatch(text):
        return tex["text"]
    left_over = LEFT_OVER.match(text)
    text = text[left_over.end() :] if left_over else text
    return text.rstrip(" *") if text.count("**") % 2 else text


def _first_line(answer: str) -> str | None:
    """The first line of an answer that goes on to explain it, or what stands after its "A:"."""
    text = answer.strip()
    if short := SHORT_MARK.match(text):
        text = text[short.end() :]
    line, _, rest = text.partition("\n")
    if line.rstrip(" *").endswith((":", "：")) and len(line) <= LONGEST_LINE:
        # "The capital of France is:" stands before the answer.
        line, _, rest = rest.strip().partition("\n")
    next_line = rest.strip().partition("\n")[0]
    if next_line and not _explains(next_line):
        return None
    return bare(line) if len(line) <= LONGEST_LINE else None


def _explains(line: str) -> bool:
    """Whether a line is a sentence rather than one more answer."""
    line = typed(line)
    if EXPLAINS.match(line):
        return True
    words = line.split()
    if len(words) >= SENTENCE_WORDS:
        return True
    return not line.isascii() and len(line) >= SENTENCE_SIGNS and line.rstrip().endswith((".", "!"))
