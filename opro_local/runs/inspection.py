"""What tasks hold, seen without a model: which are there, what one looks like, and whether its gold
answers score.

For: `opro-local tasks`. Not for: reading files (tasks/) or scoring a model's answers
(evaluation.py).
"""

from __future__ import annotations

from typing import Any

from opro_local.config.search import SearchSettings
from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.problems.prompt.layout import Layout
from opro_local.scoring import choosing
from opro_local.scoring.rule import Rule
from opro_local.tasks import loading, mmlu
from opro_local.tasks.loading import Task
from opro_local.tasks.published import NotFound, existing
from opro_local.types import Example

# More rows than any benchmark has: validation then takes all that a split of its own would leave
# out.
EVERY = 10**9


def overview(data_dir: str | None) -> list[dict[str, Any]]:
    """Every benchmark of the paper: `name`, `rows` (None if not found), `version`, and `error`
    (None if it is well).

    Raises:
        DataError: there is no such folder.
    """
    if data_dir:
        existing(data_dir)
    found = []
    for name in loading.names():
        row = {
            "name": name,
            "rows": None,
            "version": loading.versions()[name.partition("/")[0]],
            "error": None,
        }
        try:
            row["rows"] = (
                len(_rows(_whole(TaskSettings(name=name, data_dir=data_dir)))) if data_dir else None
            )
        except NotFound:
            pass
        except DataError as error:
            row["error"] = str(error)
        found.append(row)
    return found


def describe(settings: TaskSettings, row: int = 0) -> dict[str, Any]:
    """The task's splits, rule and notices, and one row as the scorer sees it with the paper's first
    instruction.

    Args:
        settings: `[task]` of a config; its layout is the one shown, for a chat model.
        row: which row of train, from 0; of test where there is no train.

    Raises:
        UsageError, DataError: see tasks.load; or there is no such row.
    """
    task = loading.load(settings, training=False)
    split, rows = next(iter(task.splits.items()))
    if not 0 <= row < len(rows):
        raise UsageError(
            f"--row {row}: {split} has {len(rows)} rows", f"give a number from 0 to {len(rows) - 1}"
        )
    position = "template" if settings.template is not None else settings.position
    layout = Layout(position, True, bool(settings.qa), settings.template)
    choice = choosing.task_choice(task, settings)
    prompt = layout.prompt(SearchSettings().texts[0], rows[row])
    return {
        "name": task.name,
        "version": task.version,
        "splits": {name: len(part) for name, part in task.splits.items()},
        "rule": choosing.task_rule(task, settings, choice).name,
        "kind": task.kind,
        "stop": list(task.stop),
        "max_tokens": task.max_tokens,
        "notices": [*task.notices, *choice.notices],
        "row": {
            "id": rows[row].id,
            "where": rows[row].where,
            "system": prompt.system,
            "prompt": prompt.text + prompt.prefill,
            "target": rows[row].target,
        },
    }


def validate(settings: TaskSettings) -> dict[str, Any]:
    """Whether every row loads and its gold answer scores 1 under the task's rule.

    Returns:
        `name`, `rule`, `rows`, and `wrong`: a list of the rows for which it does not (`where`,
        `id`, `target`, `why`). Targets to which a regex or a harness filter does not apply are not
        among them; `unchecked` counts those.

    Raises:
        UsageError, DataError: see tasks.load; a malformed row ends it.
    """
    task = _whole(settings)
    rule, rows = choosing.task_rule(task, settings), _rows(task)
    values, failed = rule.score([row.target for row in rows], rows)
    unchecked = failed & (rule.name in ("regex", "json", "harness"))
    wrong = [
        row
        for row, value, skip in zip(rows, values, unchecked, strict=True)
        if value != 1 and not skip
    ]
    listed = [
        {"where": row.where, "id": row.id, "target": row.target, "why": _why(task, rule, row)}
        for row in wrong
    ]
    return {
        "name": task.name,
        "rule": rule.name,
        "rows": len(rows),
        "unchecked": int(unchecked.sum()),
        "wrong": listed,
    }


def validate_all(data_dir: str) -> list[dict[str, Any]]:
    """`validate` for every benchmark whose files are in the folder, with `error` where one of them
    is malformed.

    MMLU is taken by subject: its categories hold the same rows.

    Raises:
        DataError: none is there, or there is no such folder.
    """
    existing(data_dir)
    found = []
    for name in loading.names():
        if name.removeprefix("mmlu/") in mmlu.CATEGORIES:
            continue
        try:
            found.append(validate(TaskSettings(name=name, data_dir=data_dir)) | {"error": None})
        except NotFound:
            continue
        except DataError as error:
            found.append(
                {
                    "name": name,
                    "rule": None,
                    "rows": 0,
                    "unchecked": 0,
                    "wrong": [],
                    "error": str(error),
                }
            )
    if not found:
        raise DataError(f"{data_dir}: no benchmark here", "docs/tasks.md names the files of each")
    return found


def _whole(settings: TaskSettings) -> Task:
    return loading.load(
        settings.model_copy(update={"validation_rows": EVERY, "split": (1.0, 0.0, 0.0)}),
        training=False,
    )


def _rows(task: Task) -> list[Example]:
    return [row for rows in task.splits.values() for row in rows]


def _why(task: Task, rule: Rule, row: Example) -> str:
    if row.id in task.faults:
        return task.faults[row.id]
    said = None if rule.name == "python" else rule.parsed(row.target, row)
    return "nothing is extracted from it" if said is None else f"{said[:60]!r} is extracted from it"
