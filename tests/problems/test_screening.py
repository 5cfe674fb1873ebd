"""Screening: which drafts are scored, which wait, and what their waiting costs the way that wrote
them.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_model import writing
from test_mixing import driven, mixed

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.problems.prompt.selection import ROWS_DOUBT, UNKNOWN, promise
from opro_local.runs.result import operator_figures
from opro_local.search.similarity import sparse_ngrams
from opro_local.search.trajectory import Entry, Proposal, Trajectory
from opro_local.types import Score, Solution

SCORED = [
    ("What is the sentiment?", 0.75, 24),
    ("Write a list of words.", 0.0, 6),
    ("Name a famous song?", 0.0, 6),
]
LIKE_GOOD, LIKE_POOR, UNLIKE = (
    "What is the sentiment of this text?",
    "Write a list of names.",
    "Zzyzx qqq",
)


def test_texts_promise_what_those_like_them_scored():
    good, poor, unlike = promise([LIKE_GOOD, LIKE_POOR, UNLIKE], SCORED)
    assert good > 0.1 > poor and good > unlike
    assert unlike == pytest.approx(np.quantile([0.75, 0, 0], UNKNOWN), abs=0.02)


def test_a_score_on_more_rows_weighs_more():
    few, many = (
        promise([LIKE_GOOD], [("What is the sentiment?", 0.9, n), *SCORED[1:]])[0] for n in (6, 200)
    )
    assert many > few


@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.floats(0, 1), st.integers(1, 300)),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.text(max_size=20), min_size=1, max_size=4),
)
def test_the_guess_is_the_mean_of_a_gaussian_process(scored, texts):
    """Against one that learns from one score after the other (a Kalman filter)."""
    known, values, rows = zip(*scored, strict=True)
    vectors = sparse_ngrams([*known, *texts]).toarray().astype(float)
    spread, mean = vectors @ vectors.T, np.full(len(vectors), np.quantile(values, UNKNOWN))
    for place, (value, n) in enumerate(zip(values, rows, strict=True)):
        trust = spread[:, place] / (spread[place, place] + 1 + ROWS_DOUBT / n)
        mean = mean + trust * (value - mean[place])
        spread = spread - np.outer(trust, spread[place])
    assert promise(texts, scored) == pytest.approx(mean[len(known) :], abs=1e-5)


def test_so_many_drafts_are_written_for_each_text_that_is_scored(tables):
    search = mixed(
        tables, steps=2, candidates=4, drafts=3, retries=0, generic_seeds=0, written_seeds=0
    )
    _, trajectory, batches, _ = driven(search)
    asked = [len(batch.requests) for batch in batches if batch.label.endswith("/propose")]
    scored = [sum(entry.step == step for entry in trajectory.entries) for step in (1, 2)]
    assert asked == [12, 12] and scored == [4, 4]
    operators = operator_figures(trajectory).values()
    assert (
        sum(own.scored for own in operators)
        == 1 + 8
        < sum(own.usable for own in operators)
        <= 1 + 24
    )


def test_what_promises_most_is_scored_and_the_rest_waits(tables):
    """A good draft of the second step goes before all that wait; those of the first are not lost."""
    replies = iter(
        [f"{word} it now" for word in "ABCDEFGHIJKL"] + ["What is it about?"] + ["and so on"] * 99
    )
    search = mixed(
        tables, steps=3, candidates=2, drafts=6, retries=0, generic_seeds=0, written_seeds=0
    )
    search["search"]["operators"] = ["continuation"]
    _, trajectory, _, _ = driven(search, writing(replies.__next__))
    texts = [
        [entry.solution.text for entry in trajectory.entries if entry.step == step]
        for step in (1, 2, 3)
    ]
    assert texts[1][0] == "What is it about?" and len(texts[2]) == 2
    assert set(texts[2]) < {f"{word} it now" for word in "ABCDEFGHIJKL"}


def test_a_draft_that_waits_counts_as_no_gain(tables):
    """Else a way whose drafts are never worth scoring would be tried for ever."""
    search = mixed(
        tables, steps=2, candidates=2, drafts=4, retries=0, generic_seeds=0, written_seeds=0
    )
    _, trajectory, _, _ = driven(search)
    proposed = [proposal for proposal in trajectory.proposals if proposal.parent is not None]
    assert sum(map(len, trajectory.gains().values())) == len(proposed) == 16


def test_without_more_drafts_everything_new_is_scored(tables):
    _, trajectory, _, _ = driven(mixed(tables, drafts=1))
    operators = operator_figures(trajectory).values()
    assert (
        sum(own.scored for own in operators)
        == sum(own.usable for own in operators)
        == len(trajectory.entries)
    )


def test_a_repeat_of_a_draft_that_waits_is_a_duplicate(tables):
    replies = iter([f"{word} it now" for word in "ABCD"] * 9)
    search = mixed(
        tables, steps=2, candidates=1, drafts=4, retries=0, generic_seeds=0, written_seeds=0
    )
    search["search"]["operators"] = ["continuation"]
    _, trajectory, _, _ = driven(search, writing(replies.__next__))
    assert [r.reason.partition(":")[0] for r in trajectory.rejections] == ["duplicate"] * 4
    assert len({entry.solution.key for entry in trajectory.entries}) == len(trajectory.entries) == 3


def test_a_proposal_whose_step_is_not_scored_yet_has_no_gain_and_one_that_waits_has_none_of_worth():
    trajectory = Trajectory()
    first = Entry("train", 0, 0, Solution("a"), Score(0.5, np.array([1.0, 0.0])))
    better = Entry("train", 1, 0, Solution("b"), Score(1.0, np.array([1.0, 1.0])))
    for entry in (first, better):
        trajectory.add(entry)
    keys = [
        (1, better.solution.key),
        (1, Solution("waits").key),
        (2, Solution("being scored").key),
        (2, None),
    ]
    trajectory.proposals += [Proposal(step, "way", first, key) for step, key in keys]
    assert [*trajectory.gains()] == ["way"] and [*trajectory.gains()["way"]] == [0.5, 0.0, 0.0]


def test_with_worked_examples_every_text_is_scored(tables):
    assert reading.build({"search": {"demonstrations": 0}}).search.drafts_each == 3
    assert reading.build({}).search.drafts_each == 1
    with pytest.raises(UsageError, match="drafts chooses by the text alone"):
        reading.build({"search": {"drafts": 2}})
