"""Linear regression: instances, what is read and refused, the optimum, the baselines and three
optimizers.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_solver import perfect_pair, random_pair, repeated_pair

from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.problems.numeric.baselines import (
    Box,
    CountedFunction,
    Spent,
    coordinate_search,
    random_search,
)
from opro_local.problems.numeric.linear_regression import LinearRegression, last_pair, pattern, upto
from opro_local.problems.numeric.numeric import gap
from opro_local.runs import repetitions
from opro_local.runs.driver import drive
from opro_local.runs.plans import make_plan
from opro_local.search.metaprompts import metaprompt
from opro_local.search.trajectory import Trajectory
from opro_local.types import Prompt, Sampling, Solution

GOLDEN = Path(__file__).parents[1] / "golden"
SCRIPTED = (
    'optimizer.engine="scripted"',
    'optimizer.script="none.py:none"',
    'search.metaprompt="linear_regression"',
)


def problem(*overrides: str, constrained: bool = False) -> LinearRegression:
    config = repetitions.config_of("linear-regression", overrides)
    return LinearRegression(config, config.problem, constrained)


def solved(script, *overrides: str) -> dict:
    """The result of a search with a scripted optimizer."""
    ready, trajectory = (
        make_plan(repetitions.config_of("linear-regression", [*SCRIPTED, *overrides])),
        Trajectory(),
    )
    outcome = drive(
        ready.search(trajectory), {"optimizer": ScriptedEngine.of(script, 1 << 20)}, trajectory
    )
    return ready.summarize(trajectory, outcome, 0.05).to_json()


def test_the_first_seeds_give_the_instances_of_the_reference_code():
    """Repetition 0 there: noise from seed 1, w from seed 10, b from seed 100."""
    made = problem()
    noise = np.random.RandomState(1).randn(50)
    assert made.loss((15.0, 14.0)) == pytest.approx(np.linalg.norm(noise) ** 2)
    w = np.random.RandomState(10).uniform(10, 20, 5).round()
    b = np.random.RandomState(100).uniform(10, 20, 5).round()
    assert [made.pair(seed.text) for seed in made.seeds()] == list(zip(w, b, strict=True))


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("[15, 14]", "[15, 14]"),
        ("First [1, 2], then [w, b] = [16.4, 9.6].", "[16, 10]"),
        ("[w=3, b=-4]", "[3, -4]"),
        ("[-0.2, 0.4]", "[0, 0]"),
        (" 12, 18", "[12, 18]"),
        ("w=12, b=18", "[12, 18]"),
        ("[1e1, +5.]", "[10, 5]"),
    ],
)
def test_replies_are_read(reply, text):
    assert problem().parse(reply) == Solution(text)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no pair: ''"),
        ("I can't.", 'no pair: "I can\'t."'),
        ("[1, 2, 3]", "no pair: '[1, 2, 3]'"),
        ("[w, b]", "no pair: '[w, b]'"),
        ("[1, two]", "not a number: 'two'"),
        ("[nan, 3]", "not finite: nan, 3"),
        ("[3, -inf]", "not finite: 3, -inf"),
        ("[1e999, 3]", "not finite: 1e999, 3"),
        ("[51, 0]", "out of range -50 to 50: 51, 0"),
        ("[" + "9" * 5000 + ", 0]", "not finite"),
    ],
)
def test_what_is_no_pair_is_refused_with_a_reason(reply, reason):
    assert problem().parse(reply).startswith(reason)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    found = READER.parse(text)
    assert isinstance(found, str) or READER.parse(found.text) == found


READER = problem()


@given(st.floats(-50, 50), st.floats(-50, 50), st.integers(0, 3))
def test_a_pair_on_the_grid_is_read_as_it_is_written(w, b, decimals):
    made = problem(f"problem.decimals={decimals}", "problem.points=2")
    text = made.solution(made.box.point(w, b)).text
    assert made.parse(text) == Solution(text)


def test_the_last_pair_counts_and_names_do_not():
    assert last_pair("[1, 2] or [3, 4], in the form [w, b]") == ("3", " 4")
    assert last_pair("none") is None


@given(st.integers(0, 5000), st.integers(0, 20_000))
def test_the_regex_of_numbers_up_to_a_bound_is_exact(largest, number):
    assert bool(re.fullmatch(upto(largest), str(number))) == (number <= largest)
    assert not re.fullmatch(upto(largest), f"0{number}")


@given(st.integers(-70, 70), st.integers(-70, 70))
def test_the_constraint_lets_exactly_the_range_through(w, b):
    allowed = re.fullmatch(pattern(-50, 50, 0), f"[{w}, {b}]") is not None
    assert allowed == isinstance(READER.parse(f"[{w}, {b}]"), Solution)


def test_constrained_asks_carry_the_constraint_and_free_ones_do_not():
    samplings = [Sampling(24, 1.0, seed=1), Sampling(24, 1.0, seed=2)]
    for constrained in (True, False):
        batch = next(
            problem(constrained=constrained).ask_optimizer("1/propose", Prompt("p"), samplings)
        )
        kinds = {
            request.sampling.constraint and request.sampling.constraint.kind
            for request in batch.requests
        }
        assert kinds == ({"regex"} if constrained else {None}) and len(batch.requests) == 2


@pytest.mark.parametrize(
    "settings", [(), ("problem.decimals=1", "problem.noise=20"), ("problem.w=-3", "problem.b=50")]
)
def test_no_pair_on_the_grid_beats_the_optimum(settings):
    made = problem(*settings, "run.seed=3")
    w, b = made.pair(made.optimum.text)
    unit = made.box.unit
    around = [(w + i * unit, b + j * unit) for i in range(-3, 4) for j in range(-40, 41)]
    assert (
        made.loss((w, b))
        == made.optimum.value
        <= min(made.loss(made.box.point(*pair)) for pair in around)
    )
    assert made._least_squares()[2] <= made.optimum.value


@pytest.mark.parametrize("name", ["linear_regression", "linear_regression-continuation"])
def test_forms_render_as_their_golden_files(name):
    view = metaprompt.View(
        [("[18, 15]", "393751"), ("[15, 10]", "837")], (), "ascending", "837", "[15, 10]"
    )
    prompt = metaprompt.render(metaprompt.load(name), view, READER.prompt_variables())
    assert prompt.text == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_a_perfect_optimizer_ends_the_search_at_once():
    found = solved(perfect_pair, "run.seed=1")
    assert found["reason"] == "the true pair was proposed" and found["steps"] == 1
    assert found["gap"] == 0 and found["reached"] and found["truth"]["proposed"]
    assert found["proposals"] == {"valid": 1, "invalid": 0, "duplicate": 7}


def test_a_random_optimizer_is_as_good_as_random_search():
    """Its best of N lies among those of random search with N points: the median of five runs within
    a factor of 10.
    """
    runs = [
        solved(random_pair, f"run.seed={seed}", "search.steps=40", "search.patience=0")
        for seed in range(5)
    ]
    ratios = [run["best"]["value"] / run["baselines"]["random_search"] for run in runs]
    assert 0.1 < sorted(ratios)[2] < 10
    assert {run["reason"] for run in runs} == {"all 40 steps done"}


def test_a_repeating_optimizer_is_stopped_by_patience():
    found = solved(repeated_pair, "search.patience=3")
    assert found["reason"].startswith("the optimizer wrote the same text every time; ")
    assert found["proposals"]["valid"] == 1 and found["proposals"]["duplicate"] == 8 * 3 - 1
    assert not found["reached"] and found["gap"] > 1


def test_the_interval_of_a_single_value_holds_it():
    found = solved(repeated_pair, "search.steps=1")
    figures = found["train"]["best"]
    low, high = figures["interval"]
    assert low <= figures["accuracy"] <= high


def test_the_history_is_shown_although_scores_lie_below_zero():
    ready, trajectory = (
        make_plan(repetitions.config_of("linear-regression", [*SCRIPTED])),
        Trajectory(),
    )
    batch = next(ready.search(trajectory))
    text = batch.requests[0].prompt.text
    losses = [float(value) for value in re.findall(r"value:\n(\d+)", text)]
    assert len(losses) == 5 and losses == sorted(losses, reverse=True)


def test_baselines_use_no_more_points_than_they_may():
    asked = set()

    def bowl(point):
        asked.add(point)
        return (point[0] - 3) ** 2 + (point[1] + 2) ** 2

    box, starts = Box(-50, 50, 0, 10), [(15.0, 15.0)]
    assert coordinate_search(bowl, 200, starts, 0.0, box) == 0 and len(asked) < 60
    asked.clear()
    coordinate_search(bowl, 7, starts, 0.0, box)
    assert len(asked) == 7
    assert random_search(bowl, 1, starts, 0.0, box.draw) == bowl((15.0, 15.0))


def test_a_search_that_repeats_itself_ends():
    counted = CountedFunction(lambda point: 1.0, 5, ["a"], 0.0)
    with pytest.raises(Spent):
        while True:
            counted("a")


def test_cma_es_finds_the_optimum_with_enough_points():
    found = solved(random_pair, "search.steps=20", "search.patience=0")
    assert found["baselines"]["cma_es"] == found["optimum"]


@pytest.mark.parametrize(
    ("value", "optimum", "share"),
    [(3.0, 2.0, 0.5), (2.0, 2.0, 0.0), (1.0, 0.0, None), (1, None, None)],
)
def test_gaps(value, optimum, share):
    assert gap(value, optimum) == share


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("problem.w=60", "problem: w = 60 lies outside"),
        ("problem.range=[5, -5]", "problem: range: two bounds"),
        ("problem.noise=nan", "problem.noise"),
        ("problem.decimals=4", "problem.decimals"),
        ("problem.slope=3", "unknown setting problem.slope"),
    ],
)
def test_wrong_settings_are_named(override, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        problem(override)


def test_starts_can_be_given_and_are_checked():
    made = problem('search.seeds=["[3, 4]"]')
    assert made.seeds() == [Solution("[3, 4]")]
    with pytest.raises(UsageError, match="no pair"):
        problem('search.seeds=["three"]')


def test_the_true_pair_off_the_grid_leaves_the_optimum_as_the_target():
    made = problem("problem.w=2.5")
    assert made.target == -made.optimum.value and math.isfinite(made.target)
