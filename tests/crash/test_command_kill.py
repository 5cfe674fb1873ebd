"""A run that is killed while its programs run leaves none of them, and goes on to the same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import SCRIPT, program

MARK = f"8{os.getpid()}"  # told from another test run's
SCORE = """
import os, sys, time
text = open(sys.argv[1]).read()
if os.path.exists("slow") and text != "go":
    for n in range(5):
        if os.fork() == 0:
            if n == 2: os.setsid()
            os.execvp("sleep", ["sleep", "MARK.01"])
    open("started", "w").close()
    time.sleep(MARK.01)
print(-abs(len(text.split()) - 6) + ("label" in text))
"""


def sleepers() -> list[int]:
    listed = subprocess.run(
        ["pgrep", "-f", f"{MARK}.01|score_{MARK}.py"], capture_output=True, text=True
    ).stdout
    return [int(pid) for pid in listed.split() if int(pid) != os.getpid()]


def settings(folder: Path) -> list[str]:
    config = f"""
[problem]
kind = "command"
command = [{json.dumps(sys.executable)}, "score_{MARK}.py", "{{file}}"]
[optimizer]
engine = "scripted"
script = {json.dumps(SCRIPT)}
[search]
seeds = ["go"]
steps = 2
candidates = 4
"""
    (folder / f"score_{MARK}.py").write_text(SCORE.replace("MARK", MARK))
    (folder / "config.toml").write_text(config)
    return ["run", "config.toml", "--json", "--run"]


def wait_for(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_program_outlives_its_run(tmp_path, number):
    arguments = settings(tmp_path)
    clean = json.loads(program(*arguments, "clean", cwd=tmp_path).stdout)
    (tmp_path / "slow").touch()
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "-m", "opro_local", *arguments, "killed"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command, cwd=tmp_path, env=environment, **quiet)
    assert wait_for(lambda: (tmp_path / "started").exists() and len(sleepers()) > 5, 30)
    child.send_signal(number)
    if number == signal.SIGINT:  # the first one stops after the call in flight, the second at once
        time.sleep(0.2)
        child.send_signal(number)
    assert wait_for(lambda: not sleepers(), 1.0 if number == signal.SIGKILL else 5.0)
    assert child.wait(10) == (-9 if number == signal.SIGKILL else 130)
    assert wait_for(lambda: not list((tmp_path / "tmp").iterdir()), 2.0)
    (tmp_path / "slow").unlink()
    resumed = program(*arguments, "killed", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["digest"] == clean["digest"]
    assert json.loads(resumed.stdout)["calls"] == clean["calls"]
