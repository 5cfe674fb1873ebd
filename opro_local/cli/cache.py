"""`opro-local cache`: what the generation cache holds, and how it is emptied."""

from __future__ import annotations

from typing import Annotated

import typer

from opro_local.cli.visible import say, say_json

app = typer.Typer(
    no_args_is_help=True, help="Show or empty the cache of completions that all runs share."
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def stat(as_json: JsonOption = False) -> None:
    """Show where the cache is and how much it holds.

    Example: opro-local cache stat
    """
    from opro_local.runs import cache

    found = cache.stat(cache.place())
    if as_json:
        say_json(found)
        return
    say(
        f"{found['path']}: {found['completions']:,} completions, {found['file_bytes']:,} "
        f"bytes on disk"
    )


@app.command()
def clear(as_json: JsonOption = False) -> None:
    """Forget every completion; running searches go on.

    Example: opro-local cache clear
    """
    from opro_local.runs import cache

    folder = cache.place()
    found = {"path": str(folder / cache.FILE), "forgotten": cache.clear(folder)}
    if as_json:
        say_json(found)
    else:
        say(f"{found['path']}: {found['forgotten']:,} forgotten")
