"""The verb `track`: a run, or a sweep with its cells, in a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.options import JsonOption
from opro_local.cli.visible import say, say_json

TO = "mlflow or trackio (docs/tracking.md)."


def track(
    run: Annotated[Path, typer.Argument(help="The folder of a run or a sweep.")],
    to: Annotated[str, typer.Option("--to", help=TO)],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="Where the tracker keeps it; without it a folder beside the run's."
        ),
    ] = None,
    experiment: Annotated[
        str, typer.Option("--experiment", help="The name it is kept under.")
    ] = "opro-local",
    as_json: JsonOption = False,
) -> None:
    """Write a run, or a sweep and its cells, to MLflow or trackio on this machine. The same command
    again brings it up to date.

    Examples: opro-local track runs/mails --to mlflow, or opro-local track runs/seeds --to trackio
    --folder ~/trackio --experiment seeds
    """
    from opro_local.tracking.process import track as write

    came = write(run, to, folder, experiment)
    if as_json:
        say_json(came.to_json())
        return
    for line in came.notices:
        say(line, err=True)
    count = len(came.runs)
    say(f"{count} run{'s' * (count != 1)} in {came.job.folder}, experiment {experiment}")
    say(f"To look at it: {came.place}")
