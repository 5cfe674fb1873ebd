"""Which rule scores a task's answers: the table of rules, and the choice among them.

For: making a rule by its name, by the targets or for a task, and checking that gold answers score
1. Not for: the rules themselves (rules.py, fields.py, function.py, opro.py, harness.py, sql/) or
statistics. A failed extraction scores 0, is counted, and equals nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.scoring.amounts import pattern_with
from opro_local.scoring.auto import MAX_LABELS, Choice, choose, choose_by_train
from opro_local.scoring.own_marks import with_marks
from opro_local.scoring.rule import Rule
from opro_local.types import Example

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings
    from opro_local.tasks.task import Task

# Two names of `task.rule` that are no rules of their own: the targets decide which rule it is, and
# a model judges the answers (judge.py).
AUTO, JUDGE = "auto", "judge"


# The rules for which a pattern says what to read in an answer. A target is not written that way, so
# one that can't be read is taken as it is.
PARTIAL = ("regex", "json", "harness")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a rule may be made from; each rule takes what its line in `RULES` names.

    Attributes:
        own_labels: the labels that the user or the benchmark gives; often none.
        pattern: see make_rule.
        kind: see make_rule.
        examples: the rows whose targets decide what targets decide.
        others: rows of the other splits, which may have further labels.
    """

    own_labels: tuple[str, ...]
    pattern: str | None
    kind: str
    examples: Sequence[Example]
    others: Sequence[Example]

    @property
    def targets(self) -> list[str]:
        """The targets of the examples, in their order."""
        return [example.target for example in self.examples]

    @property
    def all_targets(self) -> list[str]:
        """The distinct targets of all rows, those of the examples first."""
        further = sorted({example.target for example in self.others})
        return list(dict.fromkeys([*self.targets, *further]))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that are given, or else the distinct targets."""
        return self.own_labels or _distinct(self.targets, self.others)


class Maker(NamedTuple):
    """How a rule is made.

    Attributes:
        place: "module:function" below this package, imported when the rule is asked for: most runs
            need one of them, and some (sql, python) start programs.
        takes: the attributes of `Basis` that the function takes, in its order.
    """

    place: str
    takes: tuple[str, ...] = ()

    def make(self, basis: Basis) -> Rule:
        """The rule. Raises UsageError or DataError where the basis won't do."""
        function: Callable[..., Rule] = resolve_name(f"opro_local.scoring.{self.place}")
        return function(*(getattr(basis, name) for name in self.takes))

    @property
    def reads_targets(self) -> bool:
        """Whether the targets take part in what the rule is."""
        return bool({"targets", "all_targets", "labels"} & set(self.takes))


# Every rule by its name. To add one, write a function that returns a `Rule` and add its line here.
# Messages keep this order.
RULES: Mapping[str, Maker] = {
    "exact": Maker("rules:exact"),
    "exact_strict": Maker("rules:exact_strict"),
    "labels": Maker("rules:label_set", ("labels",)),
    "labels_set": Maker("label_sets:labels_set", ("own_labels", "all_targets", "pattern")),
    "number": Maker("amounts:number", ("pattern", "targets")),
    "choice": Maker("rules:choice"),
    "boolean": Maker("rules:boolean", ("targets",)),
    "contains": Maker("rules:contains"),
    "rouge": Maker("overlap:rouge", ("pattern",)),
    "token_f1": Maker("overlap:token_f1"),
    "bleu": Maker("overlap:bleu"),
    "chrf": Maker("overlap:chrf"),
    "regex": Maker("rules:regex", ("pattern",)),
    "math": Maker("mathematics.rule:math"),
    "json": Maker("fields:json_field", ("pattern",)),
    "python": Maker("function:python", ("pattern",)),
    "opro": Maker("opro:of_kind", ("kind", "targets")),
    "harness": Maker("harness:harness", ("pattern",)),
    "sql": Maker("sql.rule:sql"),
}


def task_choice(task: Task, settings: TaskSettings) -> Choice:
    """The rule that a task asks for by name, or that "auto" chooses; for "judge", the one that the
    targets suggest and the judge is compared with.

    All labelled rows choose, those that no split or cap has included, so that the choice does not
    hang on the draw.

    Raises:
        UsageError: a tolerance is set, and the rule has none.
    """
    pattern, labels = settings.pattern or task.pattern, settings.labels or task.labels
    has_tolerance = bool(settings.absolute or settings.relative)
    if task.rule not in (AUTO, JUDGE):
        choice = Choice(task.rule, pattern)
    elif settings.revision < 2:
        choice = choose_by_train(labels, pattern, next(iter(task.splits.values())))
    else:
        choice = choose(labels, pattern, labelled_rows(task), has_tolerance, settings.revision)
    if choice.name == "number":
        return replace(choice, pattern=_with_tolerance(choice.pattern, settings))
    if has_tolerance:
        why = f" ({choice.reason})" if choice.reason else ""
        raise UsageError(
            f"task.absolute and task.relative are of the rule number, and the rule is "
            f"{choice.name}{why}",
            "leave them out, or set task.rule",
        )
    return choice


def _with_tolerance(pattern: str | None, settings: TaskSettings) -> str | None:
    """The pattern of the rule number with the tolerance of the settings."""
    return pattern_with(pattern, settings.absolute, settings.relative, settings.graded)


def labelled_rows(task: Task) -> Sequence[Example]:
    """All rows of a task that have a target."""
    rows = task.labelled or [row for examples in task.splits.values() for row in examples]
    return [row for row in rows if row.target.strip()]


def task_rule(task: Task, settings: TaskSettings, choice: Choice | None = None) -> Rule:
    """The rule of a task's rows, by `task_choice` unless the choice is at hand.

    Labels are the targets of all rows: whether a rare one is in train is a matter of the draw.

    Raises:
        UsageError, DataError: see make_rule.
    """
    choice = choice or task_choice(task, settings)
    train, *others = task.splits.values()
    examples: Sequence[Example] = train
    further = [example for rows in others for example in rows]
    if settings.revision >= 2:
        further += task.labelled
        # Where the targets of all rows chose, they all are what a rule is made of.
        examples = labelled_rows(task) if choice.reason else train
    return make_rule(
        choice.name,
        labels=settings.labels or task.labels,
        pattern=choice.pattern,
        kind=task.kind,
        examples=examples,
        others=further,
        accepted=(JUDGE,),
        marks=settings.marks,
    )


def make_rule(
    name: str,
    labels: Sequence[str] = (),
    pattern: str | None = None,
    kind: str = "auto",
    examples: Sequence[Example] = (),
    others: Sequence[Example] = (),
    accepted: Sequence[str] = (),
    marks: Sequence[str] = (),
) -> Rule:
    """The rule of this name.

    Args:
        name: one of `RULES`, `AUTO` (the targets decide), or "file.py:function".
        labels: the label set of the rule labels; empty means the distinct targets.
        pattern: the expression of regex, the field path of json, "file.py:function" of python, the
            YAML file of harness; "," makes the comma the decimal sign of number.
        kind: what answers are for the rule opro; "auto" lets the targets decide.
        examples: train rows, from whose targets labels, the words of boolean, "auto" and `kind` are
        taken.
        others: rows of the other splits, from whose targets further labels are taken.
        accepted: names that the caller knows what to do with, for the message that names those
        there are.
        marks: the user's own words that announce an answer (see own_marks.py).

    Raises:
        UsageError: an unknown rule, one without its labels or pattern, or marks for one that reads
        none.
        DataError: the user's file or function can't be loaded.
    """
    if ".py:" in name:
        name, pattern = "python", name
    if name == AUTO:
        choice = choose(labels, pattern, examples)
        name, pattern = choice.name, choice.pattern
    if name not in RULES:
        names = ", ".join((AUTO, *RULES, *accepted))
        raise UsageError(f"unknown scoring rule {name!r}", f"accepted: {names} or file.py:function")
    basis = Basis(tuple(labels), pattern, kind, examples, others)
    return with_marks(RULES[name].make(basis), marks).after_thoughts()


def reads_targets(name: str) -> bool:
    """Whether the rule of this name depends on the targets of the rows that it scores."""
    return name == AUTO or (name in RULES and RULES[name].reads_targets)


def _distinct(targets: Sequence[str], others: Sequence[Example]) -> tuple[str, ...]:
    """The distinct targets as they come; those of the other rows in an order that tells nothing
    about these rows.

    The other rows have rare labels, not many: where they have, their targets are no labels, and
    check_gold says so.
    """
    own = tuple(dict.fromkeys(targets))
    further = sorted({example.target for example in others})
    distinct = tuple(dict.fromkeys([*own, *further]))
    return distinct if len(distinct) <= max(MAX_LABELS, 2 * len(own)) else own


def rare_labels(task: Task, settings: TaskSettings, rule: Rule) -> list[str]:
    """A notice that names the labels that are in other splits and not in train: rare ones, or
    misspelt.
    """
    if rule.name != "labels" or settings.labels or task.labels:
        return []
    train, *others = [{example.target for example in rows} for rows in task.splits.values()]
    rare = sorted(set().union(*others) - train)
    return [f"labels that no train row has: {', '.join(map(repr, rare))}"] if rare else []


def check_gold(task: Task, rule: Rule) -> None:
    """Score every target against itself.

    Where a pattern says what to read, a target it does not match is taken as it is and not checked.
    Rows in `task.faults` are broken as published and not checked either.

    Raises:
        DataError: some target does not score 1; the first one is named.
    """
    wrong: list[Example] = []
    for examples in task.splits.values():
        values, failed = rule.score([example.target for example in examples], examples)
        unchecked = failed & (rule.name in PARTIAL)
        failing = [examples[index] for index in np.flatnonzero((values != 1) & ~unchecked)]
        wrong += [example for example in failing if example.id not in task.faults]
    if not wrong:
        return
    first = wrong[0]
    more = f"; so do {len(wrong) - 1} more" if len(wrong) > 1 else ""
    raise DataError(
        f"{first.where}: the target {first.target[:60]!r} fails its own rule {rule.name}"
        f"{_extracted(rule, first)}{more}",
        "correct the rows, or set task.rule (and task.labels or task.pattern)",
    )


def _extracted(rule: Rule, example: Example) -> str:
    """What the rule reads in the example's own target, for the message that it fails."""
    if rule.name == "python":
        # What a user's function reads is its own secret.
        return ""
    said = rule.parsed(example.target, example)
    return f" (extracted: {'nothing' if said is None else repr(said[:60])})"
