"""Whole searches with a real model on a machine whose only network device is loopback, watched by
strace: no system call names an address off the machine.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

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
    strace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(trace)]
    subprocess.run(isolated(*strace, sys.executable, "-c", source), check=True)
    assert addresses(trace) == {"192.0.2.1", "127.0.0.1"}


@pytest.mark.real
@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_whole_search_leaves_nothing(tmp_path, traced, engine):
    """The demo's search on each engine by name, so that no fall-back can pass for it, without the
    guard, so that only the namespace holds it.
    """
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(trace)]
    options = ["--set", "search.steps=1", "--set", "search.candidates=2", "--engine", engine]
    command = [sys.executable, "-m", "opro_local", "demo", "--run", str(tmp_path / "run"), *options]
    env = {name: value for name, value in os.environ.items() if name != network.GUARD}
    ended = subprocess.run(
        isolated(*strace, *command),
        env={**env, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    off = {host for host in addresses(trace) if not network.is_here(host)}
    assert off == set()
    fingerprint = subprocess.run(
        [sys.executable, "-m", "opro_local", "show", str(tmp_path / "run"), "--json"],
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f'"{engine}"' in fingerprint
