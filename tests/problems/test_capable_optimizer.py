"""What a capable optimizer is asked from `search.revision` 6 on, with a scripted one that writes
long, well-formed instructions of known effect. It proves mechanics only.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from capable_optimizer import CLAUSES, capable, write_kinds

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.models.cards import Card
from opro_local.problems.prompt.leaks import names_all
from opro_local.problems.prompt.minibatch import _cut, balanced
from opro_local.runs.driver import drive
from opro_local.runs.events import BatchStart, Listener
from opro_local.runs.plans import make_plan, prompt
from opro_local.search.replies import kinds
from opro_local.search.trajectory import Trajectory
from opro_local.types import Mistake


@pytest.fixture
def driven(tables, tmp_path, monkeypatch):
    """Drive a small search with a stand-in that chats; gives its trajectory, optimizer batches and
    end.
    """
    data = write_kinds(tmp_path / "kinds.csv", 64)
    cards = {role: Card("stand-in", metaprompt="tags") for role in ("optimizer", "scorer")}
    monkeypatch.setattr(prompt, "cards_of", lambda config, roles: cards)

    def run(script, context=8192, **search):
        own = {"steps": 1, "candidates": 4, "demonstrations": 0, "drafts": 1, "retries": 0}
        own |= {"seeds": ["What is it?"], "generic_seeds": 2, "revision": 6, **search}
        task = {**tables["task"], "data": str(data)}
        plan = make_plan(reading.build({**tables, "task": task, "search": own}))
        trajectory, batches = Trajectory(), []

        def note(event):
            if isinstance(event, BatchStart) and event.batch.role == "optimizer":
                batches.append(event.batch)

        engines = {
            "optimizer": ScriptedEngine.of(script, context),
            "scorer": ScriptedEngine.of(script),
        }
        end = drive(plan.search(trajectory), engines, trajectory, listener=Listener(note))
        return trajectory, batches, end

    return run


def too_long(trajectory):
    return kinds(one.reason for one in trajectory.rejections)["too long"]


@pytest.mark.parametrize("length", [800, 1400])
def test_texts_of_a_chat_models_length_are_usable(driven, length):
    before, _, _ = driven(capable(length), revision=5)
    assert too_long(before) == 5 and not before.shortening.asked
    after, batches, _ = driven(capable(length))
    assert too_long(after) == 0 and not after.shortening.asked
    longest = max(len(entry.solution.text) for entry in after.entries)
    assert longest > 500 and 0.8 * length < longest <= 1.1 * length
    for batch in batches:
        for request in batch.requests:
            if batch.label != "0/describe":
                assert "at most 4,000 characters" in request.prompt.text
                assert request.sampling.max_tokens >= 4000 / 3


def test_a_text_that_is_too_long_is_asked_for_once_in_fewer_words(driven):
    trajectory, batches, _ = driven(capable(800, heeds=False), max_characters=500)
    assert [batch.label for batch in batches] == [
        *("0/describe", "0/write", "0/shorten", "1/propose", "1/propose/1")
    ]
    again = batches[-1].requests
    assert len(again) == 4 and trajectory.shortening.asked == 5
    assert all("is too long: it has" in one.prompt.text for one in again)
    assert trajectory.shortening.usable == 5 - too_long(trajectory) - len(trajectory.rejections)
    assert trajectory.shortening.usable >= 2
    assert all(len(entry.solution.text) <= 500 for entry in trajectory.entries)


def test_a_text_that_stays_too_long_is_refused_after_one_request(driven):
    trajectory, batches, end = driven(capable(800, heeds=False), max_characters=40)
    assert trajectory.shortening.asked == 5 and trajectory.shortening.usable == 0
    assert too_long(trajectory) == 5 and len(batches[-1].requests) == 4
    assert "search.max_characters" in end.fault


@pytest.mark.parametrize("heeds", [True, False])
def test_nothing_is_asked_again_where_nothing_is_too_long(driven, heeds):
    _, batches, _ = driven(capable(300, heeds))
    assert [batch.label for batch in batches] == ["0/describe", "0/write", "1/propose"]


ROW = re.compile(r"Input: (Review \d+ .*)\nOutput: (\w+)")


def reflections(batches):
    """The rows of every reflection: those that were wrong, and those that were right."""
    rows = []
    for batch in batches:
        for request in batch.requests:
            wrong, _, right = request.prompt.text.partition("On these its output was right")
            if "on which its output was wrong" in wrong:
                rows.append((frozenset(ROW.findall(wrong)), frozenset(ROW.findall(right))))
    return rows


def test_every_reflection_sees_other_mistakes_and_rows_that_were_right(driven):
    few = {"operators": ["tags", "reflection"], "candidates": 12, "written_seeds": 0}
    few |= {"generic_seeds": 0}
    _, batches, _ = driven(capable(300), **few)
    shown = reflections(batches)
    assert len(shown) >= 3
    assert len({wrong for wrong, _ in shown}) == len(shown)
    assert all(len(wrong) == 4 and len(right) == 2 for wrong, right in shown)
    # Both labels are among the wrong rows of each, and no row is right and wrong.
    assert all(len({said for _, said in wrong}) == 2 for wrong, _ in shown)
    assert all(not wrong & right for wrong, right in shown)
    _, batches, _ = driven(capable(300), revision=5, **few)
    before = reflections(batches)
    assert len(before) >= 3 and len(set(before)) == 1 and not before[0][1]


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("", ""),
        ("x" * 600, "x" * 600),
        (
            "First. " + "y" * 900 + " So: no",
            "First. " + "y" * 113 + " [...] " + "y" * 393 + " So: no",
        ),
    ],
)
def test_a_long_output_is_cut_to_its_beginning_and_end(output, shown):
    assert _cut(Mistake("train:1", "q", "t", output, "why")).output == shown


@pytest.mark.parametrize(
    ("targets", "first"),
    [
        (["a"] * 30 + ["b"] * 6, {"a": 6, "b": 6}),
        (["a", "b", "c"] * 20, {"a": 4, "b": 4, "c": 4}),
    ],
)
def test_rows_to_guess_from_have_the_labels_in_turns(targets, first):
    order = balanced(targets, np.random.default_rng(0))[:12]
    assert Counter(targets[place] for place in order) == first


def test_rows_with_targets_of_their_own_come_in_any_order():
    orders = {tuple(balanced(list("abcdef"), np.random.default_rng(seed))) for seed in range(9)}
    assert len(orders) > 5 and all(sorted(order) == list(range(6)) for order in orders)


def inductions(batches):
    return [
        len(re.findall(r"Input: ", request.prompt.text))
        for batch in batches
        for request in batch.requests
        if "and some inputs" in request.prompt.text
    ]


def test_a_text_is_guessed_from_many_rows(driven):
    only = {"operators": ["induction"], "written_seeds": 2}
    _, batches, _ = driven(capable(300), **only)
    assert set(inductions(batches)) == {24}
    _, batches, _ = driven(capable(300), revision=5, **only)
    assert set(inductions(batches)) == {6, 3}


def test_rows_over_the_context_are_left_out_and_stay_out(driven):
    limits = {"operators": ["induction"], "written_seeds": 1, "max_characters": 600, "steps": 2}
    trajectory, batches, _ = driven(capable(300), context=700, **limits)
    assert inductions(batches)[0] == 24 and min(inductions(batches)) < 24
    asked = {batch.label: inductions([batch]) for batch in batches}
    assert "1/propose/fewer1" in asked and "2/propose/fewer1" not in asked
    assert not kinds(one.reason for one in trajectory.rejections)[
        "the meta-prompt does not fit the optimizer's context"
    ]
    assert len(asked["2/propose"]) == 4


@pytest.mark.parametrize(
    ("text", "labels", "names"),
    [
        ("Say positive or negative.", ["positive", "negative"], True),
        ("Say POSITIVE or Negative!", ["positive", "negative"], True),
        ("Say positive.", ["positive", "negative"], False),
        ("Is it positively negative?", ["positive", "negative"], False),
        ("Is it not spam or spam?", ["spam", "not spam"], True),
        ("Is it spam?", ["spam", "not spam"], False),
        ("Anything.", [], False),
    ],
)
def test_a_text_names_all_labels_or_not(text, labels, names):
    assert names_all(text, labels) is names


def test_starting_texts_that_name_all_labels_are_also_scored_bare(driven):
    some = {"demonstrations": 2, "generic_seeds": 6, "written_seeds": 1, "steps": 0}
    trajectory, _, _ = driven(capable(300), **some)
    seeds = [entry.solution for entry in trajectory.entries if entry.step == 0]
    bare = [seed.text for seed in seeds if not seed.demonstrations]
    # The baseline, four generic texts that name the labels and the written one.
    assert len(bare) == 6 and all(names_all(text, ["positive", "negative"]) for text in bare[1:])
    assert {seed.text for seed in seeds if seed.demonstrations} >= set(bare[1:])
    before, _, _ = driven(capable(300), revision=5, **some)
    assert len(before.entries) == len(trajectory.entries)
    assert sum(not entry.solution.demonstrations for entry in before.entries) == 1


def test_the_kinds_that_reflections_show_are_mended(driven):
    trajectory, _, _ = driven(capable(700), steps=3, operators=["tags", "reflection"])
    best = trajectory.top(1)[0].solution.text
    assert sum(clause in best for clause in CLAUSES.values()) >= 3
