"""`opro-local docs`: the documentation of this very version, without a network.

For: finding a page by its name and showing it. Not for: writing pages (docs/ in a clone) or
searching in them.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.options import JsonOption
from opro_local.cli.visible import say, say_json, write
from opro_local.errors import UsageError

# Lines of prose longer than this are hard to read, however wide the terminal is.
WIDEST = 100
README = "README.md"
# A link from page to page, which a terminal can't follow.
_LINK_TO_A_PAGE = re.compile(
    r"""
    (?P<picture> !? )
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


def pages() -> Mapping[str, Traversable]:
    """Every page by its name, in alphabetical order: its path in the folder without ".md".

    The README.md of a folder below has the folder's name, as in "examples/helpdesk".
    """
    folder = docs_folder()
    files = dict(_pages_in(folder, ""))
    if isinstance(folder, Path) and (folder.parent / README).is_file():
        # A wheel has it among the pages, a clone above them.
        files.setdefault("README", folder.parent / README)
    return dict(sorted(files.items(), key=lambda page: page[0].lower()))


def page_names() -> list[str]:
    """The names of all pages."""
    return list(pages())


def _pages_in(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _pages_in(entry, f"{prefix}{entry.name}/")
        elif prefix and entry.name == README:
            yield prefix.removesuffix("/"), entry
        elif entry.name.endswith(".md"):
            yield prefix + entry.name.removesuffix(".md"), entry


def read_page(page: str) -> tuple[str, str]:
    """A page's name and its Markdown text.

    Args:
        page: a page's name in any case, as in "search" or "benchmarks/2026-11-gpu"; also its last
            part alone, and the file as messages and other pages name it ("docs/search.md").

    Raises:
        UsageError: there is no such page; the message names the nearest.
    """
    known = pages()
    asked = page.removeprefix("docs/").removesuffix(".md").removesuffix("/README").lower()
    matching = [name for name in known if asked in (name.lower(), name.lower().rpartition("/")[2])]
    if not asked or not matching:
        nearest = difflib.get_close_matches(asked, list(known), n=3, cutoff=0.5)
        meant = f"; the nearest: {', '.join(nearest)}" if nearest else ""
        raise UsageError(f"there is no page {page!r}{meant}", "opro-local docs lists all")
    return matching[0], known[matching[0]].read_text("utf-8")


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
        _list_pages(as_json)
        return
    name, text = read_page(page)
    if as_json:
        say_json({"name": name, "title": title(text), "text": text})
    else:
        _show(text)


def _list_pages(as_json: bool) -> None:
    rows = [
        {"name": name, "title": title(file.read_text("utf-8"))} for name, file in pages().items()
    ]
    if as_json:
        say_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        say(f"{row['name']:{width}}  {row['title']}")


def _named(link: re.Match[str]) -> str:
    """A link's words, and the page's file where they don't name it."""
    words, file = link["words"], link["file"]
    if link["picture"]:
        return f"Picture: {words} ({file})"
    return words if words.endswith(".md") else f"{words} ({file})"


def _show(text: str) -> None:
    """Rendered on a terminal, through a pager where it is longer than the screen; else as it is."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if not console.is_terminal:
        write(text)
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
