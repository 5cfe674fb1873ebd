"""What leaves for the terminal leaves by one function, which shows what would command it as an
escape.
"""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

import opro_local
from opro_local.cli import visible

PACKAGE = Path(opro_local.__file__).parent
# Who may print, and why.
ALLOWED = {
    "cli/visible.py": "the boundary",
    "cli/tables.py": "cells are made visible before they are measured",
    "cli/docs.py": "pages of our own, rendered with colours",
    "cli/streams.py": "the streams themselves",
    "bundle/verify.py": "a program of its own, which runs where this package is not installed",
    "network.py": "a line of a process that may be a child, before the streams are there",
    "scoring/sql/child.py": "a child's replies to its parent",
    "scoring/mathematics/child.py": "a child's replies to its parent",
}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def prints(tree: ast.AST) -> list[int]:
    """The lines in which something is printed or written to a standard stream."""
    lines = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func
        is_print = isinstance(name, ast.Name) and name.id in ("print", "echo", "secho")
        if isinstance(name, ast.Attribute):
            parts = {each.attr for each in ast.walk(name) if isinstance(each, ast.Attribute)}
            is_print = name.attr in ("echo", "secho", "print", "print_json")
            is_print |= name.attr in ("write", "writelines") and bool(parts & STREAMS)
        if is_print:
            lines.append(call.lineno)
    return lines


def test_nothing_prints_but_the_boundary():
    around = {}
    for file in PACKAGE.rglob("*.py"):
        where = file.relative_to(PACKAGE).as_posix()
        lines = prints(ast.parse(file.read_text("utf-8")))
        if lines and where not in ALLOWED:
            around[where] = lines
    assert not around


def test_the_search_knows_a_print():
    text = "print(1)\ntyper.echo(a)\nconsole.print(a)\nsys.stdout.write(a)\nfile.write(a)\n"
    assert prints(ast.parse(text)) == [1, 2, 3, 4]


HOSTILE = "a\x1b]0;x\x07\u202eb"
SHOWN = "a\\x1b]0;x\\x07\\u202eb"


@pytest.mark.parametrize("err", [False, True])
def test_a_line_is_escaped_on_either_stream(capsys, err):
    visible.say(HOSTILE, err=err)
    assert capsys.readouterr() == (("", f"{SHOWN}\n") if err else (f"{SHOWN}\n", ""))


def test_a_consoles_line_is_escaped_and_no_markup(capsys):
    visible.print_line(Console(soft_wrap=True), f"[red]{HOSTILE}[/red]", "bold")
    assert capsys.readouterr().out == f"[red]{SHOWN}[/red]\n"


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, SHOWN), (False, HOSTILE)])
def test_text_for_a_program_is_escaped_on_a_terminal_only(capsys, monkeypatch, is_terminal, shown):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    visible.write(HOSTILE)
    assert capsys.readouterr().out == shown


def test_json_holds_nothing_but_ascii(capsys):
    visible.say_json({"text": HOSTILE + "日本"})
    assert capsys.readouterr().out.isascii() and "\x1b" not in capsys.readouterr().out


def test_an_ascii_stream_gets_ascii_and_a_pipe_every_character(monkeypatch):
    for encoding, text, shown in (
        ("ascii", "日本", b"\\u65e5\\u672c"),
        ("utf-8", "a\x1b[31mb", b"a\x1b[31mb"),
    ):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, "backslashreplace"))
        visible.write(text)
        assert raw.getvalue() == shown
