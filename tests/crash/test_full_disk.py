"""A disk that fills up at any moment: one line, exit code 4, nothing malformed, and it goes on."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opro_local.errors import StoreError
from opro_local.files import write_whole

CHILD = Path(__file__).with_name("full_disk.py")


@pytest.mark.parametrize(
    ("step", "least"),
    [
        pytest.param(40, 2, id="ci"),
        pytest.param(1, 25, id="full", marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("kind", ["run", "feedback", "cache"])
def test_a_disk_full_at_any_page_ends_in_one_line_and_resumes(tmp_path, kind, step, least):
    command = [sys.executable, str(CHILD), kind, str(tmp_path), str(step)]
    ended = subprocess.run(["unshare", "-m", *command], capture_output=True, text=True)
    if "unshare failed" in ended.stderr or "permission denied" in ended.stderr.lower():
        pytest.skip("this user may not mount: run as root to fill a disk")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["full"] >= least


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow over 8 KiB, as on a disk without space."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_whole_file_that_does_not_fit_leaves_the_old_one(tmp_path, small_files):
    path = tmp_path / "result.json"
    write_whole(path, "old")
    with pytest.raises(StoreError, match=r"result\.json: can't be written \(.*bytes free there"):
        write_whole(path, "new" * 10_000)
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["result.json"]
