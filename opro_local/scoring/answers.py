"""Answers that exist already: rows with targets in, the same with what was read and earned out.

For: the library part of `opro-local score`. Not for: the kinds of files (answer_file.py), asking a
model, or the rules themselves.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.files import open_whole, place_of
from opro_local.scoring.answer_file import ROW_HINT, AnswerRow, read_answers
from opro_local.scoring.choosing import make_rule, reads_targets
from opro_local.scoring.opro import KINDS, kind_of
from opro_local.scoring.reading.thoughts import spoken
from opro_local.scoring.rule import Rule, says_nothing
from opro_local.stats import mean_interval
from opro_local.types import Example

RuleOf = Callable[[AnswerRow], tuple[Rule, str | None]]


@dataclass(frozen=True, slots=True)
class Earned:
    """What the answers of one kind earned, one number each: NaN is a failed extraction. `cut` is 1
    for a thought that did not end.
    """

    values: array[float]
    strict: array[float]
    cut: array[int]

    @classmethod
    def nothing(cls) -> Earned:
        return cls(array("d"), array("d"), array("b"))

    def add(self, rule: Rule, answer: str, gold: Any) -> float:
        """Score one answer and keep what it earned; the strict values stay empty for a rule that
        knows no marks.
        """
        if rule.strict is None:
            value = rule.verdict(answer, gold)
        else:
            value = rule.strict(answer, gold)
            self.strict.append(value)
            # What the strict reader reads, the other one reads too.
            value = rule.verdict(answer, gold) if math.isnan(value) else value
        self.values.append(value)
        self.cut.append(math.isnan(value) and spoken(answer) is None)
        return value

    def figures(self) -> dict[str, Any]:
        """Accuracy, n, its 95 % interval and the extraction failures; how many thoughts did not
        end, where some did not, and the strict accuracy where there is one.
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
        if self.strict:
            figures["strict"] = float(np.nan_to_num(self.strict).mean())
        return figures


def score_file(
    file: Path,
    rule: str = "auto",
    output: Path | None = None,
    kind: str | None = None,
    labels: Sequence[str] = (),
    pattern: str | None = None,
    marks: Sequence[str] = (),
) -> dict[str, Any]:
    """Score every row of a file.

    Args:
        file: JSON Lines, CSV, TSV or Parquet, see answer_file.read_answers.
        rule: one of `scoring.RULES`, "auto" (the targets decide) or "file.py:function".
        output: where the rows go, in order, each with `parsed` (text, or null where nothing was
            read) and `correct` (in [0, 1]); None writes nothing. The file appears whole or not at
            all.
        kind: the kind of the rows that name none; for opro one of `opro.KINDS`, or "auto" or None,
            which leave it to the targets of these rows.
        labels: for the rule labels; empty means the distinct targets.
        pattern: what the rule needs besides its name (see scoring.make_rule).
        marks: the user's own words that announce an answer (see scoring.make_rule).

    Returns:
        `rule`; `accuracy`, `n`, `interval` (95 %: [low, high]), `extraction_failures` and, for
        rules that know marks, `strict` over all rows; `by_kind`, the same for each kind that was
        named or found; `unreadable_targets`, the rows in which no answer can be right.

    Raises:
        DataError: the file is missing or has no rows, or a line is no such row.
        UsageError: an unknown rule or kind, or an output that can't be one: the input itself, a
        folder, ...
        StoreError: the output can't be written.
    """
    place = _output(file, output)
    rule_of = _rules(file, rule, kind, Options(tuple(labels), pattern, tuple(marks)))
    earned: dict[str | None, Earned] = {}
    name, unreadable = rule, 0
    with _whole(place) as write:
        for row in read_answers(file):
            used, kind_of_row = rule_of(row)
            gold = used.gold(row.example())
            value = earned.setdefault(kind_of_row, Earned.nothing()).add(used, row.answer, gold)
            name, unreadable = used.name, unreadable + says_nothing(gold)
            if write:
                write(_line(row, used, gold, value))
        if not earned:
            raise DataError(f"{file}: no rows", ROW_HINT)
    everything = Earned.nothing()
    for part in earned.values():
        everything.values.extend(part.values)
        everything.strict.extend(part.strict)
        everything.cut.extend(part.cut)
    by_kind = {named: part.figures() for named, part in earned.items() if named is not None}
    return {
        "rule": name,
        **everything.figures(),
        "by_kind": by_kind,
        "unreadable_targets": unreadable,
    }


class Options(NamedTuple):
    """What a rule is made with, as in score_file."""

    labels: tuple[str, ...]
    pattern: str | None
    marks: tuple[str, ...]


def _rules(file: Path, name: str, kind: str | None, options: Options) -> RuleOf:
    if name == "opro":
        if options.marks:
            raise UsageError("the rule opro reads no marks of your own", "leave --marks out")
        return _opro_rules(file, kind)
    # The file is read twice only where the targets take part in what the rule is.
    examples = [_bare(row) for row in read_answers(file)] if reads_targets(name) else []
    labels, pattern, marks = options
    rule = make_rule(name, labels=labels, pattern=pattern, examples=examples, marks=marks)
    return lambda row: (rule, row.kind or kind)


def _bare(row: AnswerRow) -> Example:
    """The row as a rule is chosen by it, without the fields, which may be large."""
    return Example("", {}, row.prompt or "", row.target, row.where)


def _opro_rules(file: Path, kind: str | None) -> RuleOf:
    rules = {name: make_rule("opro", kind=name) for name in KINDS}
    if kind in (None, "auto"):
        kind = kind_of([row.target for row in read_answers(file) if row.kind is None])
    elif kind not in rules:
        raise UsageError(
            f"the rule opro has no kind {kind!r}", f"accepted: auto, {', '.join(KINDS)}"
        )

    def rule_of(row: AnswerRow) -> tuple[Rule, str | None]:
        own = kind if row.kind is None else row.kind
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


def _line(row: AnswerRow, rule: Rule, gold: Any, value: float) -> bytes:
    failed = math.isnan(value)
    parsed = rule.read(row.answer, gold)
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
        place = Path(os.path.realpath(place_of(output)))
        wrong = _unfit(place, file)
    except OSError as error:
        wrong = f"can't be used ({error.strerror})"
    if wrong:
        raise UsageError(f"the output {output} {wrong}", "name a file of its own")
    return place


def _unfit(place: Path, file: Path) -> str | None:
    """Why the output can't be written to a place; None where it can."""
    if place.exists() and file.exists() and place.samefile(file):
        return "is the input"
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
