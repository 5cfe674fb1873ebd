"""The documentation as a site: every page is in it, and nothing is loaded from the network."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from running import ROOT

import opro_local
from opro_local import errors
from opro_local.cli.docs import page_names
from opro_local.config import reading


@pytest.fixture
def build_site(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("build_site")


def test_every_page_has_one_place_in_the_menu(build_site, tmp_path):
    build_site.prepare(tmp_path)
    nav = tomllib.loads((tmp_path / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    files = [file for chapter in nav for pages in chapter.values() for file in pages]
    names = [file.removesuffix(".md").removesuffix("/README") for file in files]
    made = {"index", "reference/python", "reference/settings"}
    assert sorted(names) == sorted(set(page_names()) - {"README"} | made)
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


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("site_reference")


def test_the_reference_has_every_public_name_and_every_error(reference):
    page = reference.python_page()
    sections = re.findall(r"^### (\w+)", page, re.MULTILINE)
    assert len(sections) == len(set(sections)) > 30
    errors_here = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert (set(opro_local.__all__) | errors_here) - set(sections) == set()
    assert "- `data`: the path of a CSV" in page
    assert "#### RunResult.verdict\n\nOne of " in page


def test_the_reference_has_every_setting_with_type_default_and_words(reference):
    page = reference.settings_page()
    for section, kinds in reading.SECTIONS.items():
        table = page.partition(f"\n## [{section}]\n")[2].partition("\n## ")[0]
        for kind in kinds:
            for name, field in kind.model_fields.items():
                assert f"| `{name}` | " in table and str(field.description) in table
    assert (
        "| `steps` | whole number, ≥ 0 | `20` | How many steps the search takes at most. | *may change* |"
        in page
    )
    assert "Undefined" not in page


@pytest.mark.parametrize(
    ("docstring", "made"),
    [
        ("One <b>.", "One \\<b\\>.\n"),
        ("A `<b>` and [c].", "A `<b>` and \\[c\\].\n"),
        (
            "A.\n\nArgs:\n    a, b: what\n        it is.\n    c: more.",
            "A.\n\n\n**Args**\n\n- `a`, `b`: what\n    it is.\n- `c`: more.\n",
        ),
        ("A.\n\nReturns:\n    the\n    end.", "A.\n\n\n**Returns**\n\nthe\nend.\n"),
        (
            "A.\n\nExample:\n    x = 1\n    y = [x]\n\nB.",
            "A.\n\n\n**Example**\n\n```python\nx = 1\ny = [x]\n\n```\n\nB.\n",
        ),
        ("A:\n\n    run()", "A:\n\n    run()\n"),
    ],
)
def test_a_docstring_becomes_markdown(reference, docstring, made):
    assert reference.prose(docstring) == made


def loaded(page: str) -> list[str]:
    """The addresses that a browser loads with a page; a link is followed by a reader only."""
    named = (
        r"<(?!a\b)\w+[^>]*?\b(?:src|href|srcset|data|poster|action)=[\"']?((?:https?:)?//[^\"' >]+)"
    )
    sheets = r"(?:url\(|@import )\s*['\"]?((?:https?:)?//[^)'\"]+)"
    return [*re.findall(named, page), *re.findall(sheets, page)]


def test_what_is_loaded_is_seen():
    page = (
        '<script src="https://x.org/a.js"></script><a href="https://y.org">y</a><img src=//z.org/p>'
    )
    assert loaded(page) == ["https://x.org/a.js", "//z.org/p"]
    sheet = "@import 'https://x.org/a.css'; a {background: url(//z.org/b.png)}"
    assert loaded(sheet) == ["https://x.org/a.css", "//z.org/b.png"]
    assert loaded("<img srcset='https://x.org/a 2x'><link href=b.css>") == ["https://x.org/a"]


def test_the_site_is_built_and_loads_nothing_from_the_network(tmp_path):
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    site = tmp_path / "site"
    command = [sys.executable, str(ROOT / "scripts" / "build_site.py"), str(site)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and told.stdout.strip() == str(site / "index.html"), told.stderr
    pages = {file: file.read_text("utf-8") for file in site.rglob("*.html")}
    assert len(pages) > 50
    for file, page in pages.items():
        assert loaded(page) == [], file
        assert "Content-Security-Policy" in page, file
    assert not [sheet for sheet in site.rglob("*.css") if loaded(Path(sheet).read_text("utf-8"))]
