"""Paths that no file system takes, and a working directory that is gone, end in one line."""

from __future__ import annotations

import os
import sys

import pytest

from opro_local import files
from opro_local.cli import main
from opro_local.errors import DataError, UsageError
from opro_local.feedback import outcomes
from opro_local.problems import function
from opro_local.problems.agent import suite
from opro_local.problems.numeric import tsp_points
from opro_local.runs.reading import overview
from opro_local.search.metaprompts import metaprompt

LONG = "a" * 300
# Every verb that takes a path, with one too long in its place.
COMMANDS = [
    ["run", LONG],
    ["check", LONG],
    ["evaluate", LONG],
    ["score", LONG],
    ["list", LONG],
    ["show", LONG],
    ["verify", LONG],
    ["verify", "--deep", LONG],
    ["recover", LONG],
    ["apply", LONG],
    ["feedback", "status", "--feedback", LONG],
    ["run", f"{LONG}/{LONG}/x.toml"],
]


def ended(monkeypatch, arguments) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["opro-local", *arguments])
    return main._ended()


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_name_that_is_too_long_is_one_line(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, message = ended(monkeypatch, arguments)
    assert code in (2, 4)
    assert LONG in message
    assert "\n" not in message


def test_a_working_directory_that_is_gone_is_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, message = ended(monkeypatch, ["recover", "x"])
    monkeypatch.chdir(os.path.dirname(gone))
    assert (code, message) == (2, "the working directory is gone; change to one that is there")


def test_another_fault_of_the_system_keeps_its_traceback(monkeypatch):
    def failing(**options):
        raise OSError(5, "Input/output error", "x")

    monkeypatch.setattr(main, "app", failing)
    with pytest.raises(OSError, match="Input/output"):
        main._ended()


def test_a_list_names_what_stands_in_place_of_a_store(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "a" / "run.sqlite")
    (tmp_path / "b" / "run.sqlite").symlink_to("/nowhere/x")
    (tmp_path / "c" / "run.sqlite").mkdir()
    (tmp_path / "file").write_text("")
    errors = [row.error.removeprefix(f"{tmp_path}/") for row in overview(tmp_path)]
    assert errors == [
        "a/run.sqlite: is no regular file",
        "b/run.sqlite: a link to /nowhere/x, which is no file",
        "c/run.sqlite: is a folder",
    ]


@pytest.mark.parametrize("arguments", [["x\udcff"], ["x", "--id", "v\udcff"]])
def test_a_prompt_that_is_not_utf8_is_not_registered(arguments, tmp_path, monkeypatch):
    store = tmp_path / "feedback.sqlite"
    command = ["feedback", "register", *arguments, "--feedback", str(store)]
    code, message = ended(monkeypatch, command)
    assert code == 2 and "\\udcff': not UTF-8" in message
    assert not store.exists()


@pytest.mark.parametrize("kind", ["fifo", "device"])
@pytest.mark.parametrize(
    "read",
    [
        files.read_bytes,
        suite.read_text,
        function.file_digest,
        tsp_points.read,
        lambda path: list(outcomes.read_lines(path)),
    ],
    ids=["bytes", "suite", "function", "tsp", "feedback"],
)
def test_what_has_no_end_is_not_read(read, kind, tmp_path):
    place = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises((DataError, OSError), match="no regular file"):
        read(place)


def test_openers_of_a_form_are_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "openers.txt")
    (tmp_path / "own.toml").write_text('openers = "openers.txt"')
    with pytest.raises(UsageError, match="no regular file"):
        metaprompt.load(str(tmp_path / "own.toml"))
