r"""The rule math: an answer is right when its formula says what the target's says.

For: which pairs are equal as texts or numbers, and asking math-verify for all others (process.py).
Not for: finding the formula (reading/formulas.py), or parsing one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from opro_local.scoring.amounts import same_number
from opro_local.scoring.mathematics.process import Comparison, Limits, MathProcess
from opro_local.scoring.reading import formulas, marks, numbers
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example

DIGITS = re.compile(r"\d+(?:\.\d+)?")
# Models give the same few formulas again and again.
KEPT = 20_000
# What encloses a set, a pair or an interval, and may not be changed.
OPENING, CLOSING = ("\\{", "(", "["), ("\\}", ")", "]")


def math(limits: Limits | None = None) -> Rule:
    r"""The formula that the answer gives equals the target's: LaTeX, fractions, roots, sets,
    intervals, matrices, equations.

    The formula is the one in `\boxed{}`, after "the answer is" and the like, the whole of a short
    answer, or the last between dollar signs. Equal texts and numbers are equal; all others are
    compared by math-verify, which simplifies both. "x = 3" is 3. A set is no interval. Prose, two
    formulas of equal standing, and what takes over 3 s of processor time is a failed extraction.

    Args:
        limits: what one comparison may use.

    Raises:
        UsageError: math-verify is not installed.
    """
    process = MathProcess(limits or Limits())

    @lru_cache(KEPT)
    def compared(gold: str, said: str) -> Comparison:
        return process.compare(gold, said)

    def verdict(answer: str, gold: str) -> float:
        said = formulas.formula(answer)
        if said is None:
            return FAILED
        said = formulas.joined(said)
        if formulas.plain(said) == formulas.plain(gold):
            return 1.0
        value, target = _number(said), _number(gold)
        if value is not None and target is not None:
            return float(same_number(value, target))
        if _encloses(said) != _encloses(gold) and "\\{" in (_encloses(said), _encloses(gold)):
            return 0.0
        reply = compared(gold, said)
        if not reply.is_read or (reply.is_right and target is not None and _holds(said, target)):
            return FAILED
        return float(reply.is_right)

    def gold(example: Example) -> str:
        target = example.target.strip()
        boxed = marks.read_marked(target, lambda mark: mark.text if mark.kind == "box" else None)
        return formulas.joined((boxed or target).strip().strip("$").strip())

    return Rule("math", formulas.formula, gold, verdict)


def _holds(formula: str, target: float) -> bool:
    """Whether a formula holds the target's digits and says more: "5+", "> 5", "5pm".

    math-verify takes a number out of what it does not understand.
    """
    said = numbers.lenient(formula)
    if said is not None and same_number(said, target):
        return False
    return any(same_number(float(digits), abs(target)) for digits in DIGITS.findall(formula))


def _number(text: str) -> float | None:
    """The number that a formula is and nothing else; None for one with a % or a degree."""
    if any(sign in text for sign in "%°^") or len(text) > numbers.LONGEST:
        return None
    value = numbers.whole(text)
    return None if value is None or value != value else value


def _encloses(text: str) -> str:
    """The bracket that encloses a whole formula; "" without one."""
    text = formulas.plain(text)
    for first, last in zip(OPENING, CLOSING, strict=True):
        if text.startswith(first) and text.endswith(CLOSING if first != "\\{" else last):
            return first
    return ""
