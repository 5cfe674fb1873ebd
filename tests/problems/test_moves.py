"""Moves on worked examples, the bandit that chooses among ways, and the draw of parents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.problems.prompt.moves import MOVES, DemonstrationPool
from opro_local.problems.prompt.selection import RowWinners, divide, parents
from opro_local.search.chance import in_turns
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.tasks.division import in_proportion
from opro_local.types import Demonstration, Score, Solution

ROWS = [Demonstration(f"r{i}", "yes" if i % 3 else "no", 10 + i) for i in range(12)]
IDS = [row.id for row in ROWS]


def pool(seed=0, most=6, tokens=1000, wrong=(), known=ROWS):
    return DemonstrationPool(known, most, tokens, wrong, np.random.default_rng(seed))


@given(
    move=st.sampled_from(sorted(MOVES)),
    seed=st.integers(0, 2**32 - 1),
    most=st.integers(1, 8),
    tokens=st.integers(0, 120),
    parent=st.lists(st.sampled_from(IDS), unique=True, max_size=8),
    other=st.lists(st.sampled_from(IDS), unique=True, max_size=8),
    wrong=st.lists(st.sampled_from([*IDS, "unknown"]), max_size=4),
)
def test_every_move_keeps_within_the_limits_and_shows_no_row_twice(
    move, seed, most, tokens, parent, other, wrong
):
    here = pool(seed, most, tokens, wrong)
    start = here.fit(parent)
    made = MOVES[move](here, start, here.fit(other))
    assert len(made) <= most and len(set(made)) == len(made) and set(made) <= set(IDS)
    assert sum(row.tokens for row in ROWS if row.id in made) <= tokens


@given(kinds=st.lists(st.sampled_from("abc"), max_size=20), seed=st.integers(0, 99))
def test_kinds_take_turns_until_one_has_none_left(kinds, seed):
    order = in_turns(kinds, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(kinds)))
    for end in range(len(kinds)):
        counts = {kind: sum(kinds[place] == kind for place in order[:end]) for kind in set(kinds)}
        left = [count for kind, count in counts.items() if count < kinds.count(kind)]
        assert not left or max(counts.values()) - min(left) <= 1


@given(kinds=st.lists(st.sampled_from("aaaab"), max_size=30), seed=st.integers(0, 99))
def test_every_beginning_of_a_proportional_order_has_each_kinds_share(kinds, seed):
    order = in_proportion(kinds, np.random.default_rng(seed)).tolist()
    assert sorted(order) == list(range(len(kinds)))
    for end in range(len(kinds) + 1):
        for kind in set(kinds):
            share = sum(kinds[place] == kind for place in order[:end])
            assert abs(share - end * kinds.count(kind) / len(kinds)) <= 1


def test_orders_with_other_seeds_differ_within_the_kinds():
    orders = {tuple(in_proportion("aabb" * 5, np.random.default_rng(seed))) for seed in range(20)}
    assert len(orders) == 20


def test_a_draw_shows_the_targets_as_equally_often_as_there_are_rows():
    for seed in range(30):
        made = MOVES["draw"](pool(seed), (), ())
        yes = sum(row.target == "yes" for row in ROWS if row.id in made)
        assert 3 <= len(made) <= 6 and abs(2 * yes - len(made)) <= 1


def test_a_correction_takes_a_row_the_parent_got_wrong():
    for seed in range(20):
        made = MOVES["correct"](pool(seed, wrong=("r7",)), ("r0", "r1"), ())
        assert "r7" in made and set(made) == {"r0", "r1", "r7"}
        full = MOVES["correct"](pool(seed, most=2, wrong=("r7",)), ("r0", "r1"), ())
        assert "r7" in full and len(full) == 2


def test_a_cross_begins_as_one_parent_and_ends_as_the_other():
    for seed in range(20):
        made = MOVES["cross"](pool(seed, most=12), ("r0", "r1", "r2"), ("r3", "r4"))
        assert made[0] == "r0" and made[-1] == "r4"


def test_an_alteration_changes_at_most_two_rows():
    parent = ("r0", "r1", "r2", "r3")
    for seed in range(40):
        made = MOVES["alter"](pool(seed), parent, ())
        assert len(set(made) ^ set(parent)) <= 2


def test_the_bandit_follows_what_pays_and_still_tries_the_rest():
    gains = {"good": [0.2] * 20, "poor": [0.0] * 20, "new": []}
    chosen = divide([(0.05, gains)], 400, np.random.default_rng(1))
    counts = {name: chosen.count(name) for name in gains}
    assert counts["poor"] < 10 < counts["new"] < counts["good"]
    even = divide([(0.05, {"a": [], "b": []})], 1000, np.random.default_rng(2))
    assert 400 < even.count("a") < 600
    assert divide([(0.05, gains)], 8, np.random.default_rng(3)) == divide(
        [(0.05, gains)], 8, np.random.default_rng(3)
    )


def test_the_bandit_learns_of_a_kind_from_all_its_ways():
    forms, moves = {"f1": [0.0] * 3, "f2": [0.0] * 3, "f3": []}, {"m1": [0.1], "m2": []}
    chosen = divide([(0.03, forms), (0.1, moves)], 1000, np.random.default_rng(4))
    counts = {name: chosen.count(name) for name in (*forms, *moves)}
    assert counts["f1"] + counts["f2"] + counts["f3"] < 200 and counts["m1"] > 300 < counts["m2"]
    hoped = divide([(0.4, {"a": []}), (0.0, {"b": []})], 1000, np.random.default_rng(2))
    assert hoped.count("a") > 950


def trajectory(*tables, similarities=()):
    made = Trajectory()
    for place, table in enumerate(tables):
        values = np.array(table, float)
        near = similarities[place] if similarities else 0.0
        made.add(
            Entry("train", 0, place, Solution(f"s{place}"), Score(values.mean(), values), near)
        )
    return made


def test_rows_that_few_win_are_worth_more():
    known = trajectory([1, 1, 0, 0, 1], [1, 0, 0, 1, 1], [1, 0, 0, 0, 1], [1, 1, 0, 0, 1])
    # Row 1 is won by two, row 3 by one; rows 0, 2 and 4 are equal for all.
    assert RowWinners(known).weights().tolist() == [0.5, 1.0, 0.0, 0.5]
    assert RowWinners(trajectory([1, 1, 1], [1, 1, 1])).weights().tolist() == [1.0, 1.0]


def pareto(table):
    """What wins are worth, worked out anew from all scores: the definition."""
    differs = (table != table[0]).any(axis=0)
    if not differs.any():
        return np.ones(len(table))
    wins = table[:, differs] == table[:, differs].max(axis=0)
    return (wins / wins.sum(axis=0)).sum(axis=1)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("levels", [2, 5])
def test_what_wins_are_worth_is_kept_as_solutions_come(rows, levels):
    rng = np.random.default_rng(rows + levels)
    known = Trajectory()
    winners = RowWinners(known)
    tables = []
    for number in range(60):
        values = rng.integers(levels, size=rows) / (levels - 1) * (0.5 if number < 20 else 1.0)
        tables.append(values)
        score = Score(float(values.mean()), values)
        known.add(Entry("train", number, 0, Solution(f"s{number}"), score))
        if number % 7 == 0:
            assert winners.weights() == pytest.approx(pareto(np.stack(tables)), abs=1e-12)
    assert winners.weights() == pytest.approx(pareto(np.stack(tables)), abs=1e-12)


def test_solutions_scored_on_a_part_win_nothing_and_one_scored_again_counts_anew():
    known = trajectory([1, 0, 1], [0, 1, 1])
    winners = RowWinners(known)
    part = Score(1.0, np.ones(1), rows=np.array([1]))
    known.add(Entry("train", 1, 0, Solution("part"), part))
    assert winners.weights().tolist() == [1.0, 1.0, 0.0]
    whole = np.array([0.0, 1.0, 1.0])
    known.add(Entry("train", 1, 1, Solution("part"), Score(2 / 3, whole)))
    assert winners.weights().tolist() == [1.0, 0.5, 0.5]


def test_parents_are_those_that_numpy_would_choose():
    tables = np.random.default_rng(5).integers(2, size=(50, 9)).astype(float)
    known = trajectory(*tables)
    drawn = parents(known, RowWinners(known), 40, np.random.default_rng(8))
    rng = np.random.default_rng(8)
    best, whole = known.top(4), known.top(50, among="whole")
    wins = pareto(np.stack([entry.score.values for entry in whole]))
    expected = []
    for number in range(40):
        weights = 0.5 ** np.arange(4) if number % 2 == 0 else wins
        entries = best if number % 2 == 0 else whole
        expected.append(entries[int(rng.choice(len(entries), p=weights / weights.sum()))])
    assert drawn == expected


def test_a_parent_that_alone_wins_a_row_is_drawn_although_it_is_not_among_the_best():
    tables = [[1, 1, 1, 1, 0, 0]] * 5 + [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]
    known = trajectory(*tables)
    drawn = parents(known, RowWinners(known), 400, np.random.default_rng(0))
    counts = {
        name: sum(entry.solution.text == name for entry in drawn)
        for name in ("s0", "s1", "s5", "s6")
    }
    assert counts["s6"] == 0 and counts["s5"] > 20 and counts["s0"] > counts["s1"] > 0


def test_the_exploration_bonus_lets_another_kind_be_a_parent_before_a_copy():
    tables = [[1, 1, 1, 1, 0]] * 5 + [[1, 1, 1, 0, 0]]
    known = trajectory(*tables, similarities=[0, 1, 1, 1, 1, 0])
    first = [
        sum(
            e.solution.text == "s5"
            for e in parents(known, RowWinners(known), 400, np.random.default_rng(0), bonus)[::2]
        )
        for bonus in (0, 0.5)
    ]
    assert first[0] == 0 and first[1] > 20


@pytest.mark.parametrize("way", sorted(MOVES))
def test_moves_without_rows_give_nothing(way):
    assert MOVES[way](pool(known=()), (), ()) == ()
