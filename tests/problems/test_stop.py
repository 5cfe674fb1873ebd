"""A stop is part of the form: all solutions that are compared have the same."""

from __future__ import annotations

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.problems.prompt.layout import Layout
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.types import Solution


def problem(reviews, scorer=None, **task):
    model = {"engine": "scripted", "model": "scripted", "script": SCRIPT, **(scorer or {})}
    data = {"data": str(reviews), "input": "text", "target": "label"}
    plan = prompt_plan(reading.build({"task": {**data, **task}, "scorer": model}))
    return plan.problem


def stops(problem):
    """The stops of an instruction alone, of one with a worked example, and of none at all."""
    rows = problem.rows["train"]
    asked = (Solution("Good?"), Solution("Good?", (rows[0].id,)), Solution(""))
    return [
        {request.sampling.stop for request in problem.requests(one, "train", rows)} for one in asked
    ]


TEMPLATE = "{instruction}\n\nReview: {text}\nSentiment:"


@pytest.mark.parametrize(
    ("scorer", "task", "stop"),
    [
        ({"chat": False}, {}, ("\nQ:",)),
        ({"chat": False}, {"position": "before_Q"}, ("\nQ:",)),
        ({"chat": False}, {"position": "A_begin", "qa": False}, ("\nQ:",)),
        ({"chat": False}, {"position": "template", "template": TEMPLATE}, ("\nReview:",)),
        (
            {"chat": False},
            {"position": "template", "template": "{text}\n{instruction}"},
            ("\n\n",),
        ),
        ({"chat": True}, {}, ()),
        ({"chat": False}, {"stop": ["###", "\n"]}, ("###", "\n")),
        ({"chat": False}, {"stop": []}, ()),
        ({"chat": True}, {"stop": ["\n"]}, ("\n",)),
    ],
)
def test_every_solution_has_the_same_stop(reviews, scorer, task, stop):
    assert stops(problem(reviews, scorer, **task)) == [{stop}] * 3


def test_older_runs_keep_theirs(reviews):
    old = problem(reviews, {"chat": False}, revision=1)
    assert stops(old) == [{()}, {("\n",)}, {()}]


def test_a_chat_model_shown_examples_in_a_text_has_one_stop():
    assert Layout("Q_begin", True, False, None, turns=False).stop == ("\nQ:",)


def test_an_empty_stop_is_refused(reviews):
    with pytest.raises(Exception, match="at least 1 character"):
        problem(reviews, stop=[""])
