"""A user's own words that announce an answer: `task.marks`.

For: making every rule that reads marks read these as it reads "Answer:". Not for: the marks that
are always read (reading/marks.py, reading/languages.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from opro_local.errors import UsageError
from opro_local.scoring.rule import Rule

# The rules that read marks.
RULES = ("exact", "labels", "labels_set", "number", "choice", "boolean")
# What may follow a mark: "Urteil: mild", "**Urteil** - mild".
AFTER = r"[*_\"'`)\]]{0,4}[ \t]{0,4}(?:(?:[:：=→]|->|[-—–](?=\s))[ \t]{0,4})?"


def with_marks(rule: Rule, marks: Sequence[str]) -> Rule:
    """The rule, for which these words announce an answer as "Answer:" does.

    Args:
        rule: one of `RULES`.
        marks: words as they stand in answers, in any case; one that ends with a letter ends with a
            word.

    Raises:
        UsageError: the rule reads no marks, or a mark is blank.
    """
    if not marks:
        return rule
    if rule.name not in RULES:
        raise UsageError(
            f"the rule {rule.name} reads no marks",
            f"leave task.marks out; it is for {', '.join(RULES)}",
        )
    if not all(mark.strip() for mark in marks):
        raise UsageError("task.marks has a blank mark", "write the words that announce an answer")
    return rule.after(_announcer(marks))


def _announcer(marks: Sequence[str]) -> Callable[[str], str]:
    """A function that puts "Answer:" in the place of each mark."""
    parts = []
    for mark in sorted(map(str.strip, marks), key=len, reverse=True):
        left = r"(?<!\w)" if mark[0].isalnum() else ""
        right = r"(?!\w)" if mark[-1].isalnum() else ""
        parts.append(f"{left}{re.escape(mark)}{right}")
    expression = re.compile(f"(?:{'|'.join(parts)}){AFTER}", re.IGNORECASE)
    return lambda answer: expression.sub("Answer: ", answer)
