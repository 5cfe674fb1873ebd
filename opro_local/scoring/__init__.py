"""Scoring rules: what an answer earns against a row's target.

For: choosing a rule, preparing the targets once, scoring whole batches, checking that gold answers score 1. Not for:
reading answers (extract.py) or statistics. A failed extraction scores 0, is counted, and equals nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.scoring import extract as read
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example

if TYPE_CHECKING:
    from opro_local.tasks import Task

MAX_LABELS = 20
RULES = ("exact", "labels", "number", "choice", "contains", "regex", "python")

# What a user's function may raise. Not every Exception: an error class of the function's own keeps its traceback.
USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)

Function = Callable[[str, str, Mapping[str, str]], float | bool | None]


def make_rule(
    name: str, labels: Sequence[str] = (), pattern: str | None = None, examples: Sequence[Example] = ()
) -> Rule:
    """The rule of this name.

    Args:
        name: one of `RULES`, "auto" (the targets decide), or "file.py:function".
        labels: the label set of the rule labels; empty means the distinct targets.
        pattern: the expression of the rule regex, or "file.py:function" of the rule python.
        examples: train rows, from whose targets labels and "auto" are taken.

    Raises:
        UsageError: an unknown rule, or one without its labels or pattern.
        DataError: the user's file or function can't be loaded.
    """
    if ".py:" in name:
        name, pattern = "python", name
    if name == "auto":
        name = _choose(labels, pattern, [example.target for example in examples])
    plain = {"exact": exact, "number": number, "choice": choice, "contains": contains}
    if name in plain:
        return plain[name]()
    if name == "labels":
        return label_set(tuple(labels) or tuple(dict.fromkeys(example.target for example in examples)))
    if name == "regex":
        return regex(pattern)
    if name == "python":
        return python(pattern)
    raise UsageError(f"unknown scoring rule {name!r}", f"accepted: auto, {', '.join(RULES)} or file.py:function")


def _choose(labels: Sequence[str], pattern: str | None, targets: Sequence[str]) -> str:
    if labels:
        return "labels"
    if pattern:
        return "python" if ".py:" in pattern else "regex"
    distinct = {read.folded(target) for target in targets}
    if targets and all(map(read.is_number, targets)):
        return "number"
    if len(distinct) > 1 and all(map(read.is_choice, targets)):
        return "choice"
    if 1 < len(distinct) <= MAX_LABELS and len(targets) >= 3 * len(distinct):
        return "labels"
    return "exact"


def _equal(answer: Callable[[str], Any]) -> Callable[[str, Any], float]:
    """A verdict that compares what is extracted with the gold."""

    def verdict(text: str, gold: Any) -> float:
        found = answer(text)
        return FAILED if found is None else float(found == gold)

    return verdict


def exact() -> Rule:
    """The whole answer equals the target, case and whitespace aside.

    Not normalised: punctuation, quotes, articles, Markdown, numbers ("1.0" is not "1"), accents. An empty answer is a
    failed extraction.
    """
    return Rule("exact", read.whole, lambda example: read.whole(example.target), _equal(read.whole))


def label_set(names: Sequence[str]) -> Rule:
    """The answer names exactly one label, as a whole word in any case, and it is the target.

    Not normalised: negation, inflections, synonyms, accents. No label, or two different ones, is a failed extraction.

    Raises:
        UsageError: fewer than two labels.
    """
    distinct = {read.folded(name) for name in names} - {""}
    if len(distinct) < 2:
        raise UsageError(f"the rule labels has {len(distinct)} label(s)", "set task.labels, or use another rule")
    find = read.label_reader(names)
    return Rule("labels", find, lambda example: find(example.target), _equal(find))


def number() -> Rule:
    r"""The number the answer gives (after `####`, in `\boxed{}`, after "the answer is", or the last) is the target's.

    Whole numbers are equal when they are the same; otherwise a relative difference of 1e-6 is allowed. Thousands
    separators, $ € £ ¥, %, minus signs, decimals, exponents and simple fractions are read. Not normalised: units,
    number words, mixed fractions, percent against share, decimal commas (see extract.number).
    """
    return Rule("number", read.number_text, lambda example: read.number(example.target), _number_verdict)


def _number_verdict(answer: str, gold: float | None) -> float:
    found = read.number(answer)
    if found is None:
        return FAILED
    if found == gold:
        return 1.0
    if gold is None or (found.is_integer() and gold.is_integer()):
        # 1,000,000 and 1,000,001 differ by 1e-6 and are not the same answer.
        return 0.0
    return float(math.isclose(found, gold, rel_tol=1e-6))


def choice() -> Rule:
    r"""The letter the answer chooses ("(B)", "B.", "B)", "answer is B", `\boxed{B}`, a lone "B") is the target's.

    Not normalised: the text of an option instead of its letter, letters in running text. Two different letters are a
    failed extraction (see extract.choice).
    """
    return Rule("choice", read.choice, lambda example: read.choice(example.target), _equal(read.choice))


def contains() -> Rule:
    """The target appears in the answer, case and whitespace aside.

    Not normalised: word boundaries ("cat" is in "category"), punctuation, numbers. It rewards answers that list
    everything. An empty answer is a failed extraction.
    """

    def verdict(answer: str, gold: str | None) -> float:
        found = read.whole(answer)
        return FAILED if found is None else float(gold is not None and gold in found)

    return Rule("contains", read.whole, lambda example: read.whole(example.target), verdict)


def regex(pattern: str | None) -> Rule:
    """The pattern's first group (the whole match if it has none) in the answer equals the target, case folded.

    Not normalised: anything but case and whitespace; the target is taken as it is, the pattern is not applied to it.
    The time a pattern takes is its author's business. No match, or an empty one, is a failed extraction.

    Raises:
        UsageError: no pattern, or one that is no regular expression.
    """
    if not pattern:
        raise UsageError("the rule regex has no pattern", "set task.pattern, such as 'answer: (\\w+)'")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"task.pattern {pattern!r} is no regular expression: {error}", "correct it") from None
    group = 1 if compiled.groups else 0

    def extract(answer: str) -> str | None:
        found = compiled.search(answer)
        return read.whole(found[group]) if found and found[group] is not None else None

    return Rule("regex", extract, lambda example: read.whole(example.target), _equal(extract))


def python(spec: str | None) -> Rule:
    """What the user's `function(answer, target, columns)` returns: True, False, a number in [0, 1], or None.

    None is a failed extraction. Not normalised: anything; the function gets the answer as the model wrote it.

    Raises:
        UsageError: the specification is not "file.py:function".
        DataError: the file or function can't be loaded; while scoring, the function raised or returned something else.
    """
    file, _, name = (spec or "").rpartition(":")
    if not file.endswith(".py") or not name:
        raise UsageError(f"the rule python has the function {spec!r}", "set task.pattern to file.py:function")
    function = _load_function(file, name)

    def verdict(answer: str, example: Example) -> float:
        try:
            value = function(answer, example.target, example.columns)
        except USER_ERRORS as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            raise DataError(f"{example.where}: {spec} raised {what}", f"the answer was {answer[:80]!r}") from error
        return FAILED if value is None else _checked(value, f"{example.where}: {spec}")

    return Rule("python", read.whole, lambda example: example, verdict)


def _load_function(file: str, name: str) -> Function:
    import importlib.util

    path = Path(file)
    if not path.is_file():
        raise DataError(f"{file}: no such file", f"it should define {name}(answer, target, columns)")
    spec = importlib.util.spec_from_file_location(f"opro_local_rule_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except USER_ERRORS as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{file}: does not load: {what}", "correct the file") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise DataError(f"{file}: defines no function {name!r}", "check the name after the colon")
    return function


def _checked(value: Any, where: str) -> float:
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)) and 0 <= value <= 1:
        return float(value)
    raise DataError(f"{where} returned {value!r:.60}", "return True, False, a number from 0 to 1, or None")


def check_gold(task: Task, rule: Rule) -> None:
    """Score every target against itself.

    With the rule regex, a target the pattern does not match is taken as it is and not checked.

    Raises:
        DataError: some target does not score 1; the first one is named.
    """
    wrong: list[Example] = []
    for examples in task.splits.values():
        values, failed = rule.score([example.target for example in examples], examples)
        skipped = failed if rule.name == "regex" else np.zeros(len(examples), bool)
        wrong += [examples[index] for index in np.flatnonzero((values != 1) & ~skipped)]
    if not wrong:
        return
    first = wrong[0]
    found = None if rule.name == "python" else rule.extract(first.target)
    said = "" if rule.name == "python" else f" (extracted: {'nothing' if found is None else repr(found[:60])})"
    more = f"; so do {len(wrong) - 1} more" if len(wrong) > 1 else ""
    message = f"{first.where}: the target {first.target[:60]!r} fails its own rule {rule.name}{said}{more}"
    raise DataError(message, "correct the rows, or set task.rule (and task.labels or task.pattern)")
