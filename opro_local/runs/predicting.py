"""Predictions for rows that a program holds, and from a file to a file.

For: `opro_local.predict` and the verb. Not for: asking and reading (prediction.py), or rows as text
(given_rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opro_local.files import given_path, write_whole
from opro_local.protocols import Progress
from opro_local.runs.finished_prompt import finished_prompt
from opro_local.runs.given_rows import (
    as_lines,
    as_table,
    check_columns,
    check_output,
    given_rows,
    is_lines,
    read_rows,
)
from opro_local.runs.output_place import place_for_run
from opro_local.runs.prediction import Predictions, predict_rows


def predict(
    run: str | Path, rows: Any, trust_code: bool = False, vote: bool = False
) -> Predictions:
    """Ask the prompt that a finished run chose about new rows, with the run's model and settings.

        came = opro_local.predict("runs/mails-3f2a91", ["Please call me back."])
        print(came.values, came.unread)

    Args:
        run: the folder of a finished run of a prompt problem. Its data and its model have to be
            where they were.
        rows: a list of texts; a list of dicts, a DataFrame and the like; or the path of a file.
            They need the column that the run asked, and no target.
        trust_code: whether Python code that the run's config names may run.
        vote: whether the best prompts are asked together (docs/label-probability.md), which a run
            with `evaluation.vote` has.

    Returns:
        one prediction a row, in order: `values` has them, None where nothing could be read.

    Raises:
        OproError: see prediction.predict_rows.
    """
    folder = given_path(run, "run")
    table = given_rows(rows, finished_prompt(folder).column)
    return predict_rows(folder, table, trust_code=trust_code, vote=vote)


def predict_file(
    run: Path,
    data: Path,
    output: Path | None,
    changes: Sequence[str] = (),
    trust_code: bool = False,
    progress: Progress | None = None,
    vote: bool = False,
) -> tuple[Predictions, str]:
    """Predict the rows of a file.

    Args:
        run: the folder of a finished run.
        data: the file with the rows.
        output: the file to write; None writes none.
        changes, trust_code, progress, vote: see prediction.predict_rows.

    Returns:
        what was predicted, and the rows with it: as the output holds them, else as JSON Lines.

    Raises:
        OproError: see prediction.predict_rows; UsageError and StoreError also of the output.
    """
    rows = read_rows(data)
    check_columns(rows)
    place = None
    if output is not None:
        check_output(output)
        place = place_for_run(run, output, [data], changes)
    in_lines = output is None or is_lines(output)
    # Before anything is asked: the file may change meanwhile.
    kept = read_rows(data, typed=True) if in_lines else rows
    came = predict_rows(
        run, rows, changes=changes, trust_code=trust_code, vote=vote, progress=progress
    )
    if in_lines:
        text = as_lines(kept, came.values)
    else:
        is_tabs = output is not None and output.suffix.lower() == ".tsv"
        text = as_table(kept, came.values, "\t" if is_tabs else ",")
    if place is not None:
        write_whole(place, text)
    return came, text
