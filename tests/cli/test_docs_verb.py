"""`opro-local docs`: every page, found by its name, on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, program
from typer.testing import CliRunner

from opro_local.cli import docs
from opro_local.cli.main import app
from opro_local.errors import UsageError

FILES = {
    str(file.relative_to(ROOT / "docs")).removesuffix(".md").removesuffix("/README"): file
    for file in (ROOT / "docs").rglob("*.md")
} | {"README": ROOT / "README.md"}
PAGES = sorted(FILES, key=str.lower)


def test_without_a_page_all_are_listed_with_their_titles():
    lines = program("docs").stdout.splitlines()
    assert [line.split()[0] for line in lines] == PAGES
    assert "scoring-opro                             The paper's scoring rule: opro" in lines
    rows = json.loads(program("docs", "--json").stdout)
    assert [row["name"] for row in rows] == PAGES and all(row["title"] for row in rows)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_found_by_its_name_its_last_part_and_its_file(page):
    text = FILES[page].read_text("utf-8")
    last = page.rpartition("/")[2]
    file = str(FILES[page].relative_to(ROOT))
    for spelling in (page, last, last.upper(), f"{page}.md", f"docs/{page}.md", file):
        assert docs.read_page(spelling) == (page, text)


def test_a_pipe_gets_the_page_as_it_is():
    told = program("docs", "config")
    assert told.returncode == 0 and told.stdout == (ROOT / "docs" / "config.md").read_text("utf-8")
    found = json.loads(program("docs", "config", "--json").stdout)
    assert found == {"name": "config", "title": "Settings", "text": told.stdout}


@pytest.mark.parametrize(
    "page, nearest", [("serach", "search"), ("Placment", "placement"), ("benchmark", "bench")]
)
def test_an_unknown_page_names_the_nearest(page, nearest):
    told = program("docs", page)
    (line,) = told.stderr.splitlines()
    assert told.returncode == 2 and line.startswith(
        f"opro-local: there is no page '{page}'; the nearest: {nearest}"
    )


@pytest.mark.parametrize("page", ["qqq", "", "../README", ".md", "/etc/passwd"])
def test_nothing_but_pages_is_shown(page):
    with pytest.raises(UsageError, match=r"there is no page .*; opro-local docs lists all"):
        docs.read_page(page)


def on_a_terminal(*arguments: str, **settings: str) -> str:
    """What the program prints to a terminal of its own, 24 lines of 80 characters."""
    ours, its = pty.openpty()
    own = os.environ | {"TERM": "xterm", "LINES": "24", "COLUMNS": "80"} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "opro_local", *arguments], stdin=its, stdout=its, stderr=its, env=own
    )
    os.close(its)
    parts = []
    try:
        while part := os.read(ours, 4096):
            parts.append(part)
    except OSError:  # Linux reports the closed other end so.
        pass
    assert process.wait(60) == 0
    os.close(ours)
    return b"".join(parts).decode()


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_a_terminal_gets_it_rendered_and_a_long_page_through_the_pager(tmp_path):
    pager = tmp_path / "pager"
    pager.write_text(f'#!/bin/bash\ncat >{tmp_path}/paged\necho "less is told $LESS"\n')
    pager.chmod(0o755)
    shown = on_a_terminal("docs", "config", PAGER=str(pager), LESS="-R")
    assert shown.strip() == "less is told -R"
    paged = (tmp_path / "paged").read_text()
    assert "Settings" in plain(paged) and "\x1b[" in paged and "# Settings" not in plain(paged)
    assert "](" not in paged
    assert max(len(line) for line in plain(paged).splitlines()) <= 80


@pytest.mark.parametrize(
    "link, words",
    [
        ("[search.md](../search.md#who-wins)", "search.md"),
        ("[figures](benchmarks/2026-11-gpu.md)", "figures (benchmarks/2026-11-gpu.md)"),
        ("![A run](pictures/report.png)", "Picture: A run (pictures/report.png)"),
        ("[OPRO](https://arxiv.org/abs/2309.03409)", "OPRO (https://arxiv.org/abs/2309.03409)"),
    ],
)
def test_links_become_words_that_can_be_typed(link, words, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(f"# Page\n\nSee {link}.\n")
    monkeypatch.setattr(docs, "docs_folder", lambda: tmp_path / "docs")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    shown = CliRunner().invoke(app, ["docs", "page"], color=True).output
    assert f"See {words}." in plain(shown)


def test_without_a_pager_a_long_page_is_printed():
    shown = plain(on_a_terminal("docs", "config", PAGER="no-such-pager"))
    assert "Settings" in shown and "```" not in shown


def test_every_page_that_the_package_mentions_is_there():
    files = (file for kind in ("*.py", "*.toml") for file in (ROOT / "opro_local").rglob(kind))
    mentioned = {
        name
        for file in files
        for name in re.findall(r"docs/([\w/-]+)\.md", file.read_text("utf-8"))
    }
    assert "config" in mentioned and mentioned <= set(PAGES)


def test_a_package_without_pages_says_so(monkeypatch, tmp_path):
    (tmp_path / "opro_local").mkdir()
    monkeypatch.setattr(docs.resources, "files", lambda name: Path(tmp_path / name))
    with pytest.raises(UsageError, match=r"no documentation in .*; install the wheel again"):
        docs.page_names()
