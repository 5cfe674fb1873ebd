"""`opro-local docs`: the documentation of this very version, without a network.

For: finding a page by its name and showing it. Not for: writing pages (docs/ in a clone) or
searching in them.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.options import JsonOption
from opro_local.errors import UsageError

# Lines of prose longer than this are hard to read, however wide the terminal is.
WIDEST = 100
# A link from page to page, which a terminal can't follow.
_LINK_TO_A_PAGE = re.compile(
    r"""
    \[ (?P<words> [^]]+ ) \]
    \( (?!https?:) (?:\.\./)* (?P<file> [^)#]* ) [^)]* \)
    """,
    re.VERBOSE,
)


def docs_folder() -> Traversable:
    """The folder with the pages: inside an installed package, beside the package in a clone.

    Raises:
        UsageError: there is none, as in a package that was put together by hand.
    """
    package = resources.files("opro_local")
    installed = package.joinpath("docs")
    if installed.is_dir():
        return installed
    clone = Path(str(package)).parent / "docs"
    if clone.is_dir():
        return clone
    raise UsageError(f"no documentation in {package} or beside it", "install the wheel again")


def page_names() -> list[str]:
    """The name of every page, in alphabetical order: its path in the folder without ".md"."""
    return sorted(_names_in(docs_folder(), ""))


def _names_in(folder: Traversable, prefix: str) -> list[str]:
    names = []
    for entry in folder.iterdir():
        if entry.is_dir():
            names += _names_in(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".md"):
            names.append(prefix + entry.name.removesuffix(".md"))
    return names


def read_page(page: str) -> tuple[str, str]:
    """A page's name and its Markdown text.

    Args:
        page: a page's name, as in "search" or "benchmarks/2026-11-gpu"; also its last part alone,
            and the file as messages and other pages name it ("docs/search.md").

    Raises:
        UsageError: there is no such page; the message names the nearest.
    """
    names = page_names()
    asked = page.removeprefix("docs/").removesuffix(".md")
    matching = [name for name in names if name == asked or name.rpartition("/")[2] == asked]
    if not matching:
        nearest = difflib.get_close_matches(asked.lower(), names, n=3, cutoff=0.5)
        meant = f"; the nearest: {', '.join(nearest)}" if nearest else ""
        raise UsageError(f"there is no page {page!r}{meant}", "opro-local docs lists all")
    return matching[0], docs_folder().joinpath(f"{matching[0]}.md").read_text("utf-8")


def title(text: str) -> str:
    """A page's first heading as plain words."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return heading[1].replace("`", "") if heading else ""


def docs(
    page: Annotated[
        str | None,
        typer.Argument(help="A page's name; without it, the list.", autocompletion=page_names),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a page of the documentation, or list the pages. Needs no network.

    Example: opro-local docs config
    """
    if page is None:
        pages = [{"name": name, "title": title(read_page(name)[1])} for name in page_names()]
        width = max(len(row["name"]) for row in pages)
        lines = [f"{row['name']:{width}}  {row['title']}" for row in pages]
        typer.echo(json.dumps(pages, indent=2) if as_json else "\n".join(lines))
        return
    name, text = read_page(page)
    if as_json:
        typer.echo(json.dumps({"name": name, "title": title(text), "text": text}, indent=2))
    else:
        _show(text)


def _named(link: re.Match[str]) -> str:
    """A link's words, and the page's file where they don't name it."""
    words, file = link["words"], link["file"]
    return words if words.endswith(".md") else f"{words} ({file})"


def _show(text: str) -> None:
    """Rendered on a terminal, through a pager where it is longer than the screen; else as it is."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if not console.is_terminal:
        typer.echo(text, nl=False)
        return
    markdown = Markdown(_LINK_TO_A_PAGE.sub(_named, text), hyperlinks=False)
    with console.capture() as rendered:
        console.print(markdown, width=min(console.width, WIDEST))
    shown = rendered.get()
    pager = shlex.split(os.environ.get("PAGER", "less"))
    if shown.count("\n") < console.height or not pager or shutil.which(pager[0]) is None:
        typer.echo(shown, nl=False, color=True)
        return
    # Without -R less shows colours as ESC[1m.
    subprocess.run(pager, input=shown, text=True, check=False, env={"LESS": "-R", **os.environ})
