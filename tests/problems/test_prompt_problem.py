"""Layouts, filters and scores of prompt problems."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.config import reading
from opro_local.problems.filters import filters, read_constraint
from opro_local.problems.prompt.generic import generic
from opro_local.problems.prompt.layout import Layout
from opro_local.problems.prompt.scores import scores
from opro_local.scoring.judge import judge_prompt
from opro_local.scoring.rule import Verdicts
from opro_local.types import Completion, Example, Prompt

ROW = Example("1", {"text": "2+2", "hint": "add"}, "2+2", "4", "f:1")


@pytest.mark.parametrize(
    ("layout", "prompt"),
    [
        (Layout("Q_begin", True, False), Prompt("Think.\n2+2")),
        (Layout("Q_end", True, False), Prompt("2+2\nThink.")),
        (Layout("before_Q", False, True), Prompt("Think.\nQ: 2+2\n\nA:", chat=False)),
        (Layout("Q_begin", False, True), Prompt("Q: Think.\n2+2\n\nA:", chat=False)),
        (Layout("Q_end", False, True), Prompt("Q: 2+2\nThink.\n\nA:", chat=False)),
        (Layout("A_begin", False, True), Prompt("Q: 2+2\n\nA:", prefill=" Think.", chat=False)),
        (Layout("A_begin", True, False), Prompt("2+2", prefill="Think.")),
        (Layout("system", True, False), Prompt("2+2", system="Think.")),
        (
            Layout("template", True, False, "{instruction} {hint}: {text} {x}"),
            Prompt("Think. add: 2+2 {x}"),
        ),
    ],
)
def test_positions(layout, prompt):
    assert layout.prompt("Think.", ROW) == prompt


def test_an_empty_instruction_leaves_no_blank_line():
    assert Layout("Q_begin", True, False).prompt("", ROW).text == "2+2"
    assert Layout("system", True, False).prompt("", ROW).system is None


def first_reason(text, numeric=False, **search):
    checks = filters(reading.build({"search": search}), numeric)
    return next((reason for check in checks if (reason := check(text))), None)


@pytest.mark.parametrize(
    ("text", "search", "numeric", "reason"),
    [
        ("x" * 501, {}, False, "too long: 501 characters, at most 500"),
        ("x" * 500, {}, False, None),
        ("Add 2 numbers", {}, True, "digits in it"),
        ("Add 2 numbers", {}, False, None),
        ("Add 2 numbers", {"digits": "reject"}, False, "digits in it"),
        ("Add 2 numbers", {"digits": "allow"}, True, None),
        ("Use <INS> here", {}, False, "placeholder tag in it"),
        ("Use INS here", {}, False, "placeholder tag in it"),
        ("INSIST on it", {}, False, None),
        ("one two three", {"max_words": 2}, False, "too long: over 2 words"),
        (
            "one two three",
            {"constraint": "at most 2 words, natural wording"},
            False,
            "too long: over 2 words",
        ),
        ("one {two}", {"constraint": "natural wording"}, False, "not natural wording"),
        ("Good, plain words!", {"constraint": "natural wording"}, False, None),
        (
            "abcdef",
            {"constraint": "no more than 5 characters"},
            False,
            "too long: 6 characters, at most 5",
        ),
    ],
)
def test_filters(text, search, numeric, reason):
    assert first_reason(text, numeric, **search) == reason


def test_constraint_lines_are_read():
    assert read_constraint("At most 20 words, natural wording.") == (20, None, True)
    assert read_constraint("formal tone") == (None, None, False)


@given(st.text(max_size=600))
def test_filters_never_fail(text):
    first_reason(text, True, constraint="at most 20 words, natural wording")


def test_scores_are_split_by_solution_and_count_failures_apart():
    done = [
        Completion("a", "stop", 3, 0, 1),
        Completion("b", "length", 3, 0, 1),
        Completion("", "too_long", 9, 0, 0),
        Completion("a", "stop", 3, 0, 1),
    ]

    texts = [completion.text for completion in done]
    verdicts = Verdicts(
        np.array([t == "a" for t in texts], np.float32),
        np.array([t == "" for t in texts]),
        np.array([1, 0, 0, 0], np.float32),
    )
    first, second = scores(done, 2, verdicts)
    assert (first.metrics, second.metrics) == ({"strict": 0.5}, {"strict": 0.0})
    assert (first.value, first.failures, first.truncated, first.tokens) == (0.5, 0, 1, 8)
    assert (second.value, second.failures, second.truncated, second.tokens) == (0.5, 1, 0, 13)
    assert second.values.tolist() == [0.0, 1.0]


def test_texts_that_models_are_sent_are_what_stored_runs_were_asked_with():
    """Any other letter would change the digests of requests, and no stored run could go on."""
    assert (
        hashlib.sha256("\n".join(generic(["a", "b"])).encode()).hexdigest()[:16]
        == "29bcc2eaa56ed92f"
    )
    row = Example("1", {}, "1 + 1?", "2", "")
    assert judge_prompt(row, "3", "Be strict.").text == (
        "Question:\n1 + 1?\n\nReference answer:\n2\n\nAnswer to grade:\n3\n\nBe strict.\n"
        "Is the answer correct? Reply with one word: correct or incorrect."
    )
