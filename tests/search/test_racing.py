"""Races: the evidence by hand and by hypothesis, the bound by simulation, and whole runs that race
or take subsets.
"""

from __future__ import annotations

import json
import os
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import SCRIPT, program
from scripted_model import answer

from opro_local import stats
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.runs import result
from opro_local.runs.driver import drive
from opro_local.runs.plans import make_plan
from opro_local.runs.store import open_store
from opro_local.search import racing
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import BatchResult, Score, Solution

ALPHA = 0.01


def raced(values, incumbent, rng, prompts=64, alpha=ALPHA):
    """Race known scores in a random order; returns who is left, and the share of pairs scored."""
    solutions, total = values.shape
    order = rng.permutation(total)
    seen, alive, done = np.full(values.shape, np.nan), np.ones(solutions, bool), 0
    while alive.any() and done < total:
        upto = done + racing.block(int(alive.sum()), total - done, prompts)
        seen[alive, done:upto] = values[alive][:, order[done:upto]]
        done = upto
        if done < total:
            alive &= ~racing.beaten(seen[:, :done], incumbent[order[:done]], total, alpha)
    return alive, float((~np.isnan(seen)).mean())


def scores(rng, accuracies, total):
    """0/1 scores with exactly these accuracies, correlated by how hard the rows are; shape
    (solutions, total).
    """
    hard = rng.standard_normal(total)
    ranks = np.argsort(
        np.argsort(0.8 * hard + 0.6 * rng.standard_normal((len(accuracies), total)), axis=1), axis=1
    )
    return (ranks < np.round(np.array(accuracies) * total)[:, None]).astype(float)


def test_the_evidence_of_three_rows_by_hand():
    # 10 rows in all. Row 1 is fair at 0; a win pays 1 + s. Then the lead is 1 and 9 rows are left:
    # fair is -1/9, the largest stake 9/8, and a tie pays 1 + s * (9/8) * (1/9) = 1 + s/8. Then 8
    # are left: fair -1/8, stake 8/7, and a loss pays 1 - s * (8/7) * (7/8) = 1 - s. With s = 0.2,
    # 0.5, 0.8: 0.984, 0.796875, 0.396.
    paid = [(1 + s) * (1 + s / 8) * (1 - s) for s in (0.2, 0.5, 0.8)]
    assert paid == pytest.approx([0.984, 0.796875, 0.396])
    assert racing.evidence(np.array([1.0, 0.0, -1.0]), 10) == pytest.approx(np.mean(paid))


def test_what_the_rest_can_not_turn_is_certain_and_a_possible_tie_is_not():
    assert racing.evidence(np.array([1.0, 1.0, 1.0]), 5) == np.inf
    assert np.isfinite(racing.evidence(np.array([1.0, 1.0, 1.0]), 6))


def test_rivals_share_the_evidence_by_weights_fixed_beforehand():
    # Against the incumbent: 100 of 1,000 rows, the first w won and the others tied.
    for won, dropped in ((9, False), (14, True)):
        own, incumbent = np.zeros((2, 100)), np.zeros(100)
        incumbent[:won] = 1
        assert racing.beaten(own, incumbent, 1000, ALPHA).tolist() == [dropped, dropped]
    money = racing.evidence(np.ones(10), 1000)
    assert 100 < money < 200  # enough against a lone incumbent, not where its weight is a half
    assert racing.beaten(np.zeros((1, 10)), np.ones(10), 1000, ALPHA).all()
    assert not racing.beaten(np.zeros((2, 10)), np.ones(10), 1000, ALPHA).any()


def test_one_dropped_before_stays_dropped_and_its_evidence_stands():
    values = np.zeros((2, 60))
    values[1, 20:] = np.nan
    values[1, :20] = 1.0
    assert racing.beaten(values, np.zeros(60), 100, ALPHA).tolist() == [True, True]
    values[1, :20] = 0.0
    assert racing.beaten(values, np.zeros(60), 100, ALPHA).tolist() == [False, True]


@pytest.mark.parametrize(
    ("alive", "left", "rows"), [(8, 261, 32), (1, 261, 261), (3, 120, 120), (3, 129, 86), (4, 1, 1)]
)
def test_blocks_fill_the_engine_and_leave_no_short_rest(alive, left, rows):
    assert racing.block(alive, left, 256) == rows


@given(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=7),
    st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_over_all_orders_a_sum_of_zero_or_less_earns_at_most_what_was_paid(gaps, unseen):
    """The supermartingale itself: the mean over every order, at every look, is at most 1."""
    gaps = np.array(gaps)
    gaps[0] -= max(0.0, gaps.sum())
    if gaps[0] < -1:
        gaps = np.minimum(gaps, 0)
    looks = max(1, len(gaps) - unseen)
    orders = np.array(list(permutations(gaps)))
    assert racing.evidence(orders[:, :looks], len(gaps)).mean() <= 1 + 1e-9


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.integers(0, 500))
@settings(deadline=None)
def test_evidence_is_never_negative_and_ignores_what_was_not_scored(gaps, more):
    gaps = np.array(gaps)
    found = racing.evidence(gaps, len(gaps) + more)
    assert found >= 0
    padded = np.append(gaps, [np.nan, np.nan])
    assert racing.evidence(padded, len(gaps) + more + 2) == racing.evidence(
        gaps, len(gaps) + more + 2
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_names_of_rivals_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    values, incumbent = scores(rng, [0.9, 0.5, 0.4, 0.7], 80), scores(rng, [0.8], 80)[0]
    shuffled = rng.permutation(4)
    straight = racing.beaten(values[:, :50], incumbent[:50], 80, ALPHA)
    assert (
        racing.beaten(values[shuffled, :50], incumbent[:50], 80, ALPHA) == straight[shuffled]
    ).all()


@pytest.mark.parametrize("gap", [0.0, 0.02])
def test_the_best_is_dropped_within_the_bound_even_at_its_weakest(gap):
    """600 races; alpha = 0.2 and small blocks, so that a rule without the guarantee would be
    caught.
    """
    rng, lost = np.random.default_rng(11), 0
    values = scores(rng, [0.6, *[0.6 - gap] * 5], 100)
    for _ in range(600):
        alive, _ = raced(values[:5], values[5], rng, prompts=25, alpha=0.2)
        lost += not alive[0]
    assert lost / 600 <= 0.2


def test_almost_nobody_is_dropped_among_equals_and_poor_ones_go_early():
    rng = np.random.default_rng(5)
    equal = scores(rng, [0.6] * 9, 200)
    races = [raced(equal[:8], equal[8], rng) for _ in range(200)]
    assert np.mean([1 - alive.mean() for alive, _ in races]) <= ALPHA
    wide = scores(rng, [0.85, 0.6, 0.55, 0.5, 0.5, 0.45, 0.4, 0.3, 0.8], 200)
    races = [raced(wide[:8], wide[8], rng) for _ in range(200)]
    assert all(alive[0] for alive, _ in races) and np.mean([share for _, share in races]) < 0.55


def test_graded_scores_race_as_well():
    rng = np.random.default_rng(8)
    hard = rng.random(200)
    values = np.clip(
        hard + rng.normal(0, 0.05, (4, 200)) - np.array([[0.0], [0.1], [0.2], [0.3]]), 0, 1
    )
    alive, share = raced(values, values[0], rng)
    assert alive.tolist() == [True, False, False, False] and share < 0.6


def part(values, rows=None, **more):
    values = np.array(values, float)
    return Score(
        float(values.mean()), values, rows=None if rows is None else np.array(rows), **more
    )


def entry(score, text, step=1, position=0, dropped=False):
    return Entry("train", step, position, Solution(text), score, dropped=dropped)


def test_blocks_are_joined_in_the_order_of_the_split():
    blocks = [
        part([1, 0], failures=1, tokens=5, metrics={"strict": 0.5}),
        part([0.5], truncated=1, metrics={"strict": 0}),
    ]
    order = np.array([4, 1, 3, 0, 2])
    joined = racing.joined(blocks, order)
    assert (
        joined.values.tolist() == [0, 0.5, 1]
        and joined.rows.tolist() == [1, 3, 4]
        and joined.value == 0.5
    )
    assert (joined.failures, joined.truncated, joined.tokens, joined.metrics["strict"]) == (
        1,
        1,
        5,
        pytest.approx(1 / 3),
    )
    assert racing.joined([part([1, 0, 0.5])], np.array([2, 0, 1])).values.tolist() == [0, 0.5, 1]
    assert racing.joined([part([1, 0, 0.5])], np.array([2, 0, 1])).rows is None


@pytest.fixture
def mixed():
    """A whole seed, a whole leader, one dropped after two easy rows, one scored on two hard rows
    and still standing.
    """
    trajectory = Trajectory()
    trajectory.add(entry(part([1, 0, 0, 0]), "seed", 0))
    trajectory.add(entry(part([1, 1, 1, 0]), "leader"))
    trajectory.add(entry(part([1, 1], [0, 1]), "dropped", 1, 1, dropped=True))
    trajectory.add(entry(part([1, 0], [2, 3]), "standing", 2))
    return trajectory


def test_partial_entries_are_ranked_by_their_distance_to_the_leader_and_dropped_ones_never_win(
    mixed,
):
    named = {e.solution.text: e for e in mixed.entries}
    assert mixed.estimate(named["dropped"]) == 0.75 and mixed.estimate(named["standing"]) == 0.75
    assert [e.solution.text for e in mixed.top(9, among="all")] == [
        "leader",
        "dropped",
        "standing",
        "seed",
    ]
    assert [e.solution.text for e in mixed.top(9)] == ["leader", "standing", "seed"]
    assert [e.solution.text for e in mixed.top(9, among="whole")] == ["leader", "seed"]
    assert mixed.best_by_step() == [0.25, 0.75, 0.75]
    mixed.add(entry(part([1, 1, 1, 1]), "standing", 2, 1))
    assert [e.solution.text for e in mixed.top(9, among="whole")] == ["standing", "leader", "seed"]
    assert [e.solution.text for e in mixed.top(9, among="all")].count("standing") == 1


def test_what_is_wrong_is_counted_where_it_was_asked(mixed):
    assert mixed.share_wrong(4).tolist() == [0, 1 / 3, 1 / 3, 1]
    assert mixed.share_wrong(4, mixed.entries[2:3]).tolist() == [0, 0, 0, 0]


def test_optimism_and_digest_know_parts(mixed):
    whole = Trajectory()
    for kept in mixed.entries[:2]:
        whole.add(kept)
    # One that a race dropped: the others were selected from it, too. One that stands: was not.
    of_whole = stats.optimism_of_best(np.stack([e.score.values for e in whole.entries]))
    assert result.optimism(whole) == of_whole > 0
    assert result.optimism(mixed) == pytest.approx(1.294 * of_whole, rel=1e-3)
    other = Trajectory()
    for kept in mixed.entries[:3]:
        other.add(kept)
    other.add(entry(part([1, 0], [1, 3]), "standing", 2))
    assert other.digest() != mixed.digest()


def run(tables, *changes):
    ready = make_plan(
        reading.build(tables, ["task.split=[0.8, 0.1, 0.1]", "search.candidates=6", *changes])
    )
    trajectory, engine = Trajectory(), ScriptedEngine.of(answer)
    outcome = drive(ready.search(trajectory), {"optimizer": engine, "scorer": engine}, trajectory)
    return ready, trajectory, outcome


RACE = ('evaluation.mode="race"', "evaluation.block=24", "evaluation.drop_alpha=0.4")


def test_a_race_scores_fewer_pairs_and_what_survives_as_a_full_run_would(tables):
    ready, trajectory, outcome = run(tables, *RACE)
    rows = ready.problem.rows["train"]
    dropped = [e for e in trajectory.entries if e.dropped]
    assert dropped and all(0 < e.score.n < len(rows) and e.partial for e in dropped)
    assert all(e.score.n == len(rows) for e in trajectory.entries if not e.dropped)
    check = ready.problem.evaluate([e.solution for e in trajectory.entries], "train", "check")
    batch = next(check)
    with pytest.raises(StopIteration) as end:
        check.send(BatchResult(ScriptedEngine.of(answer).generate(batch.requests), 0.0))
    for e, full in zip(trajectory.entries, end.value.value, strict=True):
        asked = slice(None) if e.score.rows is None else e.score.rows
        assert e.score.values.tolist() == full.values[asked].tolist()
        assert e.score.value == pytest.approx(e.score.values.mean())
    assert outcome.best not in {e.solution for e in dropped}
    found = ready.summarize(trajectory, outcome, 0.05)
    assert found.partial == len(dropped)
    assert found.pairs == sum(e.score.n for e in trajectory.entries)
    assert found.pairs < found.solutions * len(rows) and found.train.best.n == len(rows)


def test_a_race_in_one_block_is_a_full_run(tables):
    full, whole = run(tables)[1], run(tables, 'evaluation.mode="race"', "evaluation.block=9999")[1]
    assert whole.digest() == full.digest()


@pytest.mark.parametrize(("draw", "different"), [("fixed", 1), ("fresh", 4)])
def test_a_subset_is_drawn_by_the_seed_and_its_leaders_are_scored_in_full(tables, draw, different):
    subset = (
        'evaluation.mode="subset"',
        "evaluation.subset_rows=12",
        f'evaluation.subset_draw="{draw}"',
    )
    ready, trajectory, outcome = run(tables, *subset, "evaluation.finalists=3")
    total = len(ready.problem.rows["train"])
    parts = [tuple(e.score.rows) for e in trajectory.entries if e.partial]
    assert {len(rows) for rows in parts} == {12} and len(set(parts)) == different
    whole = trajectory.top(99, among="whole")
    # The seed and the leaders, the seed perhaps being one of them.
    assert len(whole) in (3, 4) and all(e.score.n == total for e in whole)
    assert len({(e.step, e.position) for e in trajectory.entries}) == len(trajectory.entries)
    assert (
        outcome.best in {e.solution for e in whole}
        and ready.summarize(trajectory, outcome, 0.05).train
    )
    assert run(tables, *subset, "evaluation.finalists=3")[1].digest() == trajectory.digest()


def test_racing_needs_rows(tables):
    with pytest.raises(UsageError, match=r'evaluation.mode = "race" needs problem.kind = "prompt"'):
        reading.build({"problem": {"kind": "linear_regression"}, "evaluation": {"mode": "race"}})


class Killed(Exception):
    pass


def test_a_race_that_ends_in_any_engine_call_resumes_exactly(tables, tmp_path):
    ready = make_plan(
        reading.build(tables, ["task.split=[0.8, 0.1, 0.1]", "search.steps=3", *RACE])
    )
    engine, asked = ScriptedEngine.of(answer), []

    class Mortal:
        def __init__(self, last):
            self.left = last

        def generate(self, requests, progress=None):
            self.left -= 1
            if not self.left:
                raise Killed
            asked.append(len(requests))
            return engine.generate(requests, progress)

    def driven(folder, last):
        trajectory, mortal = Trajectory(), Mortal(last)
        store = open_store(tmp_path / folder)
        try:
            drive(
                ready.search(trajectory), {"optimizer": mortal, "scorer": mortal}, trajectory, store
            )
            return trajectory.digest(), [call["label"] for call in store.calls()], store.solutions()
        finally:
            store.close()

    clean = driven("clean", -1)
    labels, rows = clean[1:]
    calls = asked[:]
    assert {"1/train/0", "1/train/1"} < set(labels) and any(row["partial"] for row in rows)
    assert len(set(labels)) == len(labels)
    for last in range(1, len(calls) + 1):
        asked.clear()
        with pytest.raises(Killed):
            driven(str(last), last)
        assert driven(str(last), -1) == clean
        assert asked == calls  # what was answered before is not asked again, and nothing else is


def test_a_killed_engine_in_a_race_costs_that_call_only(reviews, tmp_path):
    def started(folder, **environment):
        changes = (
            "search.steps=2",
            "search.candidates=4",
            'search.metaprompt="continuation"',
            *RACE,
        )
        return program(
            *(
                "optimize",
                "--data",
                str(reviews),
                "--input",
                "text",
                "--target",
                "label",
                "--model",
                "none",
            ),
            *(
                "--engine",
                "scripted",
                "--set",
                f"scorer.script={SCRIPT}",
                "--prompt",
                "What is it?",
                "--seed",
                "4",
            ),
            *(word for change in changes for word in ("--set", change)),
            *("--run", str(tmp_path / folder), "--json"),
            env={**os.environ, **environment},
        )

    clean = json.loads(started("clean").stdout)
    assert started("run", OPRO_FAULT="die:4").returncode == 3
    again = json.loads(started("run").stdout)
    assert (again["digest"], again["calls"]) == (clean["digest"], clean["calls"]) and clean[
        "partial"
    ]
    rows = json.loads(program("show", str(tmp_path / "run"), "--trajectory", "--json").stdout)[
        "trajectory"
    ]
    assert sum(row["partial"] for row in rows) == clean["partial"]
