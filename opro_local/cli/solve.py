"""`opro-local solve`: the numeric problems of the paper's section 4, beside what classical methods
reach.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import RunOptions
from opro_local.cli.visible import print_line, say, say_json

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
        say_json(together.to_json())
        return
    _print(together)
    say(f"Saved in {folder}")


def _execute(config: Config, folder: Path, every: bool) -> RunResult:
    from opro_local.cli.progress import watched
    from opro_local.runs.plans import make_plan

    return watched(make_plan(config), folder, every)


def _print(together: Repetitions) -> None:
    from opro_local.cli.tables import print_table, stdout_console
    from opro_local.runs.repetitions import figures_of

    console = stdout_console()
    result = together.best
    figures, costs = figures_of(result), result.costs
    heading = (
        f"{result.name}: {figures.evaluations} solutions scored in {result.steps} steps "
        f"({result.reason}); {costs.calls['optimizer']} optimizer calls, "
        f"{costs.tokens['completion']:,} tokens written, {costs.seconds:.0f} s"
    )
    print_line(console, heading)
    names = ("method", "value", "gap", "solution")
    print_table(console, names, _rows(result.best.text, figures), {"method", "solution"})
    for line in (*result.summary, *_repeated(together)):
        print_line(console, line)


def _rows(best: str, figures: NumericFigures) -> list[tuple[str, str, str, str]]:
    """Every method beside the optimum."""
    from opro_local.problems.numeric.numeric import gap

    rows = [("OPRO", figures.value, best)]
    rows += [(name.replace("_", " "), value, "") for name, value in figures.baselines.items()]
    if figures.reference:
        rows.append(("optimum", figures.reference.value, figures.reference.text))
    shares = [gap(value, figures.optimum) for _, value, _ in rows]
    gaps = ["-" if share is None else f"{100 * share:.1f} %" for share in shares]
    return [
        (name, f"{value:.6g}", shown, text)
        for (name, value, text), shown in zip(rows, gaps, strict=True)
    ]


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
