"""The rule of an lm-evaluation-harness task: its filters, then exact_match.

For: the verdicts that EleutherAI/lm-evaluation-harness gives to generate_until tasks
(lm_eval/filters, lm_eval/api/metrics.py). Not for: reading its YAML (tasks/harness.py).
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opro_local.errors import UsageError
from opro_local.programs.expression import Expression, TooSlow
from opro_local.scoring.rule import FAILED, Rule
from opro_local.tasks.harness_rows import OTHER_TARGETS
from opro_local.types import Example

# A filter turns an answer into (text, whether it found something); a text of None means that there
# is nothing left.
Filter = Callable[[str], tuple[str | None, bool]]

# The filters that always find something.
CHANGES: Mapping[str, Callable[[str], str]] = {
    "remove_whitespace": str.strip,
    "lowercase": str.lower,
    "uppercase": str.upper,
}


def harness(pattern: str | None) -> Rule:
    """The answer, filtered, equals one of the targets once both are normalised as the YAML says.

    Not normalised: anything the YAML doesn't name, whitespace included. An answer for which a regex
    finds nothing is a failed extraction, unless the filter's own fallback is right; one on which an
    expression takes too long (programs/expression.py) always is.

    Args:
        pattern: {"filters": [...], "metric": {...}} as JSON, as tasks/harness.py writes it.

    Raises:
        UsageError: it is not of that form.
    """
    filters, normal, expressions = _parts(pattern)

    def read(answer: str) -> tuple[str | None, bool]:
        try:
            return filtered(answer)
        except TooSlow:
            return None, False

    def filtered(answer: str) -> tuple[str | None, bool]:
        text, clear = answer, True
        for step in filters:
            said, matched = step(text)
            if said is None:
                return None, False
            text, clear = said, clear and matched
        return text, clear

    def extract(answer: str) -> str | None:
        text, clear = read(answer)
        return text if clear else None

    def verdict(answer: str, gold: frozenset[str] | None) -> float:
        text, clear = read(answer)
        try:
            if text is not None and gold and normal(text) in gold:
                return 1.0
        except TooSlow:
            return FAILED
        return 0.0 if clear else FAILED

    def gold_of(example: Example) -> frozenset[str] | None:
        others = json.loads(example.columns.get(OTHER_TARGETS, "[]"))
        try:
            return frozenset(map(normal, (example.target, *others)))
        except TooSlow:
            return None

    return Rule("harness", extract, gold_of, verdict, expressions=expressions)


def _parts(
    pattern: str | None,
) -> tuple[list[Filter], Callable[[str], str], tuple[Expression, ...]]:
    """The filters that a pattern describes, what its metric does to both sides, and the expressions
    that either uses. Raises UsageError.
    """
    try:
        said = json.loads(pattern or "")
        searched = [_expression_of(one) for one in said["filters"]]
        ignored = [Expression(one) for one in said["metric"]["regexes_to_ignore"]]
        filters = [_filter(*pair) for pair in zip(said["filters"], searched, strict=True)]
        normal = _normaliser(said["metric"], ignored)
    except (ValueError, TypeError, KeyError, RecursionError):
        hint = 'set task.name = "harness" and task.data to a YAML file of lm-evaluation-harness'
        raise UsageError("the rule harness is for tasks of lm-evaluation-harness", hint) from None
    return filters, normal, tuple(one for one in (*searched, *ignored) if one)


def _expression_of(said: Mapping[str, Any]) -> Expression | None:
    """The expression that a filter searches for; None for filters of another kind."""
    return Expression(said["regex_pattern"]) if said["function"] == "regex" else None


def _filter(said: Mapping[str, Any], expression: Expression | None) -> Filter:
    function = said["function"]
    if expression is not None:
        return _regex(expression, said["group_select"], said["fallback"])
    if function == "map":
        return _map(said["mapping_dict"], said["default_value"])
    change = CHANGES[function]
    return lambda text: (change(text), True)


def _regex(expression: Expression, select: int, fallback: str) -> Filter:
    def find(text: str) -> tuple[str | None, bool]:
        matches = expression.findall(text)
        if not -len(matches) <= select < len(matches):
            return fallback, False
        # With several groups, the first that holds something.
        match = matches[select]
        groups = match if isinstance(match, tuple) else (match,)
        if len(groups) > 1 and not any(groups):
            return fallback.strip(), False
        return next(filter(None, groups), "").strip(), True

    return find


def _map(names: Mapping[str, str], default: str | None) -> Filter:
    return lambda text: (names.get(text, default), text in names)


def _normaliser(said: Mapping[str, Any], ignored: Sequence[Expression]) -> Callable[[str], str]:
    """What exact_match does to both sides, in its order: regexes, case, punctuation, digits."""
    dropped = ""
    if said["ignore_punctuation"]:
        dropped += string.punctuation
    if said["ignore_numbers"]:
        dropped += string.digits
    table = str.maketrans("", "", dropped)

    def normal(text: str) -> str:
        for expression in ignored:
            text = expression.sub("", text)
        text = text.lower() if said["ignore_case"] else text
        return text.translate(table)

    return normal
