"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168), as google-deepmind/opro ships it and as Hugging Face
does.

For: rows and the paper's split. Not for: capping, or scoring (the rule is `number`).
"""

# One row of gsm_train.tsv (no header; the worked solution is a Python bytes literal):
#   Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting. How
#   much did she earn?<tab>10<tab>b'Weng earns 12/60 = $<<12/60=0.2>>0.2 per minute.\nWorking ...'
# The same row at Hugging Face:
#   question = "Weng earns ...", answer = "Weng earns 12/60 = ...\n#### 10"

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from opro_local.errors import DataError
from opro_local.tasks import published
from opro_local.tasks.rows import Row
from opro_local.tasks.task import Benchmark, Task
from opro_local.tasks.text_file import read_text
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

VERSION = 1
PAPER_ROWS = 7473
COLUMNS = ("question", "answer")
FOLDERS = ("gsm_data", "gsm8k", "main", "gsm8k/main", "openai/gsm8k", "openai/gsm8k/main")
EXPECTED = (
    "gsm_train.tsv and gsm_test.tsv, Parquet files train*.parquet and test*.parquet, "
    "or a saved dataset"
)
# An answer as the files write it: "42", "-3", "1,234.50".
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def load(settings: TaskSettings) -> Task:
    """Train is the paper's 3.5 % of the train rows, validation all its other rows (if asked for),
    test all of test.

    Raises:
        DataError: no known layout in `data_dir`, or a malformed row.
        UsageError: `data_dir` is not set.
    """
    train, test = _read(settings)
    chosen = paper_split(len(train))
    if not chosen:
        raise DataError(
            f"{settings.data_dir}: {len(train)} train rows are too few",
            "3.5 % of them must be a row",
        )
    splits: dict[Split, tuple[Example, ...]] = {"train": tuple(train[index] for index in chosen)}
    if settings.validation_rows:
        taken = set(chosen)
        splits["validation"] = tuple(row for index, row in enumerate(train) if index not in taken)
    splits["test"] = tuple(test)
    other = (
        f"gsm8k: {len(train)} train rows where the benchmark has {PAPER_ROWS}: "
        "not the paper's split"
    )
    notices = () if len(train) == PAPER_ROWS else (other,)
    return Task(
        "gsm8k", splits, "number", "question", "answer", "number", notices=notices, version=VERSION
    )


BENCHMARK = Benchmark(load, VERSION, paper=True)


def paper_split(rows: int) -> list[int]:
    """Sorted indices of the paper's train rows: 261 of 7,473
    (opro/optimization/optimize_instructions.py).
    """
    return published.paper_split(rows, int(0.035 * rows))[0]


def _read(settings: TaskSettings) -> tuple[list[Example], list[Example]]:
    folders = published.places(settings, FOLDERS, EXPECTED)
    if file := published.file_in(folders, "gsm_train.tsv"):
        return _read_tsv(file, "train"), _read_tsv(file.with_name("gsm_test.tsv"), "test")
    shared = published.unnamed(settings)
    if tables := published.hub_tables(folders, ("train", "test"), COLUMNS, shared=shared):
        train = published.examples("train", tables["train"].rows, _from_hub)
        return train, published.examples("test", tables["test"].rows, _from_hub)
    raise published.NotFound(f"{settings.data_dir}: no GSM8K here", f"expected {EXPECTED}")


def _read_tsv(path: Path, split: Split) -> list[Example]:
    # Tabs and line ends divide, quotes mean nothing: the questions are full of stray ones.
    lines = read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    rows = (_row(f"{path}:{number}", line.split("\t")) for number, line in enumerate(lines, 1))
    return published.examples(split, rows, lambda row: _parts(row.where, **row.columns))


def _row(where: str, fields: list[str]) -> Row:
    if len(fields) != 3:
        raise DataError(
            f"{where}: {len(fields)} columns, not 3", "a row is question, answer, worked solution"
        )
    question, answer, solution = fields
    if solution[:2] in ("b'", 'b"'):
        try:
            solution = ast.literal_eval(solution).decode()
        except (SyntaxError, ValueError, AttributeError, MemoryError, RecursionError):
            raise DataError(
                f"{where}: the worked solution is no bytes literal", "restore the file"
            ) from None
    return Row(where, {"question": question, "answer": answer, "solution": solution})


def _from_hub(row: Row) -> tuple[dict[str, str], str, str]:
    question, answer = (published.text(row.where, row.columns, name) for name in COLUMNS)
    solution, marker, number = answer.rpartition("####")
    if not marker:
        raise DataError(
            f"{row.where}: the answer has no '####'", "it ends in a line such as '#### 42'"
        )
    return _parts(row.where, question, number, solution)


def _parts(
    where: str, question: str, answer: str, solution: str
) -> tuple[dict[str, str], str, str]:
    question, answer, solution = question.strip(), answer.strip(), solution.strip()
    if not question:
        raise DataError(f"{where}: the question is empty", "restore the file")
    if not NUMBER.fullmatch(answer):
        raise DataError(
            f"{where}: the answer {answer[:40]!r} is not a number",
            "write digits, such as 42 or 1,000",
        )
    answer = answer.replace(",", "")
    return {"question": question, "answer": answer, "solution": solution}, question, answer
