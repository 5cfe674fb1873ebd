"""`opro-local solve`: the numeric problems of the paper's section 4, beside what classical methods
reach.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.options import (
    EngineOption,
    JsonOption,
    RunOption,
    SeedOption,
    SetOption,
)

if TYPE_CHECKING:
    from opro_local.config.settings import Config


def solve(
    problem: Annotated[str, typer.Argument(help="linear-regression or tsp.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "--optimizer", help="A folder, an imported model or a repository id."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="tsp: points in a CSV, JSON or TSPLIB file.")
    ] = None,
    repetitions: Annotated[
        int, typer.Option("--repetitions", min=1, help="Instances, each a run of its own.")
    ] = 1,
    run: RunOption = None,
    seed: SeedOption = None,
    engine: EngineOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model optimize numbers or a tour, and compare. The same command again resumes.

    Example: opro-local solve linear-regression --set search.steps=20 --repetitions 5
    """
    from opro_local.runs import repetitions as solving
    from opro_local.runs.naming import run_folder

    named = {
        "run.seed": seed,
        "optimizer.engine": engine,
        "optimizer.model": model,
        "problem.data_file": data,
    }
    changes = [
        f"{name}={json.dumps(str(value))}" for name, value in named.items() if value is not None
    ]
    config = solving.config_of(problem, [*changes, *(set_ or ())])
    folder = run_folder(config, run)
    runs = solving.repetitions(config, folder, repetitions)
    results: list[Mapping[str, Any]] = [_execute(config, folder) for config, folder in runs]
    found = solving.combined(results)
    if as_json:
        typer.echo(json.dumps(dict(found), indent=2))
        return
    _print(found)
    typer.echo(f"Saved in {folder}")


def _execute(config: Config, folder: Path) -> Mapping[str, Any]:
    from opro_local.cli.progress import watched
    from opro_local.runs.plans import make_plan

    return watched(make_plan(config), folder)


def _print(found: Mapping[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{found['name']}: {found['evaluations']} solutions scored in {found['steps']} steps "
        f"({found['reason']}); "
        f"{found['calls']['optimizer']} optimizer calls, {found['tokens']['completion']:,} "
        f"tokens written, "
        f"{found['seconds']:.0f} s",
        markup=False,
    )
    console.print(_table(found))
    for line in (*found["summary"], *_repeated(found.get("repetitions"))):
        console.print(line, markup=False)


def _table(found: Mapping[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from opro_local.problems.numeric.numeric import gap

    rows = [("OPRO", found["best"]["value"], found["best"]["text"])]
    rows += [(name.replace("_", " "), value, "") for name, value in found["baselines"].items()]
    if found["reference"]:
        rows.append(("optimum", found["optimum"], found["reference"]["text"]))
    table = Table(box=None, pad_edge=False)
    for name in ("method", "value", "gap"):
        table.add_column(name, justify="left" if name == "method" else "right")
    table.add_column("solution")
    for name, value, text in rows:
        share = gap(value, found["optimum"])
        table.add_row(
            Text(name), f"{value:.6g}", "-" if share is None else f"{100 * share:.1f} %", Text(text)
        )
    return table


def _repeated(together: Mapping[str, Any] | None) -> list[str]:
    if together is None:
        return []
    lines = [
        f"Above: the repetition with the smallest gap. {together['reached']} of "
        f"{len(together['runs'])} reached it."
    ]
    for name, unit in (("steps", "steps"), ("evaluations", "solutions scored")):
        spread = together[name]
        if spread:
            lines.append(f"Those that did took {spread['mean']:.1f} +- {spread['std']:.1f} {unit}.")
    if together["gap"]:
        lines.append(
            f"Gap over all: {100 * together['gap']['mean']:.1f} +- "
            f"{100 * together['gap']['std']:.1f} %."
        )
    return lines
