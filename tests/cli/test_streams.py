"""The program's own streams: full, closed, gone, or of another encoding; and text of others on a
terminal.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from running import SCRIPT, write_config, write_reviews

from opro_local.cli import progress
from opro_local.cli.visible import visible

PROGRAM = f"{sys.executable} -m opro_local"


def shell(line: str, **options) -> subprocess.CompletedProcess:
    """Run a line of bash in which $P is the program."""
    environment = {**os.environ, "P": PROGRAM, **options.pop("env", {})}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=60, env=environment, **options
    )


FULL, CLOSED = "No space left on device", "Bad file descriptor"
CASES = [
    ("$P docs >/dev/full", 4, FULL),
    ("$P docs >&-", 4, CLOSED),
    ("$P docs | true; exit ${PIPESTATUS[0]}", 141, ""),
    ("$P show /none >&- 2>&- <&-", 4, ""),
]
MORE = [
    ("$P docs --json >/dev/full", 4, FULL),
    ("$P --help >/dev/full", 4, FULL),
    ("$P docs 2>&-", 0, ""),
    ("$P docs 2>/dev/full <&-", 0, ""),
    ("$P show /none 2>&-", 4, ""),
    ("$P show /none 2>/dev/full", 4, ""),
]


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.long) for case in MORE)],
)
def test_streams_that_can_not_be_written(tmp_path, line, code, error):
    done = shell(line, cwd=tmp_path)
    assert done.returncode == code
    if not error:
        assert not done.stderr
        return
    said = f"opro-local: stdout can't be written ({error}); what was done is done and kept\n"
    assert done.stderr == said


@pytest.fixture
def config(tmp_path) -> Path:
    role = {"engine": "scripted", "script": SCRIPT}
    data = str(write_reviews(tmp_path / "reviews.csv"))
    tables = {
        "task": {"data": data, "input": "text", "target": "label"},
        "scorer": role,
        "optimizer": role,
        "search": {"seeds": ["What?"], "steps": 1, "candidates": 2, "metaprompt": "continuation"},
    }
    return write_config(tmp_path / "c.toml", tables)


@pytest.mark.long
def test_a_run_whose_result_can_not_be_shown_is_kept(config, tmp_path):
    done = shell(f"$P run {config} --run {tmp_path / 'run'} >/dev/full 2>&1 | cat >&2")
    assert done.returncode == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["state"] == "finished"


def test_a_terminal_without_utf_8_gets_escapes(tmp_path):
    rows = '{"target": "a", "answer": "a", "kind": "x"}\n'
    (tmp_path / "a.jsonl").write_text(rows + '{"target": "a", "answer": "a", "kind": "日本"}\n' * 2)
    done = shell("$P score a.jsonl --rule exact", cwd=tmp_path, env={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0 and "\\u65e5\\u672c" in done.stdout


@pytest.mark.long
def test_a_terminal_that_goes_away_ends_the_run_and_loses_nothing(config, tmp_path):
    child, leader = pty.fork()
    if child == 0:  # on a terminal of its own
        environment = {**os.environ, "OPRO_FAULT": "hang:2"}
        command = ["run", str(config), "--run", str(tmp_path / "run")]
        os.execve(sys.executable, [sys.executable, "-m", "opro_local", *command], environment)
    deadline = time.monotonic() + 50
    seen = b""
    while b"scored" not in seen:
        assert time.monotonic() < deadline
        seen += os.read(leader, 4096)
    os.close(leader)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    again = shell(f"$P run {config} --run {tmp_path / 'run'}")
    assert again.returncode == 0, again.stderr


HOSTILE = {
    "a\x1b[2Jb": "a\\x1b[2Jb",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x9b31m": "\\x9b31m",
    "safe\u202ecod.exe": "safe\\u202ecod.exe",
    "\u2066x\u2069": "\\u2066x\\u2069",
    "zero\u200bwidth\ufeff": "zero\\u200bwidth\\ufeff",
    "over\rwritten\b\b": "over\\rwritten\\x08\\x08",
    "lone \ud800": "lone \\ud800",
    "nul\0": "nul\\x00",
    "tag\U000e0041": "tag\\U000e0041",
    "line\u2028": "line\\u2028",
    "Grüße, 日本語, \U0001f600\tx\ny\xa0z\u3000": "Grüße, 日本語, \U0001f600\tx\ny\xa0z\u3000",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_what_does_not_print_is_shown_as_an_escape(text, shown):
    assert visible(text) == shown


def test_progress_shows_a_models_text_escaped(capsys):
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    shown = progress._Progress.__new__(progress._Progress)
    shown.console = console
    shown.say("\x1b]0;title\x07 \u202e [red]x[/red]")
    assert capsys.readouterr().err == "\\x1b]0;title\\x07 \\u202e [red]x[/red]\n"


def test_an_error_that_quotes_a_file_is_one_escaped_line(tmp_path):
    (tmp_path / "c.toml").write_text('[search]\n"\\u001b[2Jx\\nsteps" = 1\n')
    done = shell("$P run c.toml", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "\x1b" not in done.stderr
