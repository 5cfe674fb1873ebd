"""What a page of the documentation shows: its files, commands and Python lines, so that tests can
run them.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from running import ROOT

NAMED = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
BLOCK = re.compile(r"(`[\w./-]+`:\n\n)?^```(\w+)\n(.*?)^```$", re.M | re.S)


def write_files(page: str, folder: Path) -> str:
    """Write the files a page names into a folder; gives the page's text."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    for name, content in NAMED.findall(text):
        (folder / name).write_text(content)
    return text


def commands(text: str) -> list[list[str]]:
    """The arguments of each `opro-local` line."""
    lines = "\n".join(
        block for named, kind, block in BLOCK.findall(text) if kind == "sh" and not named
    ).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("opro-local ")]


def python(text: str) -> list[str]:
    """The Python blocks that are no files."""
    return [block for named, kind, block in BLOCK.findall(text) if kind == "python" and not named]
