"""The program `opro-local`: its verbs, its exit codes, and the boundary where errors become one
line.

For: arguments in, one library call, text out. Not for: any work of its own. Heavy imports happen
inside the verbs.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from opro_local import __version__
from opro_local.cli import (
    bench,
    bundle,
    cache,
    checking,
    docs,
    evaluating,
    export,
    feedback,
    keeping,
    listing,
    models,
    predict,
    report,
    runs,
    score,
    solve,
    sweep,
    tasks,
    track,
    view,
)
from opro_local.cli.narrow_help import Command, Group, with_narrow_help
from opro_local.cli.stopping import Stopped, ignore_signals, raise_on_signals
from opro_local.cli.streams import open_streams
from opro_local.cli.visible import say
from opro_local.errors import OproError, UsageError
from opro_local.network import guard_if_asked, switch_off_network

# Every verb, by the panel of the help that shows it. A new verb is a function or a Typer app in a
# file of its own, and a line here.
VERBS: Mapping[str, Mapping[str, Callable[..., None] | typer.Typer]] = {
    "Optimize": {
        "demo": runs.demo,
        "run": runs.run,
        "optimize": runs.optimize,
        "solve": solve.solve,
        "sweep": sweep.sweep,
    },
    "Look": {
        "list": listing.list_,
        "show": runs.show,
        "compare": listing.compare,
        "report": report.report,
        "view": view.view,
        "track": track.track,
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
        "export": export.export,
        "predict": predict.predict,
        "apply": runs.apply,
        "feedback": feedback.app,
    },
    "Here": {
        "check": checking.check,
        "bundle": bundle.app,
        "cache": cache.app,
        "docs": docs.docs,
    },
}
# What is wrong with a path that a user named, wherever it was met first.
_PATHS_FAULTS = (
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
)
# What Typer raises for a wrong command line: Click's UsageError. It is reached through its public
# subclass because newer Typers carry a private Click of their own, older ones import Click.
_WrongArguments: Any = typer.BadParameter.__base__


class _InOrder(Group):
    """The verbs in the order of `VERBS`; Typer by itself puts every app after the plain verbs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs' names."""
        return [name for verbs in VERBS.values() for name in verbs]


def _version(asked: bool) -> None:
    if asked:
        say(f"opro-local {__version__}")
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
                group = with_narrow_help(verb)
                program.add_typer(group, name=name, cls=Group, rich_help_panel=panel)
            else:
                program.command(name, cls=Command, rich_help_panel=panel)(verb)
    return program


app = _program()


def main() -> None:
    """Run the program; every OproError and every wrong argument ends as one line on stderr and its
    exit code, and a signal in 128 and its number.
    """
    open_streams()
    code, message = _end()
    # In one line, and none of it a terminal's command: it may quote a model or a file.
    line = " ".join(message.split())
    if line:
        say(f"opro-local: {line}", err=True)
    sys.exit(code)


def _end() -> tuple[int, str]:
    """What `_ended` says, with the signals that come just before and after it."""
    try:
        with raise_on_signals():
            end = _ended()
            ignore_signals()
    except Stopped as error:
        ignore_signals()
        return error.exit_code, "stopped"
    return end


def _ended() -> tuple[int, str]:
    """The exit code of the verb that was asked for, and what to say of its end, if anything."""
    try:
        switch_off_network()
        guard_if_asked()
        # Not "standalone": Typer would print a usage error as a frame of several lines.
        code = app(prog_name="opro-local", standalone_mode=False)
        sys.stdout.flush()
        return code or 0, ""
    except OproError as error:
        return error.exit_code, str(error)
    except _WrongArguments as error:
        return error.exit_code, _explained(error)
    except Stopped as error:
        return error.exit_code, "stopped"
    except OSError as error:
        message = _path_fault(error)
        if not message:
            raise
        return UsageError.exit_code, message
    except SystemExit as error:
        return (error.code if isinstance(error.code, int) else 1), ""


def _path_fault(error: OSError) -> str:
    """What is wrong with the path that an error names, or with the working directory; empty where
    it is another error.
    """
    if error.filename is not None and error.errno in _PATHS_FAULTS:
        return f"{os.fsdecode(error.filename)}: {error.strerror}; name another path"
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return "the working directory is gone; change to one that is there"
    return ""


def _is_nowhere() -> bool:
    """Whether the working directory was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _explained(error: Any) -> str:
    """What is wrong with the arguments, and whose help says what is right; nothing where the help
    was shown instead.
    """
    message = str(error.format_message()).rstrip(".")
    if not message or error.ctx is None:
        return message
    joint = " See" if message.endswith("?") else "; see"
    return f"{message}{joint}: {error.ctx.command_path} --help"


if __name__ == "__main__":
    main()
