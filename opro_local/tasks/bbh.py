"""BIG-Bench Hard (Suzgun et al. 2022, arXiv 2210.09261): 23 tasks in 27 files, in both layouts.

For: rows, the paper's split, and the rule that is right for each task. Not for: the paper's own
rule (task.rule = "opro" takes it, with the kind given here).
"""

# One row of sports_understanding.json, which is {"canary": ..., "examples": [...]} on one line:
#   {"input": "Is the following sentence plausible? \"Elias Lindholm beat the buzzer.\"",
#    "target": "no"}
# The same row at Hugging Face (lukaemon/bbh):
#   input = "Is the following ...", target = "no"

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from opro_local.errors import DataError
from opro_local.tasks import published
from opro_local.tasks.json_file import document
from opro_local.tasks.rows import Row
from opro_local.tasks.task import Benchmark, Task
from opro_local.types import Example

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

VERSION = 1
FOLDERS = ("BIG-Bench-Hard-data", "bbh", "lukaemon/bbh")
NUMBERS = ("multistep_arithmetic_two", "object_counting")
TEXTS = ("dyck_languages", "word_sorting")
WORDS = {
    "boolean_expressions": ("True", "False"),
    "causal_judgement": ("Yes", "No"),
    "formal_fallacies": ("valid", "invalid"),
    "navigate": ("Yes", "No"),
    "sports_understanding": ("yes", "no"),
    "web_of_lies": ("Yes", "No"),
}
CHOICES = (
    "date_understanding",
    "disambiguation_qa",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_three_objects",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "movie_recommendation",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "temporal_sequences",
    "tracking_shuffled_objects_three_objects",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
)
# What the targets of CHOICES and NUMBERS look like: "(A)", "-3".
LETTER = re.compile(r"\([A-Z]\)")
WHOLE_NUMBER = re.compile(r"-?\d+")
TASKS = tuple(sorted((*NUMBERS, *TEXTS, *WORDS, *CHOICES)))

WHY = "the published row's option was cut at its commas, so that no letter is right"
FAULTS = {
    "movie_recommendation:163": "Monsters, Inc",
    "ruin_names:99": "dearth, wind, & fire",
    "ruin_names:144": "rita, sue and bob poo",
}


def load(settings: TaskSettings) -> Task:
    """Train is the paper's 20 % of the rows, test all others; validation, if asked for, is drawn
    from the others.

    Raises:
        DataError: the task's file is not there or malformed.
        UsageError: `data_dir` is not set, or there is no such task.
    """
    _, _, name = settings.name.partition("/")
    if name not in TASKS:
        raise published.unknown(
            settings.name, [f"bbh/{task}" for task in TASKS], f"its tasks: {', '.join(TASKS)}"
        )
    rows = _read(settings, name)
    splits = published.divided(rows, int(0.2 * len(rows)), settings.validation_rows or 0)
    if "train" not in splits:
        raise DataError(
            f"{rows[0].where}: {len(rows)} rows are too few", "20 % of them must be a row"
        )
    rule, kind = _rule(name)
    faults = {row.id: WHY for row in rows if FAULTS.get(row.id) == row.target}
    notices = tuple(f"{row.where}: {WHY}" for row in rows if row.id in faults)
    return Task(
        settings.name,
        splits,
        rule,
        "input",
        "target",
        kind,
        notices=notices,
        version=VERSION,
        faults=faults,
    )


BENCHMARK = Benchmark(load, VERSION, TASKS, "task", paper=True)


def _rule(name: str) -> tuple[str, str]:
    """The rule that is right for the task, and the kind as which the reference scores it."""
    if name in NUMBERS:
        return "number", "number"
    if name in TEXTS:
        return "exact", "text"
    if name in CHOICES:
        return "choice", "choice"
    return "boolean", "boolean"


def _read(settings: TaskSettings, name: str) -> list[Example]:
    expected = f"{name}.json, or a folder {name} with Parquet files or a saved dataset"
    folders = published.places(settings, FOLDERS, expected)
    if path := published.file_in(folders, f"{name}.json"):
        rows = _from_file(path)
    elif tables := published.hub_tables(
        [folder / name for folder in folders], ("test",), ("input", "target")
    ):
        rows = list(tables["test"].rows)
    else:
        raise published.NotFound(
            f"{settings.data_dir}: no {settings.name} here", f"expected {expected}"
        )
    return [_checked(row, name) for row in published.examples(name, rows, _parts)]


def _from_file(path: Path) -> list[Row]:
    whole = document(path)
    examples = whole.get("examples") if isinstance(whole, dict) else None
    if not isinstance(examples, list):
        raise DataError(
            f"{path}:1: no list called examples", 'the file is {"canary": ..., "examples": [...]}'
        )
    if not examples:
        raise DataError(f"{path}:1: examples is empty", "restore the file")
    for number, row in enumerate(examples, 1):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}:{number}: {row!r:.40} where an object is expected",
                "a row has input and target",
            )
    return [Row(f"{path}:{number}", row) for number, row in enumerate(examples, 1)]


def _parts(row: Row) -> tuple[dict[str, str], str, str]:
    question = published.text(row.where, row.columns, "input")
    target = published.text(row.where, row.columns, "target")
    return {"input": question, "target": target}, question, target


def _checked(row: Example, name: str) -> Example:
    """The row, if its target is one of those that the task has."""
    if name in CHOICES:
        is_option = LETTER.fullmatch(row.target) is not None and row.target in row.input
        right = is_option or FAULTS.get(row.id) == row.target
        expected = "the letter of one of the options, such as (A)"
    elif name in NUMBERS:
        right = WHOLE_NUMBER.fullmatch(row.target) is not None
        expected = "a whole number"
    else:
        words = WORDS.get(name)
        right = words is None or row.target in words
        expected = f"one of {words}"
    if right:
        return row
    raise DataError(
        f"{row.where}: the target {row.target[:40]!r} is not {expected}", "restore the file"
    )
