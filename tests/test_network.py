"""The guard refuses what leads off this machine, whoever asks, and names the line; what stays here
passes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request

import pytest
from running import ROOT

from opro_local import network
from opro_local.network import NetworkError

ELSEWHERE = ("192.0.2.1", 9)  # an address that no machine has (RFC 5737)
ELSEWHERE6 = ("2001:db8::1", 9)


@pytest.mark.parametrize(
    ("family", "kind", "ask"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, lambda one: one.connect(ELSEWHERE)),
        (socket.AF_INET, socket.SOCK_STREAM, lambda one: one.connect_ex(ELSEWHERE)),
        (socket.AF_INET, socket.SOCK_DGRAM, lambda one: one.connect(("8.8.8.8", 80))),
        (socket.AF_INET, socket.SOCK_DGRAM, lambda one: one.sendto(b"x", ELSEWHERE)),
        (socket.AF_INET, socket.SOCK_DGRAM, lambda one: one.sendmsg([b"x"], [], 0, ELSEWHERE)),
        (socket.AF_INET, socket.SOCK_DGRAM, lambda one: one.sendto(b"x", ("255.255.255.255", 9))),
        (socket.AF_INET6, socket.SOCK_STREAM, lambda one: one.connect(ELSEWHERE6)),
        (socket.AF_INET6, socket.SOCK_STREAM, lambda one: one.connect(("::ffff:192.0.2.1", 9))),
    ],
)
def test_a_socket_off_this_machine_is_refused(family, kind, ask):
    with (
        socket.socket(family, kind) as one,
        pytest.raises(NetworkError, match=r"asked for by .*test_network\.py:\d+ \(<lambda>\)"),
    ):
        ask(one)


@pytest.mark.parametrize("family", ["AF_PACKET", "AF_VSOCK", "AF_BLUETOOTH", "AF_CAN"])
def test_a_socket_of_a_family_that_speaks_to_a_card_or_a_hypervisor_is_refused(family):
    if not hasattr(socket, family):
        pytest.skip(f"this Python knows no {family}")
    with pytest.raises(NetworkError, match=f"refused a connection to '{family}'"):
        socket.socket(getattr(socket, family), socket.SOCK_DGRAM)


def test_an_inherited_socket_of_such_a_family_sends_nothing():
    class Inherited:
        family = 40  # AF_VSOCK, made before the guard and handed on as a descriptor

    with pytest.raises(NetworkError, match="AF_VSOCK"):
        sys.audit("socket.connect", Inherited(), (2, 1234))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: socket.getnameinfo(("192.0.2.1", 80), 0),
        lambda: socket.getnameinfo(("2001:db8::1", 80, 0, 0), 0),
        lambda: socket.getaddrinfo("example.org", 80),
        lambda: socket.getaddrinfo(b"example.org", 80),
        lambda: socket.gethostbyname("example.org"),
        lambda: socket.gethostbyname_ex("example.org"),
        lambda: socket.gethostbyaddr("192.0.2.1"),
        lambda: socket.create_connection(("example.org", 80)),
        lambda: urllib.request.urlopen("http://example.org/"),
        lambda: socket.getaddrinfo("localhost.example.org", 80),
    ],
)
def test_a_name_lookup_off_this_machine_is_refused(ask, capsys):
    with pytest.raises(NetworkError, match="the guard refused a connection to ") as caught:
        ask()
    # Said besides, as libraries may swallow what is raised.
    assert capsys.readouterr().err == f"opro-local: {caught.value.message}\n"


def test_what_stays_on_this_machine_passes(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"):
            socket.create_connection((host, port)).close()
    first, second = socket.socketpair()
    first.close(), second.close()
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    # An existing descriptor may be anything; its family is asked when it speaks.
    taken = socket.socket(fileno=socket.socket().detach())
    taken.close()
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(tmp_path / "socket"))
        own.listen()
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(tmp_path / "socket"))
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    assert socket.getaddrinfo("127.0.0.1", 80) and socket.getaddrinfo(None, 80)
    assert socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICSERV)[1] == "80"


def python(source, **env):
    """What a fresh interpreter says of these lines."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(
        [sys.executable, "-c", source], env=env, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


TRY = """
import socket
for host in ("192.0.2.1", "192.0.2.2"):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.connect((host, 9))
        print(host, "passed")
    except OSError:
        print(host, "passed")  # a machine without a network has no way there
    except Exception as error:
        print(host, type(error).__name__)
"""


def test_hosts_that_are_named_pass_and_a_later_call_adds_some():
    said = python(
        "from opro_local import network\nnetwork.guard(['192.0.2.2'])\n"
        + TRY
        + "network.guard(['192.0.2.1'])"
        + TRY,
        OPRO_LOCAL_GUARD="",
    )
    lines = [line for line in said.splitlines() if not line.startswith("opro-local:")]
    assert lines == [
        "192.0.2.1 NetworkError",
        "192.0.2.2 passed",
        "192.0.2.1 passed",
        "192.0.2.2 passed",
    ]


def test_without_it_nothing_is_refused():
    clean = {name: value for name, value in os.environ.items() if name != network.GUARD}
    done = subprocess.run(
        [sys.executable, "-c", f"import opro_local{TRY}"],
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["192.0.2.1 passed", "192.0.2.2 passed"], done.stderr


CONFIG = """
import opro_local, sys
sys.argv = ["x"]
config = {
    "run": {"guard": True, "cache": False},
    "problem": {"kind": "function", "function": "score.py:score", "description": "d"},
    "optimizer": {"engine": "scripted", "script": "score.py:optimizer"},
    "search": {"steps": 1, "candidates": 1},
}
try:
    print(opro_local.optimize(config, run="run").best.score)
except opro_local.OproError as error:
    print("ended:", error)
"""


def test_a_settings_guard_covers_users_code_and_workers(tmp_path):
    """`run.guard`, from Python: the user's function is refused by name and so is a worker's."""
    (tmp_path / "score.py").write_text(
        "import socket\n"
        "def score(text):\n    return 0.5\n"
        "def optimizer(requests, progress=None):\n"
        "    socket.create_connection(('192.0.2.1', 9))\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != network.GUARD}
    done = subprocess.run(
        [sys.executable, "-c", CONFIG],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "the guard refused a connection to '192.0.2.1'" in done.stdout, done.stdout + done.stderr
    assert "score.py:5 (optimizer)" in done.stdout


def test_the_switches_reach_libraries_that_are_imported_already():
    said = python(
        "import os\nfor name in ('HF_HUB_OFFLINE', 'VLLM_USE_MODELSCOPE'): os.environ.pop(name, 0)\n"
        "from huggingface_hub import constants\nprint(constants.HF_HUB_OFFLINE)\n"
        "import opro_local\nopro_local.optimize\n"
        "print(constants.HF_HUB_OFFLINE, os.environ['HF_HUB_OFFLINE'],"
        " os.environ['VLLM_USE_MODELSCOPE'], os.environ['FLASHINFER_NO_DOWNLOAD'])",
        HF_HUB_OFFLINE="0",
        TRANSFORMERS_OFFLINE="0",
    )
    assert said.splitlines() == ["False", "True 1 False 1"]
