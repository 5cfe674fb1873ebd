"""What one answer, given to every row alike, would earn.

For: the figure that a prompt must beat before it is worth its tokens, where a label is common. Not
for: the prompts that give one answer (scoring/classes.py), or the words of a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local.problems.prompt.row_classes import RowClasses
from opro_local.scoring.rule import Rule
from opro_local.types import Example, Score, Split

# Rules under which a target is an answer that can be given to every row. Under the others answers
# are texts, or a program reads them.
CONSTANT_RULES = (
    *("labels", "labels_set", "boolean", "choice", "exact", "exact_strict", "contains", "number"),
    "opro",
)


@dataclass(frozen=True, slots=True)
class ConstantAnswer:
    """One answer to every row of a split, and what it earns there."""

    answer: str
    score: Score


def constant_answer(
    rule: Rule, rows: Sequence[Example], split: Split, classes: RowClasses | None
) -> ConstantAnswer | None:
    """The commonest target as the answer to every row of a split; None where no target is there
    twice, or the rule's answers can't be the same for all rows.

    Args:
        rule: how answers are read.
        rows: of the split, with their targets.
        split: its name.
        classes: of `task.metric`, where it counts by class. Where that is the F1 of one label, the
            commonest target of that label is taken: any other earns nothing.
    """
    if rule.name not in CONSTANT_RULES:
        return None
    said = [rule.parsed(row.target, row) or row.target.strip() for row in rows]
    counted = said
    if classes is not None:
        wanted = classes.with_label(split)
        counted = [one for one, has_label in zip(said, wanted, strict=True) if has_label] or said
    commonest, count = Counter(counted).most_common(1)[0]
    if count < 2:
        return None
    # A letter is an answer to any row, the text of an option only to its own.
    first = rows[said.index(commonest)].target.strip()
    answer = commonest if rule.name == "choice" else first
    texts, scorer = [answer] * len(rows), rule.prepare(rows)
    values, failed = scorer.score(texts)
    score = Score(float(values.mean(dtype=np.float64)), values, int(failed.sum()))
    if classes is not None:
        (measure,) = classes.measures(rule, texts, values, scorer.golds, split, None)
        score = replace(score, value=measure.value(), measure=measure)
    return ConstantAnswer(answer, score)
