"""Whether a table has a label so rare that accuracy hardly sees it.

For: the line at the start of a run that names the label and the metrics that see it. Not for: the
metrics (metrics.py), or what a winner did about it (runs/class_words.py).

A label is rare here where it has less than half of the rows that it would have if all labels had as
many: of two labels one with under 25 %, of five one with under 10 %. Getting such a label wrong
every time costs less than half of what a fair share would, so that the right answer to a weak
signal is never to give it, and accuracy calls that a gain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opro_local.scoring.classes import FAIR_PART
from opro_local.scoring.rule import Rule
from opro_local.types import Example, Split

# Rules whose targets are labels that mean the same on every row; the letter of an option does not.
LABEL_RULES = ("labels", "boolean")
# Targets with fewer rows each may be texts.
ROWS_A_LABEL = 4
# Rows of a label in a split from which on its recall says something: of five one row is a fifth.
ENOUGH = 5


def rare_label_notice(
    rule: Rule, rows: Sequence[Example], splits: Mapping[Split, Sequence[Example]] | None = None
) -> tuple[str, ...]:
    """A line on the rarest label, what always giving the commonest would score, and what to set;
    () where no label is rare.

    Args:
        rule: how answers are read.
        rows: all that have a target.
        splits: those that the run takes; the line names the one with too few rows of the label.
    """
    if rule.name not in LABEL_RULES:
        return ()
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for target, count in Counter(row.target.strip() for row in rows).items():
        said = rule.extract(target) or target
        counts[names.setdefault(said, target)] += count
    total = counts.total()
    if len(counts) < 2 or total < ROWS_A_LABEL * len(counts):
        return ()
    rare = [name for name, count in counts.items() if count * len(counts) < FAIR_PART * total]
    if not rare:
        return ()
    (most, often), (least, seldom) = counts.most_common()[0], counts.most_common()[-1]
    which = f"the label {least!r:.60} is rare"
    if len(rare) > 1:
        which = f"{len(rare)} labels are rare, {least!r:.60} most"
    return (
        f"{which} ({seldom} of {total} rows): accuracy has {100 * often / total:.0f} % for always "
        f"answering {most!r:.60}; --set task.metric=balanced_accuracy (or macro_f1) counts every "
        f"label alike{_too_few(rule, rule.extract(least) or least, splits or {})}",
    )


def _too_few(rule: Rule, label: str, splits: Mapping[Split, Sequence[Example]]) -> str:
    """The split with the fewest rows of a label, where they are too few to go by; else ""."""
    counts = {
        split: sum((rule.extract(row.target) or row.target.strip()) == label for row in rows)
        for split, rows in splits.items()
    }
    fewest = min(counts, key=lambda split: counts[split], default=None)
    if fewest is None or counts[fewest] >= ENOUGH:
        return ""
    return f"; {fewest} has {counts[fewest]} of its rows, which is too few to go by"
