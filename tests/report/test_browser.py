"""A page in a real browser: no error, no request, and sorting and filtering work."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from running import SCRIPT, write_reviews

from opro_local.config import reading
from opro_local.report.page import write_report
from opro_local.runs.run import run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.long
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_runs_the_pages_script_and_complains_of_nothing(tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    scripted = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(tmp_path / "reviews.csv"), "input": "text", "target": "label"},
        "scorer": {**scripted, "max_tokens": 8},
        "optimizer": scripted,
        "search": {
            "seeds": ["<script>document.title='hit'</script><img src=x onerror=alert(1)>"],
            "steps": 2,
            "candidates": 3,
        },
        "run": {"cache": False},
    }
    run(reading.build(tables, []), tmp_path / "run")
    page = write_report(tmp_path / "run")
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    came = subprocess.run(
        [BROWSER, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=60
    )
    assert came.returncode == 0, came.stderr
    assert "<title>run · opro-local</title>" in came.stdout
    assert '<button type="button">Score</button>' in came.stdout  # the script ran
    assert '<p class="filter"><label>' in came.stdout  # and unfolded the filter
    assert "CONSOLE" not in came.stderr, came.stderr
    assert "Content Security Policy" not in came.stderr
    assert "&lt;script&gt;document.title" in came.stdout
