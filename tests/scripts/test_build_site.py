"""The documentation as a site: every page is in it, and nothing is loaded from the network."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from running import ROOT

from opro_local.cli.docs import page_names


@pytest.fixture
def build_site(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("build_site")


def test_every_page_has_one_place_in_the_menu(build_site, tmp_path):
    build_site.prepare(tmp_path)
    nav = tomllib.loads((tmp_path / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    files = [file for chapter in nav for pages in chapter.values() for file in pages]
    names = [file.removesuffix(".md").removesuffix("/README") for file in files]
    assert sorted(names) == sorted(set(page_names()) - {"README"} | {"index"})
    assert next(iter(nav[0].values()))[0] == "index.md"
    assert "](docs/" not in (tmp_path / "docs" / "index.md").read_text("utf-8")


def test_a_folder_that_is_there_is_left_alone(build_site, tmp_path, monkeypatch):
    monkeypatch.setattr(build_site, "find_spec", lambda name: True)
    with pytest.raises(SystemExit, match="is there already; name a new folder"):
        build_site.build(tmp_path)


def test_a_missing_zensical_is_named_with_the_command(build_site, tmp_path, monkeypatch):
    monkeypatch.setattr(build_site, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"zensical is not installed; pip install 'opro-local\["):
        build_site.build(tmp_path / "site")


def loaded(page: str) -> list[str]:
    """The addresses that a browser loads with a page; a link is followed by a reader only."""
    tags = re.findall(r"<(?!a\b)\w+[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\" >]+)", page)
    return [*tags, *re.findall(r"url\(['\"]?((?:https?:)?//[^)]+)", page)]


def test_what_is_loaded_is_seen():
    page = (
        '<script src="https://x.org/a.js"></script><a href="https://y.org">y</a><img src=//z.org/p>'
    )
    assert loaded(page) == ["https://x.org/a.js", "//z.org/p"]


def test_the_site_is_built_and_loads_nothing_from_the_network(tmp_path):
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    site = tmp_path / "site"
    command = [sys.executable, str(ROOT / "scripts" / "build_site.py"), str(site)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and told.stdout.strip() == str(site / "index.html"), told.stderr
    pages = {file: file.read_text("utf-8") for file in site.rglob("*.html")}
    assert len(pages) > 40
    for file, page in pages.items():
        assert loaded(page) == [], file
        assert "Content-Security-Policy" in page, file
    assert not [sheet for sheet in site.rglob("*.css") if loaded(Path(sheet).read_text("utf-8"))]
