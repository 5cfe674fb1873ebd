"""docs/troubleshooting.md quotes messages that the code has."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from running import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
VARIES = "\0"  # what differs, in a message of the code
QUOTED = [
    line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `") and "`" in line
]


def template(node: ast.AST) -> str | None:
    """A text or an f-string of the code, with one mark for each value; None of anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        values = (part for part in node.values if isinstance(part, ast.Constant))
        fixed = {id(part): str(part.value) for part in values}
        return "".join(fixed.get(id(part), VARIES) for part in node.values)
    return None


def templates_of(source: str) -> set[str]:
    """The texts of a module with more than one word, without its docstrings."""
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = {template(node) for node in nodes if id(node) not in docstrings}
    return {text for text in texts if text and " " in text}


@cache
def templates() -> frozenset[str]:
    files = sorted((ROOT / "opro_local").rglob("*.py"))
    return frozenset().union(*(templates_of(file.read_text("utf-8")) for file in files))


def says(code: str, quoted: str) -> bool:
    """Whether a message of the code may read as the page quotes it, "..." standing for anything but
    words of the message itself.
    """
    # Of four dots the last three stand for what differs.
    parts = re.split(r"\.{3}(?!\.)", quoted)
    if max(parts, key=len) not in code:
        return False
    pattern = ".*".join(map(re.escape, parts))
    return re.fullmatch(pattern, code, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("source", "quoted", "same"),
    [
        ('a(f"{a}: no column {b!r}")', "...: no column ...", True),
        ('a(f"{a}: no column {b!r}")', "...: no row ...", False),
        ('a(f"{a}: no" f" column {b!r}")', "...: no column ...", True),
        ('a(f"task.{a} is")', "task.... is", True),
        ('"""no model given"""', "no model given", False),
        ('a("no model given")', "no model given", True),
        ('a("no model given")', "no model", False),
        ('a(f"takes {a}, or")', "takes ...", True),
    ],
)
def test_a_quoted_message_is_compared_with_the_code(source, quoted, same):
    assert any(says(code, quoted) for code in templates_of(source)) is same


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_message_of_the_page_is_in_the_code(quoted):
    assert any(says(code, quoted) for code in templates())


def test_no_message_is_on_the_page_twice():
    assert len(QUOTED) == len(set(QUOTED)) > 100


def test_a_row_has_a_message_a_cause_and_a_cure():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", "`", line)) for line in rows]
    assert [row for row, parts in zip(rows, cells, strict=True) if len(parts) != 5] == []
    assert all(part.strip() for parts in cells for part in parts[1:4])
