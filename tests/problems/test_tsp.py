"""The travelling salesman: points from files, tours read and refused, heuristics, the optimum, and
the asking.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_solver import no_tour, random_tour

from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import DataError, UsageError
from opro_local.problems.numeric import tsp_points, tsp_tours
from opro_local.problems.numeric.tsp import tour_of
from opro_local.runs import repetitions
from opro_local.runs.driver import drive
from opro_local.runs.plans import Plan, make_plan
from opro_local.search.metaprompts import metaprompt
from opro_local.search.trajectory import Trajectory
from opro_local.types import BatchResult, Completion, Prompt, Sampling, Solution

GOLDEN = Path(__file__).parents[1] / "golden"
SCRIPTED = ('optimizer.engine="scripted"', 'optimizer.script="none.py:none"')
FREE = (*SCRIPTED, 'search.metaprompt="tsp"', 'problem.decoding="free"')
CHOSEN = (*SCRIPTED, 'search.metaprompt="tsp-continuation"')


def planned(*overrides: str) -> Plan:
    return make_plan(repetitions.config_of("tsp", overrides))


def driven(ready: Plan, script) -> tuple[dict, Trajectory]:
    """The result and the trajectory of a search with a scripted optimizer."""
    trajectory = Trajectory()
    outcome = drive(
        ready.search(trajectory), {"optimizer": ScriptedEngine.of(script, 1 << 20)}, trajectory
    )
    return ready.summarize(trajectory, outcome, 0.05).to_json(), trajectory


def square(*more: str) -> Plan:
    """Ten drawn points."""
    return planned(*FREE, "run.seed=4", *more)


def distances(nodes: int, seed: int) -> np.ndarray:
    return tsp_points.draw(nodes, (-100, 100), 0, np.random.default_rng(seed)).distances


@pytest.mark.parametrize("seed", range(6))
def test_the_shortest_tour_is_the_shortest_of_all(seed):
    between = distances(7, seed)
    every = [(0, *rest) for rest in itertools.permutations(range(1, 7))]
    least = min(tsp_tours.length(tour, between) for tour in every)
    assert tsp_tours.length(tsp_tours.shortest(between), between) == least


@pytest.mark.parametrize("nodes", [3, 4, 20, 40])
def test_no_heuristic_beats_the_optimum_and_every_one_gives_a_tour(nodes):
    between = distances(nodes, 1)
    best = tsp_tours.length(tsp_tours.shortest(between), between)
    for make in (tsp_tours.nearest_neighbour, tsp_tours.farthest_insertion):
        tour = make(between)
        assert sorted(tour) == list(range(nodes)) and tsp_tours.length(tour, between) >= best


def test_separate_clusters_are_joined_into_one_tour():
    """Without the cuts the cheapest pairs of edges make two triangles."""
    near = np.array([[0, 0], [1, 0], [0, 1], [100, 0], [101, 0], [100, 1]], float)
    between = np.sqrt(((near[:, None] - near) ** 2).sum(-1))
    tour = tsp_tours.shortest(between)
    assert sorted(tour) == list(range(6)) and 200 < tsp_tours.length(tour, between) < 206


def test_more_points_than_can_be_proven_have_no_optimum():
    assert tsp_tours.shortest(distances(tsp_tours.EXACT + 1, 0)) is None


def test_heuristics_on_a_line():
    between = np.abs(np.subtract.outer([0.0, 1, 3, 7, -2], [0.0, 1, 3, 7, -2]))
    assert tsp_tours.nearest_neighbour(between) == tsp_tours.canonical((0, 1, 2, 3, 4))
    assert tsp_tours.length(tsp_tours.farthest_insertion(between), between) == 18


@pytest.mark.parametrize("seed", range(4))
def test_farthest_insertion_takes_the_city_that_costs_most(seed):
    """The rule as the paper states it, with lengths of whole tours."""
    between, tour = distances(12, seed), [0]

    def inserted(city):
        places = [[*tour[:i], city, *tour[i:]] for i in range(1, len(tour) + 1)]
        return min(places, key=lambda longer: tsp_tours.length(longer, between))

    while len(tour) < 12:
        left = [city for city in range(12) if city not in tour]
        tour = max(
            (inserted(city) for city in left), key=lambda longer: tsp_tours.length(longer, between)
        )
    found = tsp_tours.farthest_insertion(between)
    assert tsp_tours.length(found, between) == pytest.approx(tsp_tours.length(tour, between))


@given(st.permutations(range(8)), st.integers(0, 7), st.booleans())
def test_one_tour_is_one_solution(tour, turn, back):
    same = tour[turn:] + tour[:turn]
    same = same[::-1] if back else same
    assert tsp_tours.canonical(tour) == tsp_tours.canonical(same)
    between = distances(8, 0)
    assert tsp_tours.length(tour, between) == tsp_tours.length(same, between)


READER = square().problem


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("0,1,2,3,4,5,6,7,8,9", Solution("0,1,2,3,4,5,6,7,8,9")),
        ("3 -> 2 -> 1 -> 0 -> 9 -> 8 -> 7 -> 6 -> 5 -> 4", Solution("0,1,2,3,4,5,6,7,8,9")),
        ("0,1,2,3,4,5,6,7,8,9,0", Solution("0,1,2,3,4,5,6,7,8,9")),
        ("0,1,2,3,4,5,6,7,8", "not a tour: 1 cities missing, 0 more than once"),
        ("0,1,2,3,4,5,6,7,8,8", "not a tour: 1 cities missing, 1 more than once"),
        ("0,1,2,3,4,5,6,7,8,10", "not a tour: there is no city 10"),
        ("0," + "9" * 6000, "not a tour: there is no city 999999999"),
        ("0.5,1,2", "not a list of cities: '0.5,1,2'"),
        ("nan", "not a list of cities: 'nan'"),
        ("", "not a list of cities: ''"),
    ],
)
def test_replies_are_read_or_refused(reply, found):
    assert READER.parse(reply) == found


@given(st.text())
def test_any_text_is_read_or_refused(text):
    assert isinstance(READER.parse(text), str | Solution)


@pytest.mark.parametrize("name", ["tsp", "tsp-continuation"])
def test_forms_render_as_their_golden_files(name):
    words = {**READER.prompt_variables(), "points": "(0): (1, 2), (1): (30, 40), (2): (-5, 6)"}
    view = metaprompt.View([("0,2,1", "150"), ("0,1,2", "140")], (), "ascending", "140", "0,1,2")
    prompt = metaprompt.render(metaprompt.load(name), view, words)
    assert prompt.text + prompt.prefill == (GOLDEN / f"{name}.txt").read_text("utf-8")


def asked(problem, replies):
    """Drive one ask with a function from a request to a reply; returns the batches and the
    completions.
    """
    batches = []
    asks = problem.ask_optimizer("1/propose", Prompt("Tour:", prefill=" 0,", chat=False), SAMPLINGS)
    try:
        batch = next(asks)
        while True:
            batches.append(batch)
            batch = asks.send(
                BatchResult([Completion(replies(r), "stop", 3, 0, 1) for r in batch.requests], 0.1)
            )
    except StopIteration as end:
        return batches, end.value


SAMPLINGS = [Sampling(64, 1.0, seed=7), Sampling(64, 1.0, seed=8)]


def test_a_constrained_tour_is_chosen_city_by_city_among_those_that_remain():
    problem = planned(*CHOSEN, "problem.nodes=5").problem
    batches, completions = asked(problem, lambda request: request.sampling.constraint.value[-1])
    assert [batch.label for batch in batches] == ["1/propose", "1/propose/city2", "1/propose/city3"]
    assert [batch.requests[0].sampling.constraint.value for batch in batches] == [
        ("1,", "2,", "3,", "4,"),
        ("1,", "2,", "3,"),
        ("1,", "2,"),
    ]
    assert [batch.requests[0].prompt.prefill for batch in batches] == [" 0,", " 0,4,", " 0,4,3,"]
    seeds = [request.sampling.seed for batch in batches for request in batch.requests]
    assert len(set(seeds)) == len(seeds)
    form = metaprompt.load("tsp-continuation")
    texts = [metaprompt.parse(form, done.text, {}) for done in completions]
    assert texts == ["0,4,3,2,1"] * 2 and completions[0].prompt_tokens == 9


def test_a_reply_that_is_no_city_ends_its_tour_alone():
    problem = planned(*CHOSEN, "problem.nodes=5").problem
    first = problem.ask_optimizer(
        "1/propose", Prompt("Tour:", prefill=" 0,", chat=False), SAMPLINGS
    )
    next(first)
    batch = first.send(
        BatchResult([Completion("4", "length", 3, 0, 1), Completion("7", "length", 3, 0, 1)], 0.1)
    )
    assert len(batch.requests) == 1
    first.send(BatchResult([Completion("1,", "stop", 3, 0, 1)], 0.1))
    with pytest.raises(StopIteration) as end:
        first.send(BatchResult([Completion("2,", "stop", 3, 0, 1)], 0.1))
    good, bad = end.value.value
    assert good.text == "4,1,2,3\n" and bad.finish_reason == "length"


def test_a_prompt_that_does_not_fit_is_told_to_the_search():
    problem = planned(*CHOSEN, "problem.nodes=5").problem
    first = problem.ask_optimizer(
        "1/propose", Prompt("Tour:", prefill=" 0,", chat=False), SAMPLINGS
    )
    next(first)
    with pytest.raises(StopIteration) as end:
        first.send(BatchResult([Completion("", "too_long", 9000, 0, 0)] * 2, 0.1))
    assert {done.finish_reason for done in end.value.value} == {"too_long"}


def test_a_model_that_gives_no_tour_is_asked_three_times_a_step_and_then_left():
    ready = square("search.steps=2", "search.candidates=4", "search.patience=0")
    found, trajectory = driven(ready, no_tour)
    assert found["proposals"] == {"valid": 0, "invalid": 2 * 3 * 4, "duplicate": 0}
    assert {rejection.step for rejection in trajectory.rejections} == {1, 2} and not found[
        "reached"
    ]


def test_only_what_was_no_tour_is_asked_again_with_other_seeds():
    batches, completions = asked(
        READER, lambda r: "<trace> 0 </trace>" if r.sampling.seed == 7 else GOOD
    )
    assert [len(batch.requests) for batch in batches] == [2, 1] and len(completions) == 3
    assert batches[1].label == "1/propose/again1" and batches[1].requests[0].sampling.seed not in (
        7,
        8,
    )


GOOD = "<trace> 0,1,2,3,4,5,6,7,8,9 </trace>"


def test_a_perfect_optimizer_ends_the_search_at_once():
    ready = square()
    best = ready.problem.optimum.text.split(",")
    turned = ",".join([*best[3:][::-1], *best[:3][::-1]][::-1])
    found, _ = driven(ready, lambda request: f"<trace>{turned}</trace>")
    assert (found["reason"], found["steps"], found["gap"]) == ("a shortest tour was found", 1, 0.0)


@pytest.mark.parametrize("decoding", [FREE, CHOSEN])
def test_a_random_optimizer_is_as_good_as_random_search(decoding):
    ratios = []
    for seed in range(5):
        found, _ = driven(
            planned(*decoding, f"run.seed={seed}", "search.steps=15", "search.patience=0"),
            random_tour,
        )
        ratios.append(found["best"]["value"] / found["baselines"]["random_search"])
        assert found["proposals"]["invalid"] == 0
    assert 0.9 < sorted(ratios)[2] < 1.1


def test_a_repeating_optimizer_is_stopped_by_patience():
    found, _ = driven(square("search.patience=3"), lambda request: GOOD)
    assert found["reason"].startswith("the optimizer wrote the same text every time; ")
    assert found["proposals"]["invalid"] == 0


def test_a_heuristic_can_be_the_first_start():
    ready = square('problem.start="farthest_insertion"')
    first, *others = [tour_of(seed.text) for seed in ready.problem.seeds()]
    distances = ready.problem._points.distances
    assert first == tsp_tours.farthest_insertion(distances) and len({first, *others}) == 5


def test_there_are_never_more_starts_than_tours():
    assert len(planned(*FREE, "problem.nodes=3").problem.seeds()) == 1
    assert len(planned(*FREE, "problem.nodes=4").problem.seeds()) == 3


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


TSPLIB = (
    "NAME : t\nTYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE : {}\nNODE_COORD_SECTION\n1 0 0\n2 1.5 "
    "0\n3 0 2e0\nEOF\n"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "x,y\n0,0\n1.5,0\n0,2\n"),
        ("p.csv", "0,0\n\n1.5, 0\n0,2"),
        ("p.json", "[[0, 0], [1.5, 0], [0, 2]]"),
        ("p.tsp", TSPLIB.format("EUC_2D")),
    ],
)
def test_points_are_read(tmp_path, name, text):
    points = tsp_points.read(write(tmp_path, name, text))
    assert points.xy.tolist() == [[0, 0], [1.5, 0], [0, 2]]
    assert points.distances[0, 1] == (
        2.0 if name == "p.tsp" else 1.5
    )  # TSPLIB rounds its distances


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "0,0\n1,1\n", "p.csv: 2 points"),
        ("p.csv", "x,y\n0,0\n1,one\n2,2", "p.csv:3: 'one' is not a number"),
        ("p.csv", "0,0\n1,1\n2,2\n1,1.0", "p.csv:4: the point 1, 1 stands at"),
        ("p.csv", "0,0\n1,nan\n2,2", "p.csv:2: nan is not a coordinate"),
        ("p.csv", "0,0\n1,1,1\n2,2", "p.csv:2: ['1', '1', '1'] is not two coordinates"),
        ("p.csv", "", "p.csv: 0 points"),
        ("p.json", "[[0, 0],\n [1, 2", "p.json:2: not JSON"),
        ("p.json", "{}", "p.json:1: not a list"),
        ("p.json", "[[0, 0], [1, true], [2, 2]]", "p.json: point 2: 'True' is not a number"),
        ("p.json", "[" * 100_000, "p.json:1: not JSON"),
        ("p.json", f"[[{'9' * 5000}, 1]]", "p.json:1: not JSON"),
        ("p.json", f"[[{'9' * 400}, 1]]", "p.json: point 1: "),
        ("p.csv", "0,0\n" + "1" * 200_000 + ",0", "p.csv:2: field larger than"),
        ("p.tsp", TSPLIB.format("GEO"), "p.tsp:4: edge weight type GEO"),
        ("p.tsp", "NODE_COORD_SECTION\n1 0 0\n", "p.tsp: no EDGE_WEIGHT_TYPE"),
        ("p.tsp", "EDGE_WEIGHT_TYPE: EUC_2D\n", "p.tsp: no NODE_COORD_SECTION"),
        (
            "p.tsp",
            TSPLIB.format("EUC_2D").replace("2 1.5 0", "2 1.5"),
            "p.tsp:7: '2 1.5' is not a node's",
        ),
    ],
)
def test_wrong_files_are_named_with_their_line(tmp_path, name, text, says):
    with pytest.raises(DataError, match=re.escape(says)):
        tsp_points.read(write(tmp_path, name, text))


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        tsp_points.read(tmp_path / "none.csv")
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        tsp_points.read(tmp_path / "p.csv")


@settings(max_examples=50)
@given(st.text(max_size=200), st.sampled_from(["p.csv", "p.json", "p.tsp"]))
def test_any_file_gives_points_or_a_data_error(tmp_path_factory, text, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(text, "utf-8", "replace", newline="")
    try:
        assert tsp_points.read(path).xy.shape[1] == 2
    except DataError as error:
        assert name in str(error)


def test_drawn_points_are_distinct_and_on_the_grid():
    points = tsp_points.draw(300, (-12, 13), 0, np.random.default_rng(0))
    assert len({tuple(pair) for pair in points.xy.tolist()}) == 300
    assert (points.xy == points.xy.round()).all() and np.abs(points.xy).max() <= 13


def test_a_points_file_is_part_of_what_a_run_is(tmp_path):
    path = write(tmp_path, "p.csv", "".join(f"{i},{Random(i).random()}\n" for i in range(6)))
    before = planned(*FREE, f'problem.data_file="{path}"')
    assert before.problem.nodes == 6
    write(tmp_path, "p.csv", path.read_text() + "9,9\n")
    assert planned(*FREE, f'problem.data_file="{path}"').identity != before.identity


@pytest.mark.parametrize(
    "override", ["problem.nodes=2", "problem.span=[5, 1]", 'problem.start="best"']
)
def test_wrong_settings_are_named(override):
    with pytest.raises(UsageError, match=override.partition("=")[0]):
        planned(*FREE, override)
