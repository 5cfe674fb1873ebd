"""The verb `view`: the runs of a folder in the browser, while they go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.report import open_in_browser
from opro_local.cli.visible import say

PORT = 8264


def view(
    folder: Annotated[Path, typer.Argument(help="Where the runs are, or one run's folder.")] = Path(
        "runs"
    ),
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")
    ] = PORT,
    host: Annotated[
        str,
        typer.Option("--host", help="Another address than this machine's own; demands a token."),
    ] = "127.0.0.1",
    token: Annotated[
        bool, typer.Option("--token", help="Demand a token on this machine's own address, too.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print where it is as JSON.")] = False,
) -> None:
    """Show all runs of a folder in the browser, read-only, and follow those that go on.

    Example: opro-local view runs --open
    """
    from opro_local.report.view.access import is_loopback, new_token
    from opro_local.report.view.server import Server

    secret = new_token() if token or not is_loopback(host) else ""
    with Server(folder, host, port, secret) as server:
        url = server.access.url()
        if as_json:
            # In one line, as a script reads it while the server goes on.
            say(json.dumps({"url": url, "folder": str(folder), "port": server.access.port}))
        else:
            say(f"{folder} is shown at {url} until Ctrl-C")
        if open_:
            open_in_browser(url)
        server.serve_forever()
