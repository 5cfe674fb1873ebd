"""A user whom the system does not know: no entry in passwd, no HOME, as in a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ROOT, SCRIPT, program, write_config, write_reviews

UID = 12345


def as_nobody(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the program as a user of no name, without HOME."""
    return as_user(folder, sys.executable, "-B", "-m", "opro_local", *arguments)


def as_user(folder: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    user = ("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups")
    return subprocess.run(
        [*user, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of that user's with a config. Not pytest's own, which it closes to other users."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, with setpriv")
    with tempfile.TemporaryDirectory() as name:
        yield prepared(Path(name))


def prepared(folder: Path) -> Path:
    scripted = {"engine": "scripted", "script": SCRIPT}
    table = {"data": str(write_reviews(folder / "reviews.csv")), "input": "text"}
    tables = {
        "task": {**table, "target": "label"},
        "scorer": scripted,
        "optimizer": scripted,
        "search": {"seeds": ["What is it?"], "steps": 1, "candidates": 2},
    }
    write_config(folder / "c.toml", tables)
    for path in (folder, *folder.iterdir()):
        os.chown(path, UID, UID)
    if as_nobody(folder, "--version").returncode:
        pytest.skip("the checkout or its Python can't be read by other users here")
    return folder


@pytest.mark.long
def test_a_user_of_no_name_has_help_lists_and_shows(folder):
    ran = program("run", "c.toml", "--run", "runs/a", "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    for path in (folder / "runs").rglob("*"):
        os.chown(path, UID, UID)
    os.chown(folder / "runs", UID, UID)
    assert as_nobody(folder, "--help").returncode == 0
    shown = as_nobody(folder, "show", "runs/a", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["digest"] == json.loads(ran.stdout)["digest"]
    listed = as_nobody(folder, "list", "runs", "--json")
    assert [row["state"] for row in json.loads(listed.stdout)] == ["finished"]


@pytest.mark.long
def test_a_user_of_no_name_runs(folder):
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    if as_user(folder, sys.executable, "-c", nested).returncode:
        pytest.skip("a worker's Python can't be started by other users here")
    ran = as_nobody(folder, "run", "c.toml", "--run", "runs/a", "--json")
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
    assert (folder / "runs" / "a" / "run.sqlite").stat().st_uid == UID
