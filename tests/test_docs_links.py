"""Every link and picture of the README and docs/ leads to a file that is there, and to a heading
that it has; nothing is loaded from the network.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(
    r"""
    (?P<picture> !? )
    \[ [^]\n]* \]
    \( (?P<target> [^)\s]+ ) \)
    """,
    re.VERBOSE,
)


def prose(file: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```", "", file.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "`", text)


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub and the makers of sites derive it."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def anchors(file: Path) -> set[str]:
    return {
        anchor(line.lstrip("#").strip())
        for line in file.read_text("utf-8").splitlines()
        if line.startswith("#")
    }


@pytest.mark.parametrize(
    ("heading", "expected"),
    [("What `auto` does", "what-auto-does"), ("A, B & C: d", "a-b--c-d"), ("`--json`", "--json")],
)
def test_an_anchor_is_made_as_github_does(heading, expected):
    assert anchor(heading) == expected


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file):
    for picture, target in LINK.findall(prose(file)):
        if target.startswith("https://"):
            assert not picture, f"{target} would be loaded from the network"
            continue
        path, _, part = target.partition("#")
        page = (file.parent / path).resolve() if path else file
        assert page.exists() and page.is_relative_to(ROOT), target
        if part:
            assert part in anchors(page), f"{target}: there are {sorted(anchors(page))}"


def test_there_are_links():
    assert sum(len(LINK.findall(prose(file))) for file in PAGES) > 60


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        file = waiting.pop()
        reached.add(file)
        targets = [target for _, target in LINK.findall(prose(file)) if "://" not in target]
        linked = [(file.parent / target.partition("#")[0]).resolve() for target in targets]
        waiting += [page for page in linked if page.suffix == ".md" and page not in reached]
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 150
