"""What scripts/bench_long.py measures, at a size for every day and at a tenth of the full one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from running import ROOT

SCRIPT = ROOT / "scripts" / "bench_long.py"


def figures(folder, kind, steps, action):
    """The figures of one action; the machine's own speed is no part of what is asserted."""
    command = [sys.executable, SCRIPT, "--one", action, kind, folder, str(steps), "8", "20"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_long_run_is_measured(tmp_path):
    measured = figures(tmp_path, "opro", 30, "run")
    assert measured["steps"] == 30
    assert 0 < measured["last ms"] <= measured["p95 ms"]
    assert 0 < measured["result MB"] < 0.1 < measured["file MB"]


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["opro", "mixed", "texts"])
def test_the_five_hundredth_step_costs_what_an_early_one_does(tmp_path, kind):
    measured = figures(tmp_path, kind, 500, "run")
    assert measured["last ms"] < 1.5 * measured["first ms"] + 1
    assert measured["RSS + MB"] < 25
    # The script itself refuses a replay that comes to another digest.
    assert figures(tmp_path, kind, 500, "replay")["replay s"] < 15
