"""Pages of numeric problems, and of a run that is not finished."""

from __future__ import annotations

import pytest
from running import ROOT

from opro_local.config import reading
from opro_local.report.gathering import gather
from opro_local.report.page import page
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.reading import describe
from opro_local.runs.run import run


def config_of(kind, script):
    tables = {
        "problem": {"kind": kind},
        "optimizer": {"engine": "scripted", "script": f"{ROOT}/tests/scripted_solver.py:{script}"},
        "search": {"steps": 3, "candidates": 4},
        "run": {"cache": False},
    }
    return reading.build(tables, [])


@pytest.mark.parametrize(
    ("kind", "script"), [("linear_regression", "random_pair"), ("tsp", "random_tour")]
)
def test_a_numeric_problem_shows_its_objective_less_being_better(kind, script, tmp_path):
    run(config_of(kind, script), tmp_path / "run")
    contents, numeric = gather(tmp_path / "run"), describe(tmp_path / "run").search.numeric
    assert min(one.value for one in contents.solutions) == pytest.approx(numeric.value)
    html = page(contents)
    for value in (numeric.value, numeric.optimum, *numeric.baselines.values()):
        assert f">{value:.6g}</td>" in html


def test_a_run_that_is_not_finished_is_shown_as_far_as_it_is(tmp_path):
    calls = []
    stopping = Listener(report=calls.append, should_stop=lambda: len(calls) > 8)
    with pytest.raises(Interrupted):
        run(config_of("linear_regression", "random_pair"), tmp_path / "run", stopping)
    html = page(gather(tmp_path / "run"))
    assert "This run is not finished" in html and "interrupted" in html
    assert html.count('<g class="mark op') > 0
