"""AQuA (Ling et al. 2017, arXiv 1705.04146): algebra word problems with five options, in both
layouts.

For: rows as the reference shows them; the paper only evaluates on AQuA (section 5.2.3). Not for:
the rationales, which are kept as a column and shown to nobody.
"""

# One row of AQuA.json (one object a line; the 254 rows of the published test split):
#   {"question": "How many of the numbers ...?",
#    "options": ["A)11", "B)12", "C)13", "D)14", "E)15"],
#    "rationale": "Explanation : ...", "correct": "C"}
# At Hugging Face (deepmind/aqua_rat) the columns are the same.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opro_local.errors import DataError
from opro_local.tasks import published, table
from opro_local.tasks.rows import Row, Table
from opro_local.tasks.task import Benchmark, Task
from opro_local.types import Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

VERSION = 1
PAPER_ROWS = 254
FOLDERS = (
    "AQuA-data",
    "aqua",
    "aqua_rat",
    "raw",
    "aqua_rat/raw",
    "deepmind/aqua_rat",
    "deepmind/aqua_rat/raw",
)
EXPECTED = "AQuA.json, or Parquet files or a saved dataset with a split called test"
COLUMNS = ("question", "options", "correct")
ASK = "\nWhat's the answer in (A) (B) (C) (D) (E)?"


def load(settings: TaskSettings) -> Task:
    """All rows are test rows, as in the reference (evaluate_instructions.py), unless
    task.train_rows is set.

    It is then how many rows are drawn for train (and task.validation_rows for validation, from the
    others), and test is the rest. A published dataset with splits of its own keeps them; its train
    and validation are read if asked for.

    Raises:
        DataError: no known layout in `data_dir`, or a malformed row.
        UsageError: `data_dir` is not set.
    """
    tables = _read(settings, [*published.asked_beside_test(settings)])
    read = {
        split: tuple(published.examples(split, rows.rows, _parts)) for split, rows in tables.items()
    }
    splits = published.drawn_from_test(read, settings)
    rows = len(read["test"])
    other = f"aqua: {rows} test rows where the benchmark has {PAPER_ROWS}"
    notices = () if rows == PAPER_ROWS else (other,)
    return Task(
        "aqua", splits, "choice", "question", "correct", "choice", notices=notices, version=VERSION
    )


BENCHMARK = Benchmark(load, VERSION, paper=True)


def _read(settings: TaskSettings, also: list[Split]) -> dict[Split, Table]:
    folders = published.places(settings, FOLDERS, EXPECTED)
    if path := published.file_in(folders, "AQuA.json"):
        return {"test": table.read(str(path), typed=True)[""]}
    if tables := published.hub_tables(
        folders, ("test",), COLUMNS, also, published.unnamed(settings)
    ):
        return tables
    raise published.NotFound(f"{settings.data_dir}: no AQuA here", f"expected {EXPECTED}")


def _parts(row: Row) -> tuple[dict[str, str], str, str]:
    question = published.text(row.where, row.columns, "question")
    correct = published.text(row.where, row.columns, "correct")
    options = row.columns.get("options")
    if not isinstance(options, list) or not options:
        raise DataError(
            f"{row.where}: options is {options!r:.40}, not a list of texts", "restore the file"
        )
    options = [
        published.a_text(option, f"{row.where}: option {n}") for n, option in enumerate(options, 1)
    ]
    for option in options:
        if not re.match(r"[A-E]\)", option):
            raise DataError(
                f"{row.where}: the option {option[:40]!r} has no letter", "write it as 'A)11'"
            )
    letters = [option[0] for option in options]
    if correct not in letters:
        there = ", ".join(letters)
        raise DataError(
            f"{row.where}: correct is {correct[:40]!r}, the options are {there}", "restore the file"
        )
    # An option is "A)11" and is shown as "(A)11".
    shown = question + "".join(f"\n({option}" for option in options) + ASK
    rationale = row.columns.get("rationale")
    columns = {
        "question": question,
        "options": "\n".join(options),
        "correct": correct,
        "rationale": rationale if isinstance(rationale, str) else "",
    }
    return columns, shown, correct
