"""No module opens a user's file but through files.py, which refuses what has no end or never answers:
FIFOs, devices, sockets.
"""

from __future__ import annotations

import os
import re
import sys

import pytest
from running import ROOT

from opro_local.cli import main

PACKAGE = ROOT / "opro_local"
OPENING = re.compile(
    r"""
    (?<![\w.]) open\(            # the built-in one
    | \.open\(                   # of a path or an archive, or os.open
    | \.read_(?:text|bytes)\(    # of a path
    """,
    re.VERBOSE,
)
# What may open files by itself, how many times, and why.
ALLOWED = {
    "files.py": (5, "it is where files are opened"),
    "bundle/lock.py": (2, "shipped in the wheel"),
    "bundle/verify.py": (6, "runs without this package; files that lstat has let through"),
    "bundle/licences.py": (1, "a member of an archive"),
    "bundle/making.py": (1, "the sums that it makes itself"),
    "bundle/wheels.py": (1, "files that is_file() has let through"),
    "bundle/sbom.py": (1, "what cyclonedx-py has just written"),
    "bundle/pieces.py": (3, "files that it makes itself, or that verify.py has checked"),
    "programs/supervisor.py": (3, "of the process and of the job it made itself"),
    "programs/contained.py": (1, "/proc/self"),
    "programs/values.py": (1, "a module that is already imported"),
    "recipes/__init__.py": (1, "shipped in the wheel"),
    "report/html.py": (1, "shipped in the wheel"),
    "cli/report.py": (1, "no file: a page in a browser"),
    "runs/repetitions.py": (1, "shipped in the wheel"),
    "search/metaprompts/metaprompt.py": (1, "shipped in the wheel"),
    "models/cards.py": (1, "shipped in the wheel"),
    "cli/docs.py": (2, "shipped in the wheel"),
    "runs/database.py": (2, "the schema, shipped in the wheel"),
    "engines/gpus.py": (2, "/proc and /sys"),
    "runs/disks.py": (1, "/proc/mounts"),
    "runs/bench.py": (1, "the log of an engine that the program started"),
    "engines/worker_process.py": (1, "/dev/null"),
    "engines/vllm_progress.py": (3, "no file: the name of a method of vLLM's"),
    "exports/mlflow.py": (1, "in a docstring"),
    "cli/streams.py": (3, "the standard streams, /dev/null"),
    "models/gguf.py": (5, "a member of an archive; files that it makes itself: stages"),
    "models/importing.py": (3, "files of a copy that it makes itself: parts, journal"),
    "models/pickles.py": (2, "members of an archive that files.py opened"),
    "models/templates.py": (2, "files that is_file() has let through"),
    "models/offline.py": (2, "files that is_file() has let through"),
    "scoring/sql/child.py": (1, "a schema, in a child process with a time limit"),
}


def openings() -> dict[str, int]:
    """How many times each file of the package opens one."""
    counts = {}
    for path in PACKAGE.rglob("*.py"):
        if count := len(OPENING.findall(path.read_text("utf-8"))):
            counts[str(path.relative_to(PACKAGE))] = count
    return counts


def test_files_are_opened_where_that_is_accounted_for():
    more = {
        name: count for name, count in openings().items() if count > ALLOWED.get(name, (0, ""))[0]
    }
    assert not more, "use opro_local.files (open_regular, read_text, read_bytes), or say why not"


@pytest.mark.parametrize(
    "line", ["open(path)", "path.open('rb')", "os.open(p, 0)", "p.read_bytes()"]
)
def test_an_opening_is_recognised(line):
    assert OPENING.search(line)


HARNESS = """
task: t
dataset_path: csv
dataset_kwargs:
  data_files:
    test: rows.csv
test_split: test
doc_to_text: "{{text}}"
doc_to_target: "{{label}}"
"""


def kinds_of_input(folder) -> dict[str, list[str]]:
    """Commands whose one input is a FIFO."""
    fifo = str(folder / "fifo")
    table = ["--input", "text", "--target", "label", "--model", "./none"]
    return {
        "a config": ["run", fifo],
        "data": ["optimize", "--data", fifo, *table],
        "a YAML of the harness": ["tasks", "validate", fifo],
        "prompts": ["evaluate", "--prompts", fifo, "--data", str(folder / "rows.csv"), *table],
        "answers": ["score", fifo],
        "a store": ["show", str(folder / "run")],
        "the log of a store to recover": ["recover", str(folder / "logged")],
        "the log of a store": ["show", str(folder / "logged")],
        "a lock": ["list", str(folder)],
    }


def test_a_fifo_for_any_input_is_one_line(tmp_path, monkeypatch):
    from opro_local.runs.store import open_store

    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "run.sqlite")
    for name, file in (("logged", "run.sqlite-wal"), ("locked", "lock")):
        open_store(tmp_path / name).close()
        (tmp_path / name / file).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name / file)
    for what, arguments in kinds_of_input(tmp_path).items():
        monkeypatch.setattr(sys, "argv", ["opro-local", *arguments])
        code, message = main._ended()
        assert code in (0, 2, 3, 4) and (code == 0) == (what == "a lock"), (what, code, message)
        assert "\n" not in message, what
