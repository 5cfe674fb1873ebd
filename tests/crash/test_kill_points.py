"""A kill before and after every commit, link, rename, fsync and note of a run loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("kill_points.py")


@pytest.mark.parametrize(
    ("step", "least"),
    [
        pytest.param(15, 18, id="ci", marks=pytest.mark.long),
        pytest.param(1, 90, id="full", marks=pytest.mark.nightly),
    ],
)
def test_a_kill_at_every_named_point_loses_nothing(tmp_path, step, least):
    command = [sys.executable, str(CHILD), str(tmp_path / "place"), str(step)]
    (tmp_path / "place").mkdir()
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    kills = json.loads(ended.stdout.splitlines()[-1])
    assert all(kills.values()) and sum(kills.values()) >= least
