"""Figures on pages are those of the pages that measured them, or of the code."""

from __future__ import annotations

import re

import pytest
from running import ROOT

from opro_local import stats
from opro_local.config import reading

DOCS = ROOT / "docs"


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    text = (DOCS / page).read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_what_so_many_rows_show_is_what_the_code_says():
    table = rows("trusting.md", "How many rows")
    assert len(table) == 6
    for count, difference, interval in table:
        n = int(count)
        assert float(difference) == round(100 * stats.smallest_difference(n, alpha=0.05), 1)
        low, high = stats.share_interval(0.8 * n, n)
        assert interval == f"{100 * low:.1f} to {100 * high:.1f}"


@pytest.mark.parametrize("row", rows("choosing-models.md", "What fits")[1:], ids=lambda row: row[1])
def test_a_models_memory_is_that_of_the_measured_table(row):
    _, name, weights, cache = row
    lines = (DOCS / "benchmarks" / "2026-11-footprints.md").read_text("utf-8").splitlines()
    own = [line for line in lines if line.startswith(f"| {name} |")]
    cells = [cell.strip() for line in own for cell in line.split("|")]
    assert weights in cells and cache in cells


def test_the_stop_rules_that_may_change_are_free():
    (names,) = [
        cells[1] for cells in rows("resuming.md", "What may change") if cells[0] == "stop rules"
    ]
    said = {name.removeprefix("search.") for name in re.findall(r"`([\w.]+)`", names)}
    free = {name.removeprefix("search.") for name in reading.FREE if name.startswith("search.")}
    assert said == free
