"""Where everything leaves for the user's terminal: lines for people, with what would command a
terminal shown as an escape; JSON; and text that a script asked for.

For: all that verbs print, but tables (tables.py, which prints by this, too). Not for: files. A test
(tests/cli/test_boundary.py) holds that nothing else of the command line prints.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from opro_local.runs.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_line", "say", "say_json", "visible", "write"]


def say(line: str, err: bool = False) -> None:
    """Print a line, or several, for people: on stdout, or on stderr (`err`)."""
    _put(sys.stderr if err else sys.stdout, f"{visible(line)}\n")


def say_json(record: Any) -> None:
    """Print a record as JSON; whatever is no ASCII in it is escaped."""
    _put(sys.stdout, f"{json.dumps(record, indent=2)}\n")


def write(text: str) -> None:
    """Print text that a program asked for as it is; on a terminal, where nobody reads it but
    people, with escapes.
    """
    _put(sys.stdout, visible(text) if sys.stdout.isatty() else text)


def print_line(console: Console, line: str, style: str | None = None, kept: str = "\n\t") -> None:
    """Print a line for people on a console, which breaks it between words where it is narrow.

    Args:
        console: where to.
        line: whatever it says, nothing of it is markup.
        style: rich's, such as "bold".
        kept: characters that stay although they do not print.
    """
    console.print(visible(line, kept), markup=False, style=style)


def _put(stream: TextIO, text: str) -> None:
    """Write at once. Not by typer.echo: it writes UTF-8 where the stream's encoding is ASCII, past
    our stream (streams.py), and takes colour sequences out of a pipe's text.
    """
    stream.write(text)
    stream.flush()
