"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168), as google-deepmind/opro ships it and as Hugging Face does.

For: rows and the paper's split. Not for: capping, or scoring (the rule is `number`). Version 1.
"""

# One row of gsm_train.tsv (no header; the worked solution is a Python bytes literal):
#   Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting. How much did she earn?
#   <tab>10<tab>b'Weng earns 12/60 = $<<12/60=0.2>>0.2 per minute.\nWorking 50 minutes, she earned 0.2 x 50 = ...'
# The same row at Hugging Face: question = "Weng earns ...", answer = "Weng earns 12/60 = ...\n#### 10"

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opro_local.errors import DataError, UsageError
from opro_local.tasks import table
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config import TaskSettings

PAPER_ROWS = 7473
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def load(settings: TaskSettings) -> tuple[dict[Split, list[Example]], list[str]]:
    """Train is the paper's 3.5 % of the train rows, validation all its other rows (if asked for), test all of test.

    Raises:
        DataError: no known layout in `data_dir`, or a malformed row.
        UsageError: `data_dir` is not set.
    """
    if not settings.data_dir:
        raise UsageError("gsm8k needs its files", "set task.data_dir to the folder with gsm_train.tsv or train.parquet")
    train, test = _read(Path(settings.data_dir))
    chosen = paper_split(len(train))
    if not chosen:
        raise DataError(f"{settings.data_dir}: {len(train)} train rows are too few", "3.5 % of them must be a row")
    splits: dict[Split, list[Example]] = {"train": [train[index] for index in chosen]}
    if settings.validation_rows:
        taken = set(chosen)
        splits["validation"] = [row for index, row in enumerate(train) if index not in taken]
    splits["test"] = test
    other = f"gsm8k: {len(train)} train rows where the benchmark has {PAPER_ROWS}: not the paper's split"
    return splits, [] if len(train) == PAPER_ROWS else [other]


def paper_split(rows: int) -> list[int]:
    """Sorted indices of the paper's train rows: 261 of 7,473 (opro/optimization/optimize_instructions.py)."""
    chosen = np.random.RandomState(0).choice(rows, size=int(0.035 * rows), replace=False)
    return sorted(chosen.tolist())


def _read(folder: Path) -> tuple[list[Example], list[Example]]:
    tried = [folder, folder / "gsm8k", folder / "main", folder / "gsm8k" / "main"]
    for place in tried:
        if (place / "gsm_train.tsv").is_file():
            return _read_tsv(place / "gsm_train.tsv", "train"), _read_tsv(place / "gsm_test.tsv", "test")
    for place in tried:
        if table.is_folder_of_rows(place):
            tables = table.read(str(place))
            if {"train", "test"} <= set(tables):
                return _read_table(tables["train"], "train"), _read_table(tables["test"], "test")
    hint = "expected gsm_train.tsv and gsm_test.tsv, Parquet files train*.parquet and test*.parquet, or a saved dataset"
    raise DataError(f"{folder}: no GSM8K here", hint)


def _read_tsv(path: Path, split: Split) -> list[Example]:
    # Tabs and line ends divide, quotes mean nothing: the questions are full of stray ones.
    lines = table.read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    return [_row(f"{path}:{number}", split, number - 1, line.split("\t")) for number, line in enumerate(lines, 1)]


def _row(where: str, split: Split, index: int, fields: list[str]) -> Example:
    if len(fields) != 3:
        raise DataError(f"{where}: {len(fields)} columns, not 3", "a row is question, answer, worked solution")
    question, answer, solution = fields
    if solution[:2] in ("b'", 'b"'):
        try:
            solution = ast.literal_eval(solution).decode()
        except (SyntaxError, ValueError, AttributeError, MemoryError, RecursionError):
            raise DataError(f"{where}: the worked solution is no bytes literal", "restore the file") from None
    return _example(where, split, index, (question, answer, solution))


def _read_table(rows: table.Table, split: Split) -> list[Example]:
    examples = table.examples(rows, split, "question", "answer")
    return [_from_hub(row, split, index) for index, row in enumerate(examples)]


def _from_hub(row: Example, split: Split, index: int) -> Example:
    solution, marker, answer = row.target.rpartition("####")
    if not marker:
        raise DataError(f"{row.where}: the answer has no '####'", "it ends in a line such as '#### 42'")
    return _example(row.where, split, index, (row.input, answer, solution.strip()))


def _example(where: str, split: Split, index: int, fields: tuple[str, str, str]) -> Example:
    question, answer, solution = (text.strip() for text in fields)
    if not question:
        raise DataError(f"{where}: the question is empty", "restore the file")
    if not NUMBER.fullmatch(answer):
        raise DataError(f"{where}: the answer {answer[:40]!r} is not a number", "write digits, such as 42 or 1,000")
    answer = answer.replace(",", "")
    columns = {"question": question, "answer": answer, "solution": solution}
    return Example(f"{split}:{index}", columns, question, answer, where)
