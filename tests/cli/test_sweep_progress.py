"""How far a sweep is, in words."""

from __future__ import annotations

from opro_local.cli.sweep import spoken_seconds
from opro_local.cli.sweep_progress import lines
from opro_local.config.settings import Config
from opro_local.sweeps.cells import Cell
from opro_local.sweeps.sweep import Standing


def test_a_line_says_cells_time_left_and_the_best_and_failures_have_their_own():
    best = (0.754, Cell("seed=3", "0" * 8, {}, {}, Config()))
    counts = {"failed": 1, "finished": 4, "missing": 2, "running": 3}
    standing = Standing(counts, 10, ("group-1",), best, 61.0, 600.0, ("seed=1: no\x1b[2J rows",))
    first, second = lines(standing)
    assert first == (
        "61 s | 4/10 cells | 3 running | 1 failed | about 10.0 min left | "
        "best on train 75.4 % (seed=3)"
    )
    assert second.startswith("failed: seed=1: no")
    assert lines(Standing({"missing": 2}, 2, (), None, 0.4, None, ())) == ["0 s | 0/2 cells"]


def test_lengths_of_time_are_said_in_the_unit_that_fits():
    said = [spoken_seconds(seconds) for seconds in (3, 119, 120, 7200, 7199, 200_000)]
    assert said == ["3 s", "119 s", "2.0 min", "2.0 h", "120.0 min", "2.3 days"]
