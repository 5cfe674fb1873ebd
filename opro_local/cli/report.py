"""The verb `report`: a run, or a sweep, as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.visible import say


def report(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run or a sweep, or a feedback store's file.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The file; without it report.html in the run's folder."),
    ] = None,
    trust_code: Annotated[
        bool,
        typer.Option("--trust-code", help="Run Python and programs that the run's config names."),
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Make one HTML file of a run, a sweep or a feedback store that opens anywhere, without a
    network.

    Example: opro-local report runs/mails-3f2a91 --open
    """
    path = _write(run, output, trust_code)
    if open_:
        open_in_browser(path.resolve().as_uri())
    say(str(path))


def _write(run: Path, output: Path | None, trust_code: bool) -> Path:
    """The page of what is there. Raises UsageError."""
    from opro_local.files import RUN_STORE
    from opro_local.sweeps.records import SWEEP

    # A run and a sweep are folders, a feedback store one file.
    if run.is_file():
        from opro_local.report.feedback import write_feedback_report

        return write_feedback_report(run, output)
    if (run / SWEEP).is_file() and not (run / RUN_STORE).exists():
        return _write_of_sweep(run, output, trust_code)
    from opro_local.report.page import write_report

    return write_report(run, output, trust_code)


def _write_of_sweep(folder: Path, output: Path | None, trust_code: bool) -> Path:
    from opro_local.errors import UsageError
    from opro_local.report.sweep_page import write_sweep_report

    if trust_code:
        hint = "leave the option out, or name a cell's folder"
        raise UsageError("--trust-code: the report of a sweep runs no code", hint)
    return write_sweep_report(folder, output)


def open_in_browser(url: str) -> None:
    """Open what a URL names in the browser; where there is none, say so."""
    import webbrowser

    if not webbrowser.open(url):
        say("no browser was found to open it with")
