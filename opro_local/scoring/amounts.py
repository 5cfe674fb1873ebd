r"""The rule number: whether the number that an answer gives is the target's.

For: the verdict, with its tolerance and graded error, % against shares, ratings on a scale, and
digits that are a name. Not for: which number an answer gives (reading/numbers.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from opro_local.errors import UsageError
from opro_local.scoring.reading import marks, numbers
from opro_local.scoring.reading.notation import Written
from opro_local.scoring.rule import FAILED, Rule, Verdict

HINT = "accepted: ',' for decimal commas, absolute=0.5, relative=0.01 or relative=1%, graded"
# The scales on which "4/5" is a rating of 4 and no fraction, where every target fits it.
RATING_SCALES = (5.0, 10.0, 100.0)
# Digits that stand by themselves, as identifiers do.
DIGITS = re.compile(r"(?<![\w.,/-])\d(?:[ ,'_]?\d)*(?![\w/]|[.,-]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from the target an answer may be.

    Attributes:
        absolute: in the target's unit.
        relative: as a share of the target; the larger of the two counts.
        graded: whether an answer earns less the farther it is from the target, 1 at the target and
            nothing at the tolerance, and not all or nothing.
    """

    absolute: float = 0.0
    relative: float = 0.0
    graded: bool = False

    def earned(self, said: float, gold: float) -> float:
        """What a number earns against a target, in [0, 1]."""
        error = abs(said - gold)
        allowed = max(self.absolute, self.relative * abs(gold))
        if self.graded:
            return max(0.0, 1.0 - error / allowed)
        # A hair more, because 0.3 - 0.2 is not 0.1.
        return float(error <= allowed * (1 + 1e-9))


def options_of(pattern: str | None) -> tuple[bool, Tolerance | None] | None:
    """What a pattern of the rule number says: whether commas are decimal, and the tolerance; None
    for a text that is no such pattern.
    """
    comma, graded, bounds = False, False, {"absolute": 0.0, "relative": 0.0}
    for written in re.split(r"[;\s]+", (pattern or "").strip()):
        word = written if written == "," else written.rstrip(",")
        name, equals, value = word.partition("=")
        if name in bounds and equals and (bound := _bound(value)) is not None:
            bounds[name] = bound
        elif word == "graded":
            graded = True
        elif word == ",":
            comma = True
        elif word not in ("", "."):
            return None
    if graded and not any(bounds.values()):
        return None
    tolerance = Tolerance(**bounds, graded=graded) if any(bounds.values()) else None
    return comma, tolerance


def pattern_with(
    pattern: str | None, absolute: float | None, relative: float | None, graded: bool
) -> str | None:
    """A pattern of the rule number with these settings added; as it is without any."""
    named = {"absolute": absolute, "relative": relative}
    words = [f"{name}={value!r}" for name, value in named.items() if value]
    words += ["graded"] if graded else []
    return " ".join([pattern or "", *words]).strip() if words else pattern


def _bound(value: str) -> float | None:
    """A bound as it is written, "0.5" or "1%"; None for anything but a finite number from 0."""
    try:
        bound = float(value.rstrip("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        return None
    return bound if math.isfinite(bound) and bound >= 0 else None


def number(pattern: str | None = None, targets: Sequence[str] = ()) -> Rule:
    r"""The number the answer gives is the target's.

    Which number that is says reading/numbers.py: the marked one, the one that the answer begins
    with as its whole statement, or the one that it comes to. Strict reads marked numbers only.
    Whole numbers are equal when they are the same; otherwise a relative difference of 1e-6 is
    allowed, or the tolerance that is asked for.

    "50%" is 0.5 where the target is a share (below 1, without a %), and 0.5 is "50%" where the
    target has a %. "4/5" is 4 where every target is a whole number on that scale, and a fraction
    elsewhere. A target with leading zeros or more than 15 digits is a name: the same digits have to
    stand in the answer. Not normalised: units ("3 dozen" and "5 km" are 3 and 5), rounding, powers
    and roots. Two numbers of equal standing ("5 or 6", "3 + 4") are a failed extraction.

    Args:
        pattern: "," for decimal commas, "absolute=0.5", "relative=0.01" and "graded", with spaces
            between.
        targets: those of the rows; they decide what "4/5" is.

    Raises:
        UsageError: another pattern.
    """
    given = options_of(pattern)
    if given is None:
        raise UsageError(f"the rule number has the pattern {pattern!r}", HINT)
    comma, tolerance = given
    lenient = partial(numbers.lenient, comma=comma)
    scale = _largest(targets)

    def gold_of(target: str) -> float | str | None:
        if not comma and numbers.is_identifier(target):
            return _digits(target)
        return lenient(target)

    def extract(answer: str, gold: float | str | None = None) -> str | None:
        if isinstance(gold, str):
            return _name(answer)
        value = lenient(answer)
        if value is None or math.isnan(value):
            return None
        value = value if gold is None or math.isnan(gold) else meant(value, gold, scale)
        return format(value, ".15g")

    return Rule(
        "number",
        extract,
        lambda example: gold_of(example.target),
        _verdict(lenient, tolerance, scale),
        _verdict(partial(numbers.strict, comma=comma), tolerance, scale),
        extract_for=extract,
    )


def _largest(targets: Sequence[str]) -> float:
    """The largest target where all are whole numbers from 0 to 100, as ratings are; else NaN."""
    values = [numbers.whole(target) if len(target) < 20 else None for target in targets]
    ratings = [value for value in values if value is not None and value in range(101)]
    return max(ratings) if ratings and len(ratings) == len(values) else math.nan


def _verdict(
    answer: Callable[[str], float | None], tolerance: Tolerance | None, scale: float
) -> Verdict:
    def verdict(text: str, gold: float | str | None) -> float:
        if isinstance(gold, str):
            name = _name(text)
            return FAILED if name is None else float(name == gold)
        said = answer(text)
        if said is None or math.isnan(said):
            # numbers.AMBIGUOUS is NaN, as FAILED is.
            return FAILED
        if gold is None or math.isnan(gold):
            return 0.0
        said = meant(said, gold, scale)
        return tolerance.earned(said, gold) if tolerance else float(same_number(said, gold))

    return verdict


def meant(said: float, gold: float, scale: float = math.nan) -> float:
    """What a number means beside a target, where its way of writing leaves a choice.

    Args:
        said: the answer's number.
        gold: the target's.
        scale: the largest target, where targets are ratings.
    """
    if isinstance(gold, Written) and gold.percent:
        is_share = not (isinstance(said, Written) and said.percent) and abs(said) <= 1
        return 100 * said if is_share and not same_number(said, gold) else said
    if not isinstance(said, Written):
        return said
    is_share = 0 < abs(gold) < 1
    if said.percent:
        return said / 100 if is_share else said
    if said.ratio:
        top, bottom = said.ratio
        if is_share:
            return top / bottom if bottom else said
        if bottom in RATING_SCALES and scale <= bottom and top <= bottom:
            return top
    return said


def same_number(said: float, gold: float | None) -> bool:
    """Whether two numbers are the same answer: equal, or within 1e-6 of each other where not both
    are whole.
    """
    if said == gold:
        return True
    if gold is None or (said.is_integer() and gold.is_integer()):
        # 1,000,000 and 1,000,001 differ by 1e-6 and are not the same answer.
        return False
    return math.isclose(said, gold, rel_tol=1e-6)


def _name(answer: str) -> str | None:
    """The digits that an answer gives as a name: those at a marked place, or the only ones in it;
    None where there are none, or several.
    """
    answer = marks.first_turn(answer)
    marked = marks.read_marked(answer, lambda mark: _only(mark.text))
    return marked or _only(marks.standing(answer))


def _only(text: str) -> str | None:
    names = {_digits(match[0]) for match in DIGITS.finditer(text)}
    return names.pop() if len(names) == 1 else None


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
