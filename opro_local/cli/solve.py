"""`opro-local solve`: the numeric problems of the paper's section 4, beside what classical methods
reach.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import RunOptions
from opro_local.cli.visible import visible

if TYPE_CHECKING:
    from opro_local.config.settings import Config
    from opro_local.problems.numeric.numeric import NumericFigures
    from opro_local.runs.repetitions import Repetitions
    from opro_local.runs.run_result import RunResult


@grouped
def solve(
    *,
    problem: Annotated[str, typer.Argument(help="linear-regression or tsp.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "--optimizer", help="A folder (./x), an imported model or a repository id."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="tsp: points in a CSV, JSON or TSPLIB file.")
    ] = None,
    repetitions: Annotated[
        int, typer.Option("--repetitions", min=1, help="Instances, each a run of its own.")
    ] = 1,
    options: RunOptions,
) -> None:
    """Let a model optimize numbers or a tour, and compare. The same command again resumes.

    Example: opro-local solve linear-regression --set search.steps=20 --repetitions 5
    """
    from opro_local.runs import repetitions as solving
    from opro_local.runs.naming import run_folder

    named = {
        "run.seed": options.seed,
        "optimizer.engine": options.engine,
        "optimizer.model": model,
        "problem.data_file": data,
    }
    changes = [
        f"{name}={json.dumps(str(value))}" for name, value in named.items() if value is not None
    ]
    config = solving.config_of(problem, [*changes, *(options.set_ or ())])
    folder = run_folder(config, options.run)
    runs = solving.repetitions(config, folder, repetitions)
    results = [_execute(config, folder, options.verbose) for config, folder in runs]
    together = solving.Repetitions(tuple(results))
    if options.as_json:
        typer.echo(json.dumps(together.to_json(), indent=2))
        return
    _print(together)
    typer.echo(f"Saved in {folder}")


def _execute(config: Config, folder: Path, every: bool) -> RunResult:
    from opro_local.cli.progress import watched
    from opro_local.runs.plans import make_plan

    return watched(make_plan(config), folder, every)


def _print(together: Repetitions) -> None:
    from rich.console import Console

    from opro_local.runs.repetitions import figures_of

    console = Console(highlight=False, soft_wrap=True)
    result = together.best
    figures, costs = figures_of(result), result.costs
    heading = (
        f"{result.name}: {figures.evaluations} solutions scored in {result.steps} steps "
        f"({result.reason}); {costs.calls['optimizer']} optimizer calls, "
        f"{costs.tokens['completion']:,} tokens written, {costs.seconds:.0f} s"
    )
    console.print(visible(heading), markup=False)
    console.print(_table(result.best.text, figures))
    for line in (*result.summary, *_repeated(together)):
        console.print(visible(line), markup=False)


def _table(best: str, figures: NumericFigures) -> Any:
    from rich.table import Table
    from rich.text import Text

    from opro_local.problems.numeric.numeric import gap

    rows = [("OPRO", figures.value, best)]
    rows += [(name.replace("_", " "), value, "") for name, value in figures.baselines.items()]
    if figures.reference:
        rows.append(("optimum", figures.reference.value, figures.reference.text))
    table = Table(box=None, pad_edge=False)
    for name in ("method", "value", "gap"):
        table.add_column(name, justify="left" if name == "method" else "right")
    table.add_column("solution")
    for name, value, text in rows:
        share = gap(value, figures.optimum)
        shown = "-" if share is None else f"{100 * share:.1f} %"
        table.add_row(Text(name), f"{value:.6g}", shown, Text(visible(text)))
    return table


def _repeated(together: Repetitions) -> list[str]:
    if len(together.results) == 1:
        return []
    lines = [
        f"Above: the repetition with the smallest gap. {len(together.reached)} of "
        f"{len(together.results)} reached it."
    ]
    spreads = {"steps": together.steps, "solutions scored": together.evaluations}
    for unit, spread in spreads.items():
        if spread:
            lines.append(f"Those that did took {spread.mean:.1f} +- {spread.std:.1f} {unit}.")
    if gap := together.gap:
        lines.append(f"Gap over all: {100 * gap.mean:.1f} +- {100 * gap.std:.1f} %.")
    return lines
