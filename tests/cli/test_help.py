"""The program's face: grouped help, -h, one line for wrong arguments, shell completion, python -m."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from running import program
from typer.testing import CliRunner

from opro_local.cli.main import VERBS, app

PANELS = ["Optimize", "Look", "Models", "Data and scoring", "Production", "Here"]


def commands(command=None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every command and group, by the words that call it."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


def test_the_help_shows_every_verb_in_its_panel_and_order():
    told = program("--help")
    assert told.returncode == 0 and list(VERBS) == PANELS
    positions = [told.stdout.index(f"─ {panel} ─") for panel in PANELS]
    assert positions == sorted(positions)
    for start, end, panel in zip(positions, [*positions[1:], None], PANELS, strict=True):
        shown = re.findall(r"^│ ([a-z]+)  ", told.stdout[start:end], re.MULTILINE)
        assert shown == list(VERBS[panel])


@pytest.mark.parametrize("words", [(), ("run",), ("models",), ("models", "plan"), ("docs",)])
def test_h_is_help_everywhere(words):
    short, long = program(*words, "-h"), program(*words, "--help")
    assert (
        short.returncode == 0
        and short.stdout == long.stdout
        and "Usage: opro-local" in short.stdout
    )


def test_no_help_text_is_taken_for_markup():
    """Rich drops what looks like a tag, "[default: 3]" for example."""
    tag = re.compile(r"\[[a-z#/@]")
    for path, command in commands():
        texts = [command.help, *(getattr(each, "help", None) for each in command.params)]
        assert not [text for text in texts if text and tag.search(text)], path


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_help_on_60_columns_loses_no_word(path):
    told = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "60"})
    assert told.exit_code == 0
    assert max(map(len, told.output.splitlines())) <= 60
    command = dict(commands())[path]
    texts = [command.help, *(inner.help for inner in getattr(command, "commands", {}).values())]
    texts = [*(texts[:1]), *((text or "").split("\n\n")[0] for text in texts[1:])]
    texts += [each.help for each in command.params]
    names = [name for each in command.params for name in each.opts]
    shown = " ".join(told.output.replace(",", " ").split())
    for text in filter(None, texts):
        assert " ".join(text.replace(",", " ").split()) in shown
    for name in [*names, *getattr(command, "commands", {})]:
        assert name in shown.split()


def test_help_without_a_verb_fits_60_columns():
    told = program("models", env=os.environ | {"COLUMNS": "60"})
    assert told.returncode == 2 and "opro-local: " not in told.stderr
    assert max(map(len, told.stdout.splitlines())) <= 60


def test_without_a_verb_the_help_is_shown():
    for words in ((), ("models",)):
        told = program(*words)
        assert told.returncode == 2 and "Usage: opro-local" in told.stdout + told.stderr
        assert "opro-local: " not in told.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (("rnu",), "No such command 'rnu'. Did you mean 'run'? See: opro-local --help"),
        (("run",), "Missing argument 'config'; see: opro-local run --help"),
        (("run", "x", "--qqqq"), "No such option: --qqqq; see: opro-local run --help"),
        (("run", "x", "--seed", "a"), "Invalid value for '--seed': "),
        (
            ("models", "plan", "--set"),
            "Option '--set' requires an argument",
        ),
    ],
)
def test_wrong_arguments_end_in_one_line(words, said):
    told = program(*words)
    (line,) = told.stderr.splitlines()
    assert (
        told.returncode == 2
        and line.lower().startswith(f"opro-local: {said}".lower())
        and not told.stdout
    )


def test_python_m_is_the_program():
    words = [sys.executable, "-m", "opro_local"]
    told = subprocess.run([*words, "run"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 2 and told.stderr == program("run").stderr
    shown = subprocess.run([*words, "--version"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and shown.stdout == program("--version").stdout


def completed(line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    asked = {
        "_OPRO_LOCAL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    return program(env=os.environ | asked).stdout.split()


def test_the_shell_completes_verbs_options_and_pages():
    assert completed("opro-local so") == ["solve"]
    assert completed("opro-local run --see") == ["--seed"]
    assert completed("opro-local docs sco") == ["scoring", "scoring-opro"]


def test_the_completion_script_names_the_program():
    chosen = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    told = program("--show-completion", "bash", env=chosen)
    assert told.returncode == 0 and "_OPRO_LOCAL_COMPLETE=complete_bash" in told.stdout
