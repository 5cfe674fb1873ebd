"""The program `opro-local`: its verbs, its exit codes, and the boundary where errors become one
line.

For: arguments in, one library call, text out. Not for: any work of its own. Heavy imports happen
inside the verbs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from opro_local import __version__
from opro_local.cli import (
    bench,
    cache,
    docs,
    evaluating,
    feedback,
    keeping,
    models,
    runs,
    score,
    solve,
    tasks,
)
from opro_local.errors import OproError
from opro_local.models.offline import switch_off_network

# Every verb, by the panel of the help that shows it. A new verb is a function or a Typer app in a
# file of its own, and a line here.
VERBS: Mapping[str, Mapping[str, Callable[..., None] | typer.Typer]] = {
    "Optimize": {
        "demo": runs.demo,
        "run": runs.run,
        "optimize": runs.optimize,
        "solve": solve.solve,
    },
    "Look": {
        "list": runs.list_,
        "show": runs.show,
        "verify": keeping.verify,
        "recover": keeping.recover,
    },
    "Models": {
        "models": models.app,
        "bench": bench.bench,
    },
    "Data and scoring": {
        "tasks": tasks.app,
        "evaluate": evaluating.evaluate,
        "score": score.score,
    },
    "Production": {
        "apply": runs.apply,
        "feedback": feedback.app,
    },
    "Here": {
        "check": evaluating.check,
        "cache": cache.app,
        "docs": docs.docs,
    },
}
# What Typer raises for a wrong command line: Click's UsageError. It is reached through its public
# subclass because newer Typers carry a private Click of their own, older ones import Click.
_WrongArguments: Any = typer.BadParameter.__base__


class _InOrder(TyperGroup):
    """The verbs in the order of `VERBS`; Typer by itself puts every app after the plain verbs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs' names."""
        return [name for verbs in VERBS.values() for name in verbs]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"opro-local {__version__}")
        raise typer.Exit()


def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What the program takes before a verb."""


def _program() -> typer.Typer:
    """The Typer app with every verb in its panel."""
    program = typer.Typer(
        cls=_InOrder,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Improve prompts with OPRO on your own hardware. Start with: opro-local demo",
    )
    program.callback()(options)
    for panel, verbs in VERBS.items():
        for name, verb in verbs.items():
            if isinstance(verb, typer.Typer):
                program.add_typer(verb, name=name, rich_help_panel=panel)
            else:
                program.command(name, rich_help_panel=panel)(verb)
    return program


app = _program()


def main() -> None:
    """Run the program; every OproError and every wrong argument ends as one line on stderr and its
    exit code.
    """
    switch_off_network()
    try:
        # Not "standalone": Typer would print a usage error as a frame of several lines.
        sys.exit(app(prog_name="opro-local", standalone_mode=False))
    except OproError as error:
        _end(str(error), error.exit_code)
    except _WrongArguments as error:
        _end(_explained(error), error.exit_code)


def _explained(error: Any) -> str:
    """What is wrong with the arguments, and whose help says what is right; nothing where the help
    was shown instead.
    """
    message = str(error.format_message()).rstrip(".")
    if not message or error.ctx is None:
        return message
    joint = " See" if message.endswith("?") else "; see"
    return f"{message}{joint}: {error.ctx.command_path} --help"


def _end(message: str, exit_code: int) -> None:
    line = " ".join(message.split())
    if line:
        sys.stderr.write(f"opro-local: {line}\n")
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
