"""Every command and Python line of the README and docs/evaluate.md, run as they stand, on small
settings.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from running import FEW_ROWS, ROOT, SMOL, real, sets

PAGES = [(ROOT / name).read_text("utf-8") for name in ("README.md", "docs/evaluate.md")]
BLOCKS = [found for page in PAGES for found in re.findall(r"```(sh|python)\n(.*?)```", page, re.S)]
COMMANDS = [
    line
    for kind, block in BLOCKS
    if kind == "sh"
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
SMALL = (
    *FEW_ROWS,
    "search.steps=1",
    "search.candidates=2",
    "scorer.max_tokens=6",
    'scorer.engine="transformers"',
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A user's folder: a CSV, a model folder, and the config of the README."""
    real("transformers")
    folder = tmp_path_factory.mktemp("desk")
    rows = [
        f"Number {i} was {word},{label}"
        for i in range(15)
        for word, label in (("good", "yes"), ("bad", "no"))
    ]
    (folder / "mails.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "my-model").symlink_to(SMOL)
    (folder / "Qwen2.5-7B-Instruct").symlink_to(SMOL)
    (folder / "sentiment.toml").write_text(
        '[task]\ndata = "mails.csv"\ninput = "text"\ntarget = "label"\n[scorer]\nmodel = "./my-model"\n'
    )
    (folder / "answers.jsonl").write_text(
        '{"target": "42", "answer": "It is 42."}\n{"target": "7", "answer": "8"}\n'
    )
    (folder / "candidates.txt").write_text("Is it good?\nGood or bad?\n")
    return folder


def in_order() -> list[str]:
    return [command for command in COMMANDS if command.startswith("opro-local")]


@pytest.mark.real
@pytest.mark.long  # tests/e2e/test_docs_commands.py runs them always, with a scripted model
@pytest.mark.timeout(900)
def test_the_programs_commands(desk):
    assert in_order()
    for command in in_order():
        words = [sys.executable, "-m", "opro_local", *shlex.split(command)[1:]]
        if words[3] in ("optimize", "run", "evaluate", "check", "solve"):
            words += sets(*SMALL)
        told = subprocess.run(words, cwd=desk, capture_output=True, text=True, timeout=280)
        assert told.returncode == 0, f"{command}\n{told.stderr}"


@pytest.mark.real
def test_the_scripts_are_the_two_commands(tmp_path):
    real("transformers")
    assert [c for c in COMMANDS if c.startswith("scripts/")][:2] == [
        "scripts/demo.sh",
        "scripts/test.sh",
    ]
    if not (ROOT / ".venv" / "bin" / "opro-local").exists():
        pytest.skip("not running in the environment that scripts/test.sh makes")
    told = subprocess.run(
        ["bash", str(ROOT / "scripts" / "demo.sh"), *sets(*SMALL), "--run", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=290,
        env={**os.environ},
    )
    assert told.returncode == 0 and "Verdict: " in told.stdout, told.stderr


@pytest.mark.real
def test_the_python_lines(desk, monkeypatch):
    monkeypatch.chdir(desk)
    (source,) = [block for kind, block in BLOCKS if kind == "python"]
    assert len(source.strip().splitlines()) < 10
    small = ", ".join(repr(setting) for setting in SMALL)
    assert source.count('run="runs/api"') == 1
    short = source.replace('run="runs/api"', f'run="runs/api", set=[{small}]')
    exec(compile(short, "README.md", "exec"), {})
