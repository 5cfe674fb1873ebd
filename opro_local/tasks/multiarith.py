"""MultiArith (Roy and Roth 2015, arXiv 1608.01413): arithmetic word problems of several steps, in
both layouts.

For: rows as the reference shows them; the paper only evaluates on MultiArith (section 5.2.3). Not
for: the equations.
"""

# One row of MultiArith.json (a list of objects; 600 rows), with iIndex and lAlignments left out:
#   {"sQuestion": " Paul was collecting cans ... how many cans did he pick up total? ",
#    "lSolutions": [72.0], "lEquations": ["X=(8.0*(6.0+3.0))"]}
# The same row at Hugging Face (ChilleD/MultiArith; 420 for train, 180 for test):
#   question = "Paul was ...", final_ans = "72"

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from opro_local.errors import DataError
from opro_local.tasks import published, table
from opro_local.tasks.rows import Row
from opro_local.tasks.task import Benchmark, Task
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

VERSION = 1
PAPER_ROWS = 600
COLUMNS = ("question", "final_ans")
FOLDERS = ("MultiArith-data", "multiarith", "MultiArith", "ChilleD/MultiArith")
EXPECTED = "MultiArith.json, or Parquet files or a saved dataset with a split called test"


def load(settings: TaskSettings) -> Task:
    """All rows are test rows, as in the reference (evaluate_instructions.py), unless
    task.train_rows is set.

    It is then how many rows are drawn for train (and task.validation_rows for validation, from the
    others), and test is the rest. A published dataset with splits of its own keeps them; its train
    is read if asked for.

    Raises:
        DataError: no known layout in `data_dir`, or a malformed row.
        UsageError: `data_dir` is not set.
    """
    read = _read(settings, [*published.asked_beside_test(settings)])
    splits = published.drawn_from_test(read, settings)
    rows = len(read["test"])
    other = f"multiarith: {rows} test rows where the paper has {PAPER_ROWS}"
    notices = () if rows == PAPER_ROWS else (other,)
    return Task(
        "multiarith",
        splits,
        "number",
        "question",
        "answer",
        "number",
        notices=notices,
        version=VERSION,
    )


BENCHMARK = Benchmark(load, VERSION, paper=True)


def _read(settings: TaskSettings, also: list[Split]) -> dict[Split, tuple[Example, ...]]:
    folders = published.places(settings, FOLDERS, EXPECTED)
    if path := published.file_in(folders, "MultiArith.json"):
        rows = table.read(str(path), typed=True)[""].rows
        return {"test": tuple(published.examples("test", rows, _from_file))}
    if tables := published.hub_tables(
        folders, ("test",), COLUMNS, also, published.unnamed(settings)
    ):
        return {
            split: tuple(published.examples(split, part.rows, _from_hub))
            for split, part in tables.items()
        }
    raise published.NotFound(f"{settings.data_dir}: no MultiArith here", f"expected {EXPECTED}")


def _from_file(row: Row) -> tuple[dict[str, str], str, str]:
    solutions = row.columns.get("lSolutions")
    if not isinstance(solutions, list) or len(solutions) != 1:
        what = "missing" if solutions is None else f"{solutions!r:.40}, not a list of one number"
        raise DataError(f"{row.where}: lSolutions is {what}", "restore the file")
    return _parts(row.where, published.text(row.where, row.columns, "sQuestion"), solutions[0])


def _from_hub(row: Row) -> tuple[dict[str, str], str, str]:
    return _parts(
        row.where, published.text(row.where, row.columns, "question"), row.columns["final_ans"]
    )


def _parts(where: str, question: str, answer: Any) -> tuple[dict[str, str], str, str]:
    try:
        value = float(answer.replace(",", "") if isinstance(answer, str) else answer)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if isinstance(answer, bool) or not math.isfinite(value):
        raise DataError(f"{where}: the answer {answer!r:.40} is not a number", "restore the file")
    question, target = question.strip(), format(value, ".15g")
    return {"question": question, "answer": target}, question, target
