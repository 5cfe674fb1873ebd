"""The help on terminals of fewer columns than its frames need: every word whole, no line longer
than the terminal.

For: groups and commands of the program, whose help is Typer's on wider terminals. Not for: what the
help says, which stands on verbs and options.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from opro_local.cli.visible import say

# Typer's frames cut long words ("section.key=val…") on fewer columns than these.
FRAMED = 80
LEAST = 20


class Command(TyperCommand):
    """A verb."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, as Typer does at this place."""
        if not _print_narrow(ctx):
            super().format_help(ctx, formatter)


class Group(TyperGroup):
    """Verbs under one name."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, as Typer does at this place."""
        if not _print_narrow(ctx):
            super().format_help(ctx, formatter)


def with_narrow_help(group: typer.Typer) -> typer.Typer:
    """The group with commands whose help fits narrow terminals."""
    for command in group.registered_commands:
        command.cls = Command
    return group


def _print_narrow(ctx: Any) -> bool:
    """Print the help of a context's command if the terminal is narrow, and say whether it is."""
    width = shutil.get_terminal_size().columns
    if width >= FRAMED:
        return False
    say("\n".join(_lines(ctx, max(width, LEAST))))
    return True


def _lines(ctx: Any, width: int) -> Iterator[str]:
    pieces = ctx.command.collect_usage_pieces(ctx)
    yield from _wrapped(" ".join(["Usage:", ctx.command_path, *pieces]), width, "", "  ")
    for paragraph in (ctx.command.help or "").split("\n\n"):
        yield ""
        yield from _wrapped(paragraph, width, "")
    for title, rows in _sections(ctx).items():
        yield from ("", f"{title}:")
        for name, text in rows:
            yield from _wrapped(name, width, "  ")
            yield from _wrapped(text, width, "      ")


def _sections(ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Arguments, options and verbs, each by its name with its help, under their titles."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in ctx.command.get_params(ctx):
        if record := parameter.get_help_record(ctx):
            title = "Arguments" if parameter.param_type_name == "argument" else "Options"
            sections.setdefault(title, []).append(record)
    for name, command in getattr(ctx.command, "commands", {}).items():
        panel = getattr(command, "rich_help_panel", None)
        own = sections.setdefault(panel if isinstance(panel, str) else "Commands", [])
        own.append((name, (command.help or "").split("\n\n")[0]))
    return sections


def _wrapped(text: str, width: int, indent: str, more: str = "") -> list[str]:
    """Lines of whole words; `more` is what later ones are further indented by."""
    return wrap(
        " ".join(text.split()),
        width,
        initial_indent=indent,
        subsequent_indent=indent + more,
        break_long_words=False,
        break_on_hyphens=False,
    )
