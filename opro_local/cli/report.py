"""The verb `report`: a run as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.visible import say


def report(
    run: Annotated[Path, typer.Argument(help="The run's folder, or a feedback store's file.")],
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
    """Make one HTML file of a run or a feedback store that opens anywhere, without a network.

    Example: opro-local report runs/mails-3f2a91 --open
    """
    path = _write(run, output, trust_code)
    if open_:
        open_in_browser(path.resolve().as_uri())
    say(str(path))


def _write(run: Path, output: Path | None, trust_code: bool) -> Path:
    # A run is a folder, a feedback store one file.
    if run.is_file():
        from opro_local.report.feedback import write_feedback_report

        return write_feedback_report(run, output)
    from opro_local.report.page import write_report

    return write_report(run, output, trust_code)


def open_in_browser(url: str) -> None:
    """Open what a URL names in the browser; where there is none, say so."""
    import webbrowser

    if not webbrowser.open(url):
        say("no browser was found to open it with")
