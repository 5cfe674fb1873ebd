"""The end of a search from `search.revision` 6 on: where no step could be told from those before,
and whether the winner's own text does anything.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from opro_local.config import reading
from opro_local.search.exchange import exchange, pairs_kept
from opro_local.search.state import SearchState
from opro_local.search.stopping import end_of_gains
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Score, Solution

BASE, OWN = Solution("base"), Solution("own", ("train:1", "train:2"))
PLAIN = Solution("base", ("train:1", "train:2"))


def config(**search):
    return reading.build({"search": {"revision": 6, "mode": "mixed", **search}})


def entry(solution, split, step, right, rows):
    values = np.array([1.0] * right + [0.0] * (rows - right))
    return Entry(split, step, 0, solution, Score(float(values.mean()), values))


def climbing(steps, rows=24):
    """A trajectory whose steps scored a solution each, right on so many of the rows."""
    trajectory = Trajectory()
    for step, right in enumerate(steps):
        trajectory.add(entry(Solution(f"{step}"), "train", step, right, rows))
    return trajectory


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        (
            [12, 24, 24, 24, 24, 24],
            "",
        ),  # five are right everywhere, the last gain is five steps old
        ([12, 24, 24, 24, 24, 24, 24, 24, 24], "8 solutions are right on all 24 train rows"),
        ([12, 20, 20, 20, 20, 20], ""),  # four steps without a gain
        ([12, 20, 20, 20, 20, 20, 20], "right on 20 of 24 train rows"),
        ([12, 19, 19, 19, 19, 19, 19, 19], ""),  # one more could be told: five rows, p = 0.03
        ([20, 20, 20, 20, 20, 21], ""),
        ([23, 22, 22, 22, 22, 22], "right on 23 of 24 train rows"),
        ([24], ""),  # at least one step is made
    ],
)
def test_a_search_ends_where_no_step_could_be_told_from_those_before(steps, ends):
    trajectory, last = climbing(steps), len(steps) - 1
    reason = end_of_gains(trajectory, config(), last) or ""
    assert ends in reason and bool(ends) == bool(reason)
    for other in ({"early_stop": False}, {"revision": 5}, {"mode": "opro"}):
        assert end_of_gains(trajectory, config(**other), last) is None


def state_of(own, plain, plain_known=False, **search):
    """A search at its end, and the batches that an exchange asks; a problem that scores the plain
    one.
    """

    def evaluate(solutions, split, label, rows=None):
        yield Batch(label, "scorer", ())
        return [entry(solution, split, 1, *plain[split]).score for solution in solutions]

    problem = SimpleNamespace(splits=("train", "validation"), evaluate=evaluate)
    trajectory = Trajectory()
    trajectory.add(entry(BASE, "train", 0, 4, 10))
    trajectory.add(entry(OWN, "train", 1, 10, 10))
    if plain_known:
        trajectory.add(entry(PLAIN, "train", 1, *plain["train"]))
    for place, (solution, counts) in enumerate(((BASE, (2, 10)), (OWN, own))):
        trajectory.add(replace(entry(solution, "validation", 1, *counts), position=place))
    return SearchState(problem, config(**search), trajectory)


def exchanged(state, best=OWN):
    labels, batches = [], exchange(state, BASE, best, 1)
    try:
        batch = next(batches)
        while True:
            labels.append(batch.label)
            batch = batches.send(BatchResult((), 0.0))
    except StopIteration as end:
        return end.value, labels


@pytest.mark.parametrize(
    ("own", "plain", "chosen"),
    [
        (8, 6, OWN),
        (8, 7, OWN),
        (8, 8, PLAIN),
        (8, 9, PLAIN),
        (3, 3, PLAIN),
        (3, 2, OWN),  # the plain one is no better than the baseline
    ],
)
def test_a_text_is_kept_only_where_validation_says_that_it_helps(own, plain, chosen):
    state = state_of((own, 10), {"train": (9, 10), "validation": (plain, 10)})
    assert exchanged(state) == (chosen, ["1/train/plain", "1/validation/plain"])


def test_a_small_doubt_asks_for_more_than_a_lead():
    plain = {"train": (9, 10), "validation": (7, 10)}
    state = state_of((8, 10), plain)
    evaluation = state.config.evaluation.model_copy(update={"doubt": 0.1})
    doubting = state.config.model_copy(update={"evaluation": evaluation})
    assert exchanged(SearchState(state.problem, doubting, state.trajectory))[0] == PLAIN


def test_each_score_of_a_step_has_its_own_place():
    state = state_of((8, 10), {"train": (9, 10), "validation": (7, 10)})
    exchanged(state)
    entries = [*state.trajectory.entries, *state.trajectory.held_out]
    places = [(entry.split, entry.step, entry.position) for entry in entries if entry.step == 1]
    assert len(set(places)) == len(places) > 3


@pytest.mark.parametrize("best", [BASE, PLAIN, Solution("own")])
def test_what_has_the_plain_text_or_no_examples_is_not_exchanged(best):
    plain = {"train": (9, 10), "validation": (9, 10)}
    assert exchanged(state_of((8, 10), plain), best) == (best, [])


def test_an_exchange_stays_within_the_budget_of_pairs():
    plain = {"train": (9, 10), "validation": (9, 10)}
    assert exchanged(state_of((8, 10), plain, max_pairs=30))[0] == PLAIN
    assert exchanged(state_of((8, 10), plain, max_pairs=29)) == (OWN, [])
    known = state_of((8, 10), plain, True, max_pairs=29)
    assert exchanged(known) == (PLAIN, ["1/validation/plain"])
    assert pairs_kept(known) == 10


@pytest.mark.parametrize("other", [{"revision": 5}, {"mode": "opro"}, {"demonstrations": 0}])
def test_other_searches_exchange_nothing(other):
    state = state_of((8, 10), {"train": (9, 10), "validation": (9, 10)}, **other)
    assert exchanged(state) == (OWN, []) and pairs_kept(state) == 0
