"""Whether a table has a label so rare that accuracy hardly sees it, or that a split lacks it.

For: the lines at the start of a run that name the label and the metrics that see it. Not for: the
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
MOST_NAMED = 5  # labels in a line


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


def unfitted_labels_notice(
    rule: Rule, rows: Sequence[Example], labels: Sequence[str]
) -> tuple[str, ...]:
    """A line on labels that are read by probability and that no row has; () without such.

    Args:
        rule: how targets are read.
        rows: what the bias of a chosen prompt is fitted on, train and validation.
        labels: those that are read.
    """
    seen = {rule.extract(row.target) or row.target.strip() for row in rows}
    absent = [label for label in labels if (rule.extract(label) or label) not in seen]
    if not absent:
        return ()
    return (
        f"no train or validation row has {_named(absent)}: the bias, which is fitted on these, "
        "hardly ever lets a label be chosen that never comes there",
    )


def absent_labels_notice(
    rule: Rule, metric: str, label: str, splits: Mapping[Split, Sequence[Example]]
) -> tuple[str, ...]:
    """A line for each split that has no row of a label that the metric counts by.

    Args:
        rule: how targets are read.
        metric: as `task.metric` names it.
        label: the only one that counts; "" for all that any row has.
        splits: those that the run takes.
    """
    if rule.name not in LABEL_RULES:
        return ()
    names: dict[str, str] = {}
    seen: dict[Split, set[str]] = {}
    for split, rows in splits.items():
        of_split = {rule.extract(target) or target: target for target in _targets(rows)}
        names.update(of_split)
        seen[split] = set(of_split)
    wanted = [rule.extract(label) or label] if label else sorted(names)
    lines = []
    for split, own in seen.items():
        absent = [names.get(said, said) for said in wanted if said not in own]
        if absent:
            lines.append(
                f"{split} has no row with {_named(absent)}: {metric} says nothing of it there"
            )
    return tuple(lines)


def _targets(rows: Sequence[Example]) -> list[str]:
    """The distinct targets in the order they come."""
    return list(dict.fromkeys(row.target.strip() for row in rows))


def _named(labels: Sequence[str]) -> str:
    """Some labels for a line: all of a few, else the first ones and how many there are."""
    named = ", ".join(f"{label!r:.40}" for label in labels[:MOST_NAMED])
    return named if len(labels) <= MOST_NAMED else f"{named} and {len(labels) - MOST_NAMED} more"


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
