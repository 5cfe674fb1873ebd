"""The program `opro-local`: its verbs, its exit codes and the one boundary where errors become one
line.

For: arguments in, one library call, text out. Not for: any work of its own. Heavy imports happen
inside the verbs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from opro_local import __version__
from opro_local.cli import bench, cache, evaluating, feedback, models, runs, score, solve, tasks
from opro_local.errors import OproError
from opro_local.models.offline import switch_off_network

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Improve prompts with OPRO on your own hardware. Start with: opro-local demo",
)
runs.register(app)
evaluating.register(app)
solve.register(app)
score.register(app)
bench.register(app)
app.add_typer(tasks.app, name="tasks")
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")
app.add_typer(feedback.app, name="feedback")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"opro-local {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What the program takes before a verb."""


def main() -> None:
    """Run the program; every OproError ends as one line on stderr and its exit code."""
    switch_off_network()
    try:
        app()
    except OproError as error:
        line = " ".join(str(error).split())
        sys.stderr.write(f"opro-local: {line}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
