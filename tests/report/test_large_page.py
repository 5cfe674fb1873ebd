"""The page of a long search stays small and is made soon."""

from __future__ import annotations

import csv
import time
import zlib

import pytest

from opro_local.config import reading
from opro_local.report.page import write_report
from opro_local.runs.run import run


@pytest.mark.long
def test_a_run_of_200_steps_has_a_page_under_3_mb(tmp_path):
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        rows = [
            [f"Number {i} was {'good' if i % 2 else 'poor'}", "positive" if i % 2 else "negative"]
            for i in range(522)
        ]
        csv.writer(stream).writerows([["text", "label"], *rows])
    scripted = {"engine": "scripted", "script": f"{__file__}:answer"}
    tables = {
        "task": {
            "data": str(tmp_path / "rows.csv"),
            "input": "text",
            "target": "label",
            "rule": "labels",
            "split": [0.5, 0.25, 0.25],
        },
        "scorer": {**scripted, "max_tokens": 8},
        "optimizer": scripted,
        "search": {"seeds": ["What is it?"], "steps": 200, "candidates": 8, "mode": "opro"},
        "run": {"cache": False},
    }
    config = reading.build(tables, [])
    result = run(config, tmp_path / "run")
    assert result.search.solutions > 1500
    begun = time.perf_counter()
    page = write_report(tmp_path / "run")
    seconds = time.perf_counter() - begun
    print(f"{page.stat().st_size:,} bytes, {seconds:.1f} s, {result.search.solutions} solutions")
    assert page.stat().st_size < 3_000_000
    assert seconds < 10


def answer(request):
    """A proposal of some 150 characters that depends on the seed, or a class that depends on the text."""
    if request.sampling.seed is not None:
        digits = str(request.sampling.seed)
        return "Decide of the text whether it is " + " and ".join(
            f"word{d}{i} then" for i, d in enumerate(digits)
        )
    return "positive" if zlib.crc32(request.prompt.text.encode()) % 3 else "negative"
