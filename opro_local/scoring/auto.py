"""The rule "auto": which rule suits the targets of a task, and why.

For: a choice that all labelled rows make together, in words that a user can check. Not for: making
the rule (choosing.py), or reading answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from opro_local.scoring.amounts import options_of
from opro_local.scoring.fields import is_json
from opro_local.scoring.reading import booleans, choices
from opro_local.scoring.reading.label_sets import items_of, parts_of, separator_of
from opro_local.scoring.reading.normal import folded
from opro_local.scoring.reading.numbers import is_number
from opro_local.scoring.reading.options import options
from opro_local.types import Example

# Labels are short and on one line; what is longer is a text.
LONGEST_LABEL = 100
# How often a label occurs on average, and the share of rows that may have one of their own, so that
# targets are labels and not answers that happen to be the same. Counts repeat themselves, too.
OFTEN, CODE_OFTEN = 2, 3
SCALE_OFTEN = 5
MOST_SINGLE = 0.2
# Codes of classes: 0/1, stars, class ids. Measured values leave gaps and are larger.
LARGEST_CODE = 1000
FEW_CODES, FEW_OFTEN = 5, 10
# Up to so many codes a scale from 0 to 10 is one; up to so many, classes that are all about as
# frequent; what has more values counts or measures something.
SCALE_CODES, MOST_CODES, LEAST_SHARE = 11, 20, 0.5

# "3" and "-1", also as a column with gaps is written, "3.0"; "007" is a name and no number.
CODE = re.compile(r"(?P<number>-?(?:0|[1-9]\d{0,3}))(?:\.0)?")

# What labels were at most before revision 2 (task.revision).
MAX_LABELS = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """A rule that was chosen.

    Attributes:
        name: one of `choosing.RULES`.
        pattern: what the rule needs besides.
        reason: why it was, as the end of a sentence; "" where nothing was to be chosen.
    """

    name: str
    pattern: str | None = None
    reason: str = ""

    @property
    def notices(self) -> tuple[str, ...]:
        """What "auto" chose and why; nothing where it was not asked, or by an older run."""
        return (f"rule {self.name}, chosen by auto: {self.reason}",) if self.reason else ()


def choose(
    labels: Sequence[str],
    pattern: str | None,
    examples: Sequence[Example],
    has_tolerance: bool = False,
    revision: int = 3,
) -> Choice:
    """The rule that suits the targets, whatever order the rows are in.

    Args:
        labels: those that the user or the task gives.
        pattern: what the user or the task gives.
        examples: all labelled rows there are, in whatever split.
        has_tolerance: whether the user says how far off an answer may be: numbers are amounts then,
            and no codes of classes.
        revision: `task.revision`, from 2 on. Before 3 any number of whole numbers that are close
            together were codes, and JSON lists of labels only what combines several often.
    """
    given = _by_what_is_given(labels, pattern)
    if given:
        return given
    choice = _by_targets(pattern, examples, has_tolerance, revision)
    targets = [example.target for example in examples]
    if len(targets) > 1 and len({folded(target) for target in targets}) == 1:
        same = f"all {len(targets)} targets are {targets[0][:40]!r}, so that rows teach nothing"
        return replace(choice, reason=f"{choice.reason}; {same}")
    return choice


def _by_targets(
    pattern: str | None, examples: Sequence[Example], has_tolerance: bool, revision: int
) -> Choice:
    """The rule that the targets of all rows suggest."""
    targets = [example.target for example in examples]
    if targets and all(map(is_json, targets)):
        listed = _as_listed_labels(targets) if revision >= 3 else None
        sets = listed or _as_label_sets_in_json(targets)
        return sets or Choice("json", reason="every target is a JSON object or list")
    if examples and all(map(_is_listed, examples)):
        return Choice("choice", reason="every target is one of the options in its input")
    # A pattern that got here is one of the rule number.
    are_amounts = has_tolerance or bool(pattern)
    kinds = (
        *((_as_boolean,) if are_amounts else (_as_boolean, partial(_as_codes, revision))),
        *(_as_numbers(pattern), _as_letters, _as_label_sets, _as_labels),
    )
    for kind in kinds:
        choice = kind(targets)
        if choice:
            return choice
    return Choice("exact", reason=f"{_counted(targets)} are neither labels nor numbers")


def choose_by_train(
    labels: Sequence[str], pattern: str | None, examples: Sequence[Example]
) -> Choice:
    """What "auto" chose before revision 2, from the train rows alone: for runs begun then."""
    targets = [example.target for example in examples]
    distinct = {folded(target) for target in targets}
    given = _by_what_is_given(labels, pattern)
    if given:
        return given
    if examples and all(map(_is_listed, examples)):
        return Choice("choice")
    numbers = _as_numbers(pattern)(targets)
    if numbers:
        return Choice("number", numbers.pattern)
    if len(distinct) > 1 and all(map(choices.is_choice, targets)):
        return Choice("choice")
    if len(distinct) == 2 and booleans.pair_of(targets):
        return Choice("boolean")
    if 1 < len(distinct) <= MAX_LABELS and len(targets) >= 3 * len(distinct):
        return Choice("labels")
    return Choice("exact")


def codes(targets: Sequence[str]) -> list[int] | None:
    """The whole numbers that all targets are; None where one is something else."""
    matches = [CODE.fullmatch(target.strip()) for target in targets]
    numbers = [int(match["number"]) for match in matches if match]
    return numbers if targets and len(numbers) == len(targets) else None


def _by_what_is_given(labels: Sequence[str], pattern: str | None) -> Choice | None:
    if labels:
        return Choice("labels", reason=f"{len(labels)} labels are given")
    if pattern and options_of(pattern) is None:
        name = "python" if ".py:" in pattern else "regex"
        return Choice(name, pattern, "task.pattern is given")
    return None


def _is_listed(example: Example) -> bool:
    listed = options(example.input)
    return bool(listed) and choices.target_letter(example.target, listed) is not None


def _as_boolean(targets: Sequence[str]) -> Choice | None:
    distinct = {folded(target) for target in targets}
    pair = booleans.pair_of(targets) if len(distinct) == 2 else None
    return pair and Choice("boolean", reason=f"every target is {pair[0]} or {pair[1]}")


def _as_codes(revision: int, targets: Sequence[str]) -> Choice | None:
    """Classes that are written as numbers: few, close together, and each of them often."""
    numbers = codes(targets)
    if not numbers or not _are_repeated(numbers, CODE_OFTEN):
        return None
    distinct, least, most = len(set(numbers)), min(numbers), max(numbers)
    if most > LARGEST_CODE:
        return None
    is_close = (
        least <= 1 and most - least + 1 <= 2 * distinct and (revision < 3 or _are_codes(numbers))
    )
    is_few = distinct <= FEW_CODES and len(numbers) >= FEW_OFTEN * distinct
    if not (is_close or is_few):
        return None
    reason = f"{_counted(targets)} are whole numbers from {least} to {most}, as codes of classes"
    return Choice("labels", reason=reason)


def _are_codes(numbers: Sequence[int]) -> bool:
    """Whether so many different whole numbers are codes: on a scale each often, and beyond it only
    without gaps and about as often each. Counts have rare values at their end.
    """
    counts = Counter(numbers)
    mean = len(numbers) / len(counts)
    if len(counts) <= FEW_CODES:
        return True
    if len(counts) <= SCALE_CODES:
        return mean >= SCALE_OFTEN
    has_gaps = max(numbers) - min(numbers) + 1 > len(counts)
    is_even = min(counts.values()) >= LEAST_SHARE * mean
    return len(counts) <= MOST_CODES and mean >= SCALE_OFTEN and is_even and not has_gaps


def _as_numbers(pattern: str | None) -> Callable[[Sequence[str]], Choice | None]:
    def by_decimal(targets: Sequence[str]) -> Choice | None:
        # A pattern can only be the decimal comma here; without one both signs are tried.
        for decimal in (pattern,) if pattern else (None, ","):
            comma, _ = options_of(decimal) or (False, None)
            if targets and all(is_number(target, comma) for target in targets):
                commas = ", with decimal commas" if comma else ""
                return Choice("number", decimal, f"every target is a number{commas}")
        return None

    return by_decimal


def _as_letters(targets: Sequence[str]) -> Choice | None:
    if len({folded(target) for target in targets}) < 2 or not all(map(choices.is_choice, targets)):
        return None
    return Choice("choice", reason="every target is a letter from A to J")


def _as_label_sets(targets: Sequence[str]) -> Choice | None:
    """Lists of labels that are combined freely: fewer labels than lists of them."""
    separator = separator_of(targets)
    lists = [parts_of(target, separator) for target in targets]
    if sum(len(parts) > 1 for parts in lists) < MOST_SINGLE * len(lists):
        return None
    names = [folded(part) for parts in lists for part in parts]
    combinations = {frozenset(map(folded, parts)) for parts in lists}
    is_short = all(len(name) <= LONGEST_LABEL for name in names)
    if not is_short or len(set(names)) > len(combinations) or not _are_repeated(names, OFTEN):
        return None
    reason = f"{_counted(targets)} list {len(set(names))} labels"
    return Choice("labels_set", reason=reason)


def _as_label_sets_in_json(targets: Sequence[str]) -> Choice | None:
    """JSON lists that are combined freely, of whatever items."""
    is_listed = all(target.lstrip().startswith("[") for target in targets)
    return _as_label_sets(targets) if is_listed else None


def _as_listed_labels(targets: Sequence[str]) -> Choice | None:
    """JSON lists of short texts that occur in several rows: sets of labels, also where most rows
    have one label or there are only two.
    """
    lists = [items_of(target) for target in targets]
    if any(items is None for items in lists):
        return None
    names = [folded(item) for items in lists if items for item in items]
    is_short = all(0 < len(name) <= LONGEST_LABEL for name in names)
    if not is_short or not _are_repeated(names, OFTEN):
        return None
    reason = f"{_counted(targets)} are JSON lists of {len(set(names))} labels"
    return Choice("labels_set", reason=reason)


def _as_labels(targets: Sequence[str]) -> Choice | None:
    names = [folded(target) for target in targets]
    is_short = all(len(target) <= LONGEST_LABEL and "\n" not in target for target in targets)
    if not is_short or not _are_repeated(names, OFTEN):
        return None
    return Choice("labels", reason=f"{_counted(targets)} are labels: most occur several times")


def _are_repeated(names: Sequence[object], often: int) -> bool:
    """Whether there are at least two kinds, each so often on average, and few occur once."""
    counts = Counter(names)
    single = sum(count == 1 for count in counts.values())
    is_often = len(counts) > 1 and len(names) >= often * len(counts)
    return is_often and single <= MOST_SINGLE * len(names)


def _counted(targets: Sequence[str]) -> str:
    distinct = len({folded(target) for target in targets})
    return f"{distinct} different targets in {len(targets)} rows"
