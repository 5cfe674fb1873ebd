"""`opro-local tasks`: which benchmarks are there, what a task looks like, and whether its rows are
sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import InputOption, JsonOption, TargetOption
from opro_local.cli.visible import say, say_json

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

app = typer.Typer(
    no_args_is_help=True, help="List, show and validate benchmarks and data of your own."
)

NameArgument = Annotated[
    str, typer.Argument(help="A name that `tasks list` prints, harness, or table for --data.")
]
DirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="The folder with the benchmark's files.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Your own table, or the YAML file of harness.")
]
RuleOption = Annotated[
    str, typer.Option("--rule", help="Another scoring rule than the task's own.")
]


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Which task, and where its rows are."""

    name: NameArgument = "table"
    data_dir: DirOption = None
    data: DataOption = None
    input_: InputOption = None
    target: TargetOption = None
    rule: RuleOption = "auto"

    def settings(self) -> TaskSettings:
        """The section [task] of a config. Raises UsageError."""
        from opro_local.config import reading

        paths = {"data_dir": self.data_dir, "data": self.data}
        table: dict[str, Any] = {
            "name": self.name,
            "input": self.input_,
            "target": self.target,
            "rule": self.rule,
        }
        table |= {key: str(path) for key, path in paths.items() if path is not None}
        return reading.build({"task": table}).task


@app.command("list")
def list_(data_dir: DirOption = None, as_json: JsonOption = False) -> None:
    """List the benchmarks of the paper, with the rows that are in the folder.

    Example: opro-local tasks list --data-dir opro/data
    """
    from opro_local.runs.inspection import overview

    rows = overview(str(data_dir) if data_dir else None)
    if as_json:
        say_json(rows)
        return
    present = [row for row in rows if row["error"] or row["rows"] is not None]
    for row in present:
        say(f"{row['name']:48} version {row['version']}  {row['error'] or _rows(row['rows'])}")
    if missing := [row["name"] for row in rows if row not in present]:
        say(_without_files(missing, data_dir))


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _without_files(names: Sequence[str], data_dir: Path | None) -> str:
    """The benchmarks whose files are not there, in one line: families with the number of tasks."""
    families = Counter(name.partition("/")[0] for name in names)
    shown = [f"{name} ({count} tasks)" if count > 1 else name for name, count in families.items()]
    where = f"not in {data_dir}" if data_dir else "no folder given (--data-dir), so no rows counted"
    return f"{where}: {', '.join(shown)}; `opro-local docs tasks` names the files of each"


@app.command()
@grouped
def show(
    *,
    task: TaskOptions,
    row: Annotated[
        int, typer.Option("--row", help="Which row of train, from 0; of test if there is no train.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show a task: its splits and rule, and one row exactly as the scorer sees it.

    Example: opro-local tasks show bbh/navigate --data-dir opro/data --row 3
    """
    from opro_local.runs.inspection import describe

    found = describe(task.settings(), row)
    if as_json:
        say_json(found)
        return
    sizes = ", ".join(f"{split} {size}" for split, size in found["splits"].items())
    say(
        f"{found['name']}  version {found['version']}  rule {found['rule']}  kind "
        f"{found['kind']}  {sizes}"
    )
    for notice in found["notices"]:
        say(f"note: {notice}")
    one = found["row"]
    say(f"\n{one['id']} ({one['where']}), with the instruction that runs start from:\n")
    say(f"{one['system']}\n\n{one['prompt']}" if one["system"] else one["prompt"])
    say(f"\ntarget: {one['target']}")


@app.command()
@grouped
def validate(*, task: TaskOptions, as_json: JsonOption = False) -> None:
    """Check that every row loads and that its own answer scores 1. `all` takes every benchmark in
    the folder.

    Example: opro-local tasks validate all --data-dir opro/data
    """
    from opro_local.errors import DataError, UsageError
    from opro_local.runs.inspection import validate as check
    from opro_local.runs.inspection import validate_all

    is_all = task.name == "all"
    if is_all and task.data_dir is None:
        raise UsageError("validate all needs a folder", "give --data-dir")
    if is_all:
        found = validate_all(str(task.data_dir))
    else:
        found = [check(task.settings()) | {"error": None}]
    if as_json:
        say_json(found if is_all else found[0])
    else:
        _print(found)
    if errors := [one["error"] for one in found if one["error"]]:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DataError(errors[0] + more)


def _print(found: list[dict[str, Any]]) -> None:
    for one in found:
        state = (
            one["error"] or f"{one['rows']} rows, {len(one['wrong'])} whose answer does not score 1"
        )
        unchecked = (
            f", {one['unchecked']} to which the rule does not apply" if one["unchecked"] else ""
        )
        say(f"{one['name']:48} {state}{unchecked}")
        for row in one["wrong"]:
            say(f"  {row['where']}: {row['target'][:60]!r}: {row['why']}")
