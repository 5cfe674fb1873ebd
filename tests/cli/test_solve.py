"""`opro-local solve`: its result, repetitions, exact resume through kills, and a real model end to
end.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from made_results import made_result, made_search
from running import ROOT, program, real, sets

from opro_local.errors import UsageError
from opro_local.problems.numeric.numeric import NumericFigures, Reference
from opro_local.runs import repetitions
from opro_local.runs.repetitions import Repetitions
from opro_local.runs.run_result import RunResult

SOLVER = ROOT / "tests" / "scripted_solver.py"
SCRIPTS = {"linear-regression": "random_pair", "tsp": "random_tour"}
KEYS = {"best", "optimum", "gap", "baselines", "proposals", "steps", "digest"}


def command(problem: str, run: Path, *more: str) -> list[str]:
    return [
        *(
            "solve",
            problem,
            "--engine",
            "scripted",
            "--set",
            f"optimizer.script={SOLVER}:{SCRIPTS[problem]}",
        ),
        *("--set", "search.steps=4", "--seed", "2", "--run", str(run), *more),
    ]


def result(*arguments: str, **options) -> dict:
    done = program(*arguments, "--json", **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "problem", [pytest.param("linear-regression", marks=pytest.mark.long), "tsp"]
)
def test_a_run_killed_in_its_third_call_resumes_to_the_same_result(problem, tmp_path):
    clean = result(*command(problem, tmp_path / "clean"))
    assert clean.keys() >= KEYS and sum(clean["proposals"].values()) == 8 * clean["steps"] == 32
    run = tmp_path / "run"
    first = program(*command(problem, run), env={**os.environ, "OPRO_FAULT": "die:3"})
    assert first.returncode == 3 and "Traceback" not in first.stderr
    again = result(*command(problem, run))
    assert {key: again[key] for key in KEYS} == {key: clean[key] for key in KEYS}
    assert again["calls"] == clean["calls"]
    once_more = result(
        *command(problem, run), env={**os.environ, "OPRO_FAULT": "die:1"}
    )  # nothing is asked anew
    assert once_more["digest"] == clean["digest"]


def test_repetitions_are_runs_of_their_own_with_the_seeds_that_follow(tmp_path):
    found = result(*command("tsp", tmp_path / "run", "--repetitions", "3"))
    assert [path.name for path in sorted((tmp_path / "run").iterdir())] == ["1", "2", "3"]
    runs = found["repetitions"]["runs"]
    assert (
        found["gap"] == min(run["gap"] for run in runs)
        and len({run["digest"] for run in runs}) == 3
    )
    second = result(*command("tsp", tmp_path / "alone", "--set", "run.seed=3"))
    assert second["digest"] == runs[1]["digest"]


def test_the_table_shows_every_method_beside_the_optimum(tmp_path):
    done = program(*command("tsp", tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    rows = [re.split(r"\s{2,}", line)[0] for line in done.stdout.splitlines()]
    assert {"OPRO", "nearest neighbour", "farthest insertion", "random search", "optimum"} <= set(
        rows
    )
    assert "step 4:" in done.stderr and " %" not in re.search(r"step 4:.*", done.stderr)[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("knapsack",), "there is no problem 'knapsack'; accepted: linear-regression, tsp"),
        (("tsp", "--data", "none.csv"), "none.csv: can't be read"),
        (("linear-regression", "--data", "none.csv"), "unknown setting problem.data_file"),
        (("linear-regression", "--set", "problem.w=99"), "w = 99 lies outside range"),
        (("tsp", "--set", "problem.kind=prompt"), "unknown setting problem.nodes"),
        (("tsp", "--model", "no-such-model"), "no-such-model"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_no_folder(arguments, says, tmp_path):
    done = program("solve", *arguments, "--run", str(tmp_path / "run"), cwd=tmp_path)
    assert done.returncode in (2, 3) and says in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def finished(value: float, optimum: float | None, steps: int) -> RunResult:
    reference = None if optimum is None else Reference("t", optimum, "exact")
    numeric = NumericFigures(value, reference, {}, {}, 8 * steps)
    return made_result(made_search(digest=f"{value}-{steps}", steps=steps, numeric=numeric))


def test_repetitions_come_together_as_in_the_papers_tables():
    three = Repetitions((finished(15, 10, 9), finished(10, 10, 4), finished(10, 10, 6)))
    found = three.to_json()
    assert found["gap"] == 0.0 and found["steps"] == 4 and found["digest"] != "10-4"
    assert found["repetitions"]["reached"] == 2
    assert found["repetitions"]["steps"] == {"mean": 5.0, "std": 1.0}
    assert found["repetitions"]["evaluations"] == {"mean": 40.0, "std": 8.0}
    assert found["repetitions"]["gap"]["mean"] == pytest.approx(1 / 6)
    alone = finished(9, None, 3)
    assert Repetitions((alone,)).to_json() == alone.to_json()
    assert Repetitions((alone, alone)).to_json()["repetitions"]["steps"] is None


def test_another_problem_is_refused():
    with pytest.raises(UsageError, match="accepted: linear-regression, tsp"):
        repetitions.config_of("prompt")


@pytest.mark.real
@pytest.mark.parametrize(
    ("problem", "settings"),
    [
        ("linear-regression", ["search.steps=1"]),
        ("tsp", ["search.steps=1", "search.candidates=2", "problem.nodes=5"]),
    ],
)
def test_the_embedded_model_proposes_what_can_be_read(problem, settings, tmp_path):
    real("transformers")
    more = sets(*settings)
    arguments = (
        "solve",
        problem,
        "--engine",
        "transformers",
        "--seed",
        "1",
        "--run",
        str(tmp_path / "run"),
        *more,
    )
    found = result(*arguments)
    assert found["proposals"]["invalid"] == 0 and sum(found["proposals"].values()) >= 2
    assert result(*arguments)["digest"] == found["digest"]
