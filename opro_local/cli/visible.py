"""Lines for people on stdout, with what would command a terminal shown as an escape.

For: what verbs print for people. Not for: JSON, files, or text that a script asked for.
"""

from __future__ import annotations

import typer

from opro_local.runs.visible import visible

__all__ = ["say", "visible"]


def say(line: str) -> None:
    """Print a line, or several, for people on stdout."""
    typer.echo(visible(line))
