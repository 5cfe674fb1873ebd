"""Answers that exist already: rows with targets in, the same with what was read and earned out.

For: the library part of `opro-local score`. Not for: the kinds of files (answer_file.py), asking a
model, or the rules themselves.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.files import open_whole, place_of_output
from opro_local.scoring.answer_file import ROW_HINT, AnswerRow, read_answers
from opro_local.scoring.answer_groups import Columns, Grouping, Key
from opro_local.scoring.choosing import make_rule, reads_targets
from opro_local.scoring.opro import KINDS, kind_of
from opro_local.scoring.reading.thoughts import spoken
from opro_local.scoring.rule import Rule, Verdict, says_nothing
from opro_local.stats import mean_interval
from opro_local.types import Example

# The rule of a row of a group, and the kind of the row.
RuleOf = Callable[[AnswerRow, Key], tuple[Rule, str | None]]
# So many answers that were not given are named.
LISTED = 10


@dataclass(frozen=True, slots=True)
class Earned:
    """What the answers of one kind earned, one number each: NaN is a failed extraction. `cut` is 1
    for a thought that did not end, `absent` for an answer that was not given.
    """

    values: array[float]
    strict: array[float]
    cut: array[int]
    absent: array[int]

    @classmethod
    def nothing(cls) -> Earned:
        return cls(array("d"), array("d"), array("b"), array("b"))

    @classmethod
    def together(cls, parts: Iterable[Earned]) -> Earned:
        """What the answers of several kinds earned."""
        whole = cls.nothing()
        for part in parts:
            whole.values.extend(part.values)
            whole.strict.extend(part.strict)
            whole.cut.extend(part.cut)
            whole.absent.extend(part.absent)
        return whole

    def add(self, rule: Rule, answer: str | None, golds: Sequence[Any]) -> float:
        """Score one answer by its best target and keep what it earned; the strict values stay
        empty for a rule that knows no marks.
        """
        if answer is None:
            strict = value = math.nan
        elif rule.strict is None:
            strict, value = math.nan, _best(rule.verdict, answer, golds)
        else:
            strict = value = _best(rule.strict, answer, golds)
            # What the strict reader reads, the other one reads too.
            value = _best(rule.verdict, answer, golds) if math.isnan(value) else value
        if rule.strict is not None:
            self.strict.append(strict)
        self.values.append(value)
        self.absent.append(answer is None)
        self.cut.append(answer is not None and math.isnan(value) and spoken(answer) is None)
        return value

    def figures(self) -> dict[str, Any]:
        """Accuracy, n, its 95 % interval and the extraction failures; how many thoughts did not
        end and how many answers were not given, where there are some, and the strict accuracy
        where there is one.
        """
        failed = np.isnan(self.values)
        values = np.where(failed, 0.0, self.values)
        figures = {
            "accuracy": float(values.mean()),
            "n": len(values),
            "interval": list(mean_interval(values)),
            "extraction_failures": int(failed.sum()),
        }
        if cut := sum(self.cut):
            figures["truncated"] = cut
        if absent := sum(self.absent):
            figures["not_given"] = absent
        if self.strict:
            figures["strict"] = float(np.nan_to_num(self.strict).mean())
        return figures


def _best(verdict: Verdict, answer: str, golds: Sequence[Any]) -> float:
    """What an answer earns against the target that it meets best; NaN where none could be read."""
    value = verdict(answer, golds[0])
    for gold in golds[1:]:
        value = float(np.fmax(value, verdict(answer, gold)))
    return value


@dataclass(slots=True)
class Group:
    """What the rows of one group earned.

    Attributes:
        rule: the name of the rule that scored them.
        kinds: what was earned, by kind.
        unreadable: rows in which no answer can be right.
        recorded: sum and number of the figures that lm-evaluation-harness wrote into its samples.
    """

    rule: str
    kinds: dict[str | None, Earned] = field(default_factory=dict)
    unreadable: int = 0
    recorded: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, row: AnswerRow, rule: Rule, kind: str | None, golds: Sequence[Any]) -> float:
        """Score a row; returns what its answer earned."""
        self.rule = rule.name
        self.unreadable += all(map(says_nothing, golds))
        for name in row.fields.get("metrics") or () if row.is_sample else ():
            value = row.fields.get(name)
            if isinstance(value, (int, float)):
                total, count = self.recorded.get(name, (0.0, 0))
                self.recorded[name] = (total + value, count + 1)
        return self.kinds.setdefault(kind, Earned.nothing()).add(rule, row.answer, golds)

    def figures(self) -> dict[str, Any]:
        """As score_file returns them."""
        by_kind = {named: own.figures() for named, own in self.kinds.items() if named is not None}
        figures = {
            "rule": self.rule,
            **Earned.together(self.kinds.values()).figures(),
            "by_kind": by_kind,
            "unreadable_targets": self.unreadable,
        }
        if self.recorded:
            means = {name: total / count for name, (total, count) in self.recorded.items()}
            figures["recorded"] = means
        return figures


def score_file(
    file: Path,
    rule: str = "auto",
    output: Path | None = None,
    kind: str | None = None,
    labels: Sequence[str] = (),
    pattern: str | None = None,
    marks: Sequence[str] = (),
    by: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Score every row of a file.

    Args:
        file: JSON Lines, CSV, TSV or Parquet, see answer_file.read_answers.
        rule: one of `scoring.RULES`, "auto" (the targets of a group decide) or "file.py:function".
        output: where the rows go, in order, each with `parsed` (text, or null where nothing was
            read) and `correct` (in [0, 1]); None writes nothing. The file appears whole or not at
            all.
        kind: the kind of the rows that name none; for opro one of `opro.KINDS`, or "auto" or None,
            which leave it to the targets of these rows.
        labels: for the rule labels; empty means the distinct targets.
        pattern: what the rule needs besides its name (see scoring.make_rule).
        marks: the user's own words that announce an answer (see scoring.make_rule).
        by: the columns that divide the rows into groups, ("none",) for no groups; None takes those
            that say task, model, prompt or filter (see answer_groups.Columns).

    Returns:
        `rule`; `accuracy`, `n`, `interval` (95 %: [low, high]), `extraction_failures` and, for
        rules that know marks, `strict` over all rows; `by_kind`, the same for each kind that was
        named or found; `unreadable_targets`, the rows in which no answer can be right. An answer
        that was not given is a failed extraction, and counted in `not_given` with the first places
        in `not_given_rows`. `groups` is empty, or has all of this for each group, with its columns
        in `group`; then there is no `accuracy` or `interval` over all rows (None).

    Raises:
        DataError: the file is missing or has no rows, or a line is no such row.
        UsageError: an unknown rule, kind or column, or an output that can't be one: the input
        itself, a folder, ...
        StoreError: the output can't be written.
    """
    place = _output(file, output)
    survey = _survey(file, rule, kind, by)
    rule_of = _rules(survey, rule, kind, Options(tuple(labels), pattern, tuple(marks)))
    groups: dict[Key, Group] = {}
    absent: list[str] = []
    with _whole(place) as write:
        for row in read_answers(file):
            key = survey.grouping.key(row)
            used, kind_of_row = rule_of(row, key)
            golds = [used.gold(example) for example in row.examples()]
            value = groups.setdefault(key, Group(rule)).add(row, used, kind_of_row, golds)
            if row.answer is None and len(absent) < LISTED:
                absent.append(row.where)
            if write:
                write(_line(row, used, golds, value))
    return _result(survey.grouping, groups, absent)


def _result(grouping: Grouping, groups: Mapping[Key, Group], absent: list[str]) -> dict[str, Any]:
    """The figures of all groups, as score_file returns them."""
    parts = {key: group.figures() for key, group in groups.items()}
    if len(parts) == 1:
        (figures,) = parts.values()
        figures["groups"] = []
    else:
        each = list(parts.values())
        names = {part["rule"] for part in each}
        figures = {
            "rule": names.pop() if len(names) == 1 else None,
            "accuracy": None,
            "n": sum(part["n"] for part in each),
            "interval": None,
            "extraction_failures": sum(part["extraction_failures"] for part in each),
            "by_kind": {},
            "unreadable_targets": sum(part["unreadable_targets"] for part in each),
            "groups": [{"group": grouping.named(key), **part} for key, part in parts.items()],
        }
    if absent:
        figures["not_given_rows"] = absent
    return figures


@dataclass(frozen=True, slots=True)
class Survey:
    """What has to be known of a whole file before its first row is scored.

    Attributes:
        grouping: how its rows are divided.
        examples: the rows of each group, without their fields, where targets decide on the rule.
        targets: the targets of the rows of each group that name no kind, where they decide on it.
    """

    grouping: Grouping
    examples: Mapping[Key, list[Example]]
    targets: Mapping[Key, list[str]]


def _survey(file: Path, rule: str, kind: str | None, by: Sequence[str] | None) -> Survey:
    columns = Columns(by)
    for row in read_answers(file):
        columns.add(row)
    grouping = columns.grouping()
    examples: dict[Key, list[Example]] = {}
    targets: dict[Key, list[str]] = {}
    wants_examples = rule != "opro" and reads_targets(rule)
    if wants_examples or (rule == "opro" and kind in (None, "auto")):
        for row in read_answers(file):
            key = grouping.key(row)
            if wants_examples:
                examples.setdefault(key, []).extend(_bare(row))
            elif row.kind is None:
                targets.setdefault(key, []).append(row.target)
    if not columns.rows:
        raise DataError(f"{file}: no rows", ROW_HINT)
    return Survey(grouping, examples, targets)


class Options(NamedTuple):
    """What a rule is made with, as in score_file."""

    labels: tuple[str, ...]
    pattern: str | None
    marks: tuple[str, ...]


def _rules(survey: Survey, name: str, kind: str | None, options: Options) -> RuleOf:
    if name == "opro":
        if options.marks:
            raise UsageError("the rule opro reads no marks of your own", "leave --marks out")
        return _opro_rules(survey.targets, kind)
    labels, pattern, marks = options
    # Where no targets take part in what the rule is, one serves all groups.
    everything: Mapping[Key, list[Example]] = survey.examples or {(): []}
    rules = {
        key: make_rule(name, labels=labels, pattern=pattern, examples=own, marks=marks)
        for key, own in everything.items()
    }
    return lambda row, key: (rules[key if survey.examples else ()], row.kind or kind)


def _bare(row: AnswerRow) -> list[Example]:
    """The row as a rule is chosen by it, without the fields, which may be large."""
    targets = (row.target, *row.others)
    return [Example("", {}, row.prompt or "", target, row.where) for target in targets]


def _opro_rules(targets: Mapping[Key, list[str]], kind: str | None) -> RuleOf:
    rules = {name: make_rule("opro", kind=name) for name in KINDS}
    if not (kind in (None, "auto") or kind in rules):
        raise UsageError(
            f"the rule opro has no kind {kind!r}", f"accepted: auto, {', '.join(KINDS)}"
        )
    kinds = {key: kind_of(own) for key, own in targets.items()}

    def rule_of(row: AnswerRow, key: Key) -> tuple[Rule, str | None]:
        own = kinds.get(key, kind) if row.kind is None else row.kind
        if own not in rules:
            raise DataError(
                f"{row.where}: the rule opro has no kind {own!r}", f"accepted: {', '.join(KINDS)}"
            )
        if own == "choice" and row.prompt is None:
            raise DataError(
                f"{row.where}: no field 'prompt'",
                "the rule opro reads the options of a choice from it",
            )
        return rules[own], own

    return rule_of


def _line(row: AnswerRow, rule: Rule, golds: Sequence[Any], value: float) -> bytes:
    failed = math.isnan(value)
    parsed = None if row.answer is None else rule.read(row.answer, golds[0])
    if failed and parsed:
        # A user's function may find nothing in an answer that is there.
        parsed = None
    fields = {**row.fields, "parsed": parsed, "correct": 0.0 if failed else value}
    try:
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8, only an escape.
        return json.dumps(fields).encode() + b"\n"


def _output(file: Path, output: Path | None) -> Path | None:
    """Where the output really goes, links followed."""
    if output is None:
        return None
    try:
        place = place_of_output(output, [file])
        wrong = _unfit(place)
    except OSError as error:
        wrong = f"can't be used ({error.strerror})"
    if wrong:
        raise UsageError(f"the output {output} {wrong}", "name a file of its own")
    return place


def _unfit(place: Path) -> str | None:
    """Why the output can't be written to a place; None where it can."""
    if place.is_dir():
        return "is a folder"
    if place.exists() and not place.is_file():
        return "is no regular file"
    if not place.parent.is_dir():
        return "is in a folder that does not exist"
    return None


@contextmanager
def _whole(place: Path | None) -> Iterator[Callable[[bytes], object] | None]:
    """What writes lines to a file that appears when all went well; None without a file."""
    if place is None:
        yield None
        return
    with open_whole(place) as stream:
        yield stream.write
