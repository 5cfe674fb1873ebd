"""Signals at any moment: the exit code a shell expects, one or two lines, nothing lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import SCRIPT, gone, program, write_config, write_reviews

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "opro_local", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )


def wait_for_handlers(child: subprocess.Popen) -> None:
    """Wait until Python itself is up: what comes earlier is the interpreter's business."""
    while child.poll() is None:
        status = Path(f"/proc/{child.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)


def scripted(folder: Path) -> list[str]:
    role = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {
            "data": str(write_reviews(folder / "reviews.csv")),
            "input": "text",
            "target": "label",
        },
        "scorer": role,
        "optimizer": role,
        "search": {
            "seeds": ["What is it?"],
            "steps": 5,
            "candidates": 3,
            "metaprompt": "continuation",
        },
    }
    return ["run", str(write_config(folder / "c.toml", tables)), "--json", "--run"]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> tuple[list[str], str, float]:
    """A command without its folder, the digest it comes to, and the seconds that takes here."""
    folder = tmp_path_factory.mktemp("clean")
    command = scripted(folder)
    began = time.monotonic()
    done = program(*command, str(folder / "run"))
    assert done.returncode == 0, done.stderr
    return command, json.loads(done.stdout)["digest"], time.monotonic() - began


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(1, id="ci"),
        pytest.param(3, id="each", marks=pytest.mark.long),
        pytest.param(100, id="night", marks=pytest.mark.nightly),
    ],
)
def test_signals_at_random_moments_lose_nothing(clean, tmp_path, moments):
    command, digest, seconds = clean
    draw = random.Random(moments)
    hit = runs = 0
    while hit < moments:
        run, code = tmp_path / f"run{runs}", None
        runs += 1
        while code != 0:
            number = SIGNALS[hit % 3]
            child = start(*command, str(run))
            wait_for_handlers(child)
            time.sleep(draw.uniform(0, seconds))
            child.send_signal(number)
            _, errors = child.communicate(timeout=20)
            code = child.returncode
            hit += 1
            # One that was finished is finished.
            assert code in (0, 128 + number), (code, errors)
            assert "Traceback" not in errors and "Exception" not in errors
            if code:
                assert "opro-local: stopped" in errors
            if hit >= moments:
                break
        done = program(*command, str(run))
        assert done.returncode == 0 and json.loads(done.stdout)["digest"] == digest


# What a user's function or program may do when the signal comes.
STUBBORN = {
    "sleeps": "import time; time.sleep(60)",
    "catches everything": (
        "import time\n"
        "    for _ in range(600):\n"
        "        try: time.sleep(0.1)\n"
        "        except Exception: pass"
    ),
    "computes": "sum(range(10**12))",  # one call of C: no handler runs
    "matches": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
}
KILLED = {"computes"}  # `re` lets handlers run now and then


@pytest.mark.long
@pytest.mark.parametrize("what", STUBBORN)
def test_one_sigterm_ends_a_function_that_does_not_return(tmp_path, what):
    folder = tmp_path
    (folder / "f.py").write_text(
        f"def f(text):\n    open('began', 'w').close()\n    {STUBBORN[what]}\n    return 1\n"
    )
    tables = {
        "problem": {"kind": "function", "function": str(folder / "f.py") + ":f"},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": ["go"], "steps": 1, "candidates": 2},
    }
    config = write_config(folder / "c.toml", tables)
    command = ("run", str(config), "--run", str(folder / "run"))
    child = subprocess.Popen(
        [sys.executable, "-m", "opro_local", *command],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not (folder / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=20)
    assert time.monotonic() - began < 10 and "Traceback" not in errors
    # As if there were no handler: a shell says 143 in either case.
    assert child.returncode == (-signal.SIGTERM if what in KILLED else 143)
    # The folder is free for the next start.
    (folder / "f.py").write_text("def f(text):\n    return len(text)\n")
    again = program(*command, cwd=folder)
    assert again.returncode in (0, 2), again.stderr


@pytest.mark.long
def test_one_sigterm_ends_a_call_in_flight_and_its_engine(tmp_path):
    command = scripted(tmp_path)
    child = start(*command, str(tmp_path / "run"), OPRO_FAULT="hang:3")
    deadline = time.monotonic() + 30
    while not (engine := worker_of(child.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 143 and 2.5 < time.monotonic() - began < 10
    assert "3 s at most" in errors and "the same command resumes" in errors and gone(engine)


def worker_of(parent: int) -> int:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True
    ).stdout
    lines = [line for line in listed.splitlines() if "engines.worker" in line]
    return int(lines[0].split()[0]) if lines else 0


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "verb", [("models", "list"), pytest.param(("feedback", "status"), marks=pytest.mark.long)]
)
def test_a_verb_that_runs_nothing_ends_at_once(tmp_path, verb, number):
    child = start(*verb)
    wait_for_handlers(child)
    child.send_signal(number)
    _, errors = child.communicate(timeout=10)
    assert child.returncode in (0, 4, 128 + number) and "Traceback" not in errors
    assert errors.count("\n") <= 1


@pytest.mark.long
def test_nohup_lets_a_run_go_on(clean, tmp_path):
    command, digest, _ = clean
    child = subprocess.Popen(
        [sys.executable, "-m", "opro_local", *command, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        text=True,
    )
    wait_for_handlers(child)
    child.send_signal(signal.SIGHUP)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 0 and json.loads(out)["digest"] == digest


STUCK = """
import sys
from pathlib import Path
from opro_local.cli import main
from opro_local.runs import reading

def never_returns(*arguments):
    Path(sys.argv[-1], "began").touch()
    sum(range(10**12))  # one call of C: no handler runs

for name in ("overview", "describe"):
    setattr(reading, name, never_returns)
main.main()
"""


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        pytest.param("list", signal.SIGTERM),
        *(pytest.param("show", one, marks=pytest.mark.long) for one in SIGNALS),
    ],
)
def test_a_verb_stuck_in_c_ends_some_seconds_after_a_signal(tmp_path, verb, number):
    child = subprocess.Popen(
        [sys.executable, "-c", STUCK, verb, str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    began = time.monotonic()
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)
    assert time.monotonic() - began < 6 and errors == ""
    # A shell says 128 and the number.
    assert child.returncode == -number


# A verb that is told of several signals at once; what it does then; and the same before it begins.
TOLD = """
import os, signal, subprocess
from opro_local.cli import main

numbers = {numbers}
# One that was ignored before, as under nohup, would stay ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def send():
    # Held back until all are there, so that none is answered before the last one came.
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

def verb(**options):
    {verb}

main.app = verb
{before}
main.main()
"""
AS_ANOTHER = (
    "try: send()\n    except BaseException as error: raise ValueError(str(error)) from error"
)
AS_IT_BEGINS = "subprocess.Popen = lambda *_, **__: send()"
TOGETHER = [
    ("SIGINT", "SIGTERM"),
    ("SIGTERM", "SIGHUP"),
    ("SIGHUP", "SIGINT"),
    ("SIGINT", "SIGTERM", "SIGHUP"),
]


@pytest.mark.parametrize(
    ("names", "verb", "before"),
    [
        *[pytest.param(names, "send()", "", id="+".join(names)) for names in TOGETHER],
        pytest.param(TOGETHER[-1], AS_ANOTHER, "", id="made another error"),
        pytest.param(("SIGTERM",), AS_ANOTHER, "", id="one, made another error"),
        pytest.param(TOGETHER[-1], "pass", AS_IT_BEGINS, id="as it begins"),
    ],
)
def test_signals_that_come_together_end_in_one_line(names, verb, before):
    numbers = [int(getattr(signal, name)) for name in names]
    text = TOLD.format(numbers=numbers, verb=verb, before=before)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=20)
    # Python tells of the lowest number first.
    assert (done.returncode, done.stderr) == (128 + min(numbers), "opro-local: stopped\n")
