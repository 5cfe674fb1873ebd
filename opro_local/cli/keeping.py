"""The verbs that look after runs on disk: verify, recover."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.options import JsonOption
from opro_local.cli.runs import RunArgument
from opro_local.cli.visible import say, say_json


def verify(
    run: RunArgument,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also derive scores and result again from the completions, without a model.",
        ),
    ] = False,
    trust_code: Annotated[
        bool,
        typer.Option("--trust-code", help="With --deep: code that the run names may be run."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that a run is what was written. Exit code 4 where it is damaged."""
    from opro_local.runs.verification import verify as check

    came = check(run, deep, trust_code)
    if as_json:
        say_json(came.to_json())
    else:
        for damage in came.damaged:
            say(f"{damage.file}: {damage.what}")
        say(f"ok: {came.calls} calls" if came.ok else _advice(run))
    if not came.ok:
        raise typer.Exit(4)


def recover(
    run: RunArgument,
    to: Annotated[
        Path | None,
        typer.Option(help="The new run's folder; by default the run's with -recovered."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy what is intact of a damaged run to a new folder, where its command goes on."""
    from opro_local.runs.recovery import recover as copy

    place = to or run.absolute().with_name(f"{run.absolute().name}-recovered")
    came = copy(run, place)
    if as_json:
        say_json(came.to_json())
        return
    say(f"{came.calls} calls copied to {came.folder}")
    for line in came.lost:
        say(f"lost: {line}")
    say(f"the run's command with --run {came.folder} goes on, and asks for what is lost")


def _advice(run: Path) -> str:
    return f"damaged: restore a copy, or opro-local recover {run} copies what is intact"
