"""Whole searches with a real model on a machine whose only network device is loopback, watched by
strace: no system call names an address off the machine.

A small one on every run; another and the whole demo on each engine with `-m long`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, write_reviews

from opro_local import network
from opro_local.errors import ModelError
from opro_local.models.offline import EMBEDDED, find_model

LOOPBACK = 'ip link set lo up && exec "$@"'
ADDRESS = re.compile(
    r"""
    sa_family=AF_INET6? .*?
    (?: inet_addr\("(?P<four>[^"]*)"\) | inet_pton\(AF_INET6,\ "(?P<six>[^"]*)" )
    """,
    re.VERBOSE,
)


def isolated(*command: str) -> list[str]:
    """The command on a machine that has loopback and nothing else."""
    return ["unshare", "-rn", "sh", "-c", LOOPBACK, "sh", *command]


def strace(trace: Path) -> list[str]:
    """What writes a program's ways out to a file; the kernel stops it at no other call."""
    calls = "trace=connect,sendto,sendmsg"
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-e", calls, "-o", str(trace)]


def addresses(trace: Path) -> set[str]:
    """The addresses that a trace of connect, sendto and sendmsg names."""
    places = ADDRESS.finditer(trace.read_text("utf-8", "replace"))
    return {place["four"] or place["six"] for place in places}


@pytest.fixture
def traced():
    """Skips where the machine can't do it, or has no model."""
    for program in ("strace", "unshare", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if subprocess.run(isolated("true"), capture_output=True).returncode:
        pytest.skip("this user may make no network namespace")
    try:
        find_model(EMBEDDED)
    except ModelError as error:
        pytest.skip(str(error))


def test_the_trace_shows_who_would_leave(tmp_path, traced):
    """The watch itself: it sees what a program tries, where nothing stops it."""
    trace = tmp_path / "trace"
    source = (
        "import socket\nfor host in ('192.0.2.1', '127.0.0.1'):\n"
        "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect_ex((host, 9))"
    )
    subprocess.run(isolated(*strace(trace), sys.executable, "-c", source), check=True)
    assert addresses(trace) == {"192.0.2.1", "127.0.0.1"}


@pytest.fixture
def search(tmp_path, traced):
    """Runs a verb of opro-local in such a namespace; returns where it tried to go."""

    def run(engine, seconds, *arguments):
        if importlib.util.find_spec(engine) is None:
            pytest.skip(f"{engine} is not installed")
        trace, folder = tmp_path / "trace", tmp_path / "run"
        # By name, so that no fall-back can pass for it, and without the guard, so that only the
        # namespace holds it.
        options = ["--engine", engine, "--run", str(folder), "--set", "run.cache=false"]
        program = [sys.executable, "-m", "opro_local", *arguments, *options]
        env = {name: value for name, value in os.environ.items() if name != network.GUARD}
        ended = subprocess.run(
            isolated(*strace(trace), "timeout", str(seconds), *program),
            env={**env, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=seconds + 20,
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        assert (
            json.loads((folder / "result.json").read_text())["engine"]["scorer"]["engine"] == engine
        )
        return {host for host in addresses(trace) if not network.is_here(host)}

    return run


@pytest.mark.real
@pytest.mark.parametrize("engine", [pytest.param("transformers", marks=pytest.mark.long), "vllm"])
def test_a_search_leaves_nothing(tmp_path, search, engine):
    data = tmp_path / "reviews.csv"
    lines = write_reviews(tmp_path / "all.csv").read_text().splitlines()
    data.write_text("\n".join(lines[:19]))
    columns = ["--data", str(data), "--input", "text", "--target", "label", "--model", EMBEDDED]
    small = ["--set", "search.steps=1", "--set", "search.candidates=1"]
    assert search(engine, 250, "optimize", *columns, *small) == set()


@pytest.mark.real
@pytest.mark.long
@pytest.mark.timeout(7300)
@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_the_whole_demo_leaves_nothing(search, engine):
    assert search(engine, 7200, "demo") == set()
