"""Each wing's docstring says which wings it may import; that is true."""

import ast
import re

import pytest
from running import ROOT

PACKAGE = ROOT / "opro_local"
WINGS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def imported(wing: str) -> set[str]:
    """The wings and top modules that a wing's files import, itself left out."""
    found = set()
    for file in (PACKAGE / wing).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opro_local"):
                parts = node.module.split(".")[1:]
                found |= set(parts[:1]) or {name.name for name in node.names}
    return found - {wing, "__version__"}


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_what_it_says(wing):
    text = ast.get_docstring(ast.parse((PACKAGE / wing / "__init__.py").read_text("utf-8")))
    said = re.search(r"May import: (?P<names>[^.;]*)", " ".join(text.split()))
    names = set(said["names"].split(", "))
    if wing == "config":
        names |= {"engines", "search"}  # the two tables that it names
    assert imported(wing) <= names


def test_the_top_of_the_package_holds_few_modules_and_the_wings():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    said = {"api", "errors", "files", "network", "protocols", "records", "stats", "types"}
    assert modules == said
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert all(f"{wing}/" in page for wing in WINGS)
