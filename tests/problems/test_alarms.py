"""What is alarming in the first scored answers, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from opro_local.problems.prompt.alarms import Alarm, FirstBatch
from opro_local.scoring.choosing import make_rule
from opro_local.types import Completion, Example

ROWS = [
    Example(str(n), {}, f"row {n}", ("ham", "spam")[n % 2], f"f.csv:{n + 2}") for n in range(10)
]


def batch(texts, cut=(), rule="labels", rows=ROWS):
    """The first answers, some of them cut."""
    made = make_rule(rule, examples=rows)
    _, failed = made.score(texts, rows)
    answers = [
        Completion(text, "length" if n in cut else "stop", 5, 0, 3) for n, text in enumerate(texts)
    ]
    golds = made.prepare(rows).golds
    return FirstBatch(
        rows,
        answers,
        np.asarray(failed),
        lambda place: made.read(texts[place], golds[place % len(rows)]),
        rule,
        32,
    )


RIGHT = [row.target for row in ROWS]


def test_answers_that_are_read_and_differ_are_well():
    assert batch(RIGHT).alarms() == ()
    # Half is not more than half.
    assert batch([*RIGHT[:5], *["well"] * 5]).alarms() == ()
    assert batch(RIGHT, cut=range(5)).alarms() == ()


def test_more_than_half_unread_is_an_alarm_with_three_examples():
    (alarm,) = batch([*RIGHT[:4], *["I can't say\x1b[2J"] * 6]).alarms()
    assert alarm.kind == "unread"
    assert alarm.text == (
        "6 of the first 10 answers could not be read by the rule labels; they score 0."
    )
    assert alarm.examples == tuple(
        f"f.csv:{n + 2}: \"I can't say\\x1b[2J\" (read: nothing; target '{ROWS[n].target}')"
        for n in (4, 5, 6)
    )
    assert 'scorer.constrain = "labels"' in alarm.advice and "task.rule" in alarm.advice
    assert alarm.lines[0].startswith("ALARM: 6 of") and len(alarm.lines) == 5


def test_no_constraint_is_advised_where_there_is_none():
    (alarm,) = batch([""] * 10, rule="exact").alarms()
    assert "constrain" not in alarm.advice


def test_more_than_half_cut_is_an_alarm_though_some_are_read():
    (alarm,) = batch(["spam and so on", *["I think that"] * 5, *RIGHT[6:]], cut=range(6)).alarms()
    assert (alarm.kind, alarm.text) == (
        "cut",
        "6 of the first 10 answers were cut at 32 tokens, 5 of them could not be read.",
    )
    assert "scorer.max_tokens (now 32)" in alarm.advice
    assert "(read: 'spam'; target 'ham')" in alarm.examples[0]


def test_thoughts_that_did_not_end_are_told_the_setting_that_gives_them_tokens():
    (alarm,) = batch([*["<think>"] * 5, "and so", *RIGHT[6:]], cut=range(6)).alarms()
    assert (alarm.kind, alarm.text) == (
        "cut",
        "5 of the first 10 answers are thoughts that did not end within their tokens; nothing is "
        "read in them.",
    )
    assert alarm.advice.startswith("Raise scorer.thinking_tokens") and "now 32" in alarm.advice
    # Where most were cut in the answer itself, the answer needs the tokens.
    (alarm,) = batch([*["<think>"] * 2, *["and so"] * 4, *RIGHT[6:]], cut=range(6)).alarms()
    assert alarm.advice.startswith("Raise scorer.max_tokens (now 32)")


def test_one_answer_to_all_rows_is_an_alarm():
    (alarm,) = batch(["Spam.", "It is spam", *["spam"] * 8]).alarms()
    assert (alarm.kind, alarm.text) == (
        "equal",
        "All 10 answers to the first prompt say the same, 'spam'.",
    )


def test_another_solution_that_always_says_the_same_is_none():
    assert batch([*RIGHT, *["spam"] * 10]).alarms() == ()


@pytest.mark.parametrize(
    "first",
    [
        batch(["spam"] * 7, rows=ROWS[:7]),  # too few to say
        batch(["ham"] * 8, rule="exact", rows=[ROWS[0]] * 8),  # they all are
        batch(["x"] * 3, rule="exact", rows=ROWS[:3]),
    ],
)
def test_too_little_is_no_alarm(first):
    assert first.alarms() == ()


def test_an_alarm_is_read_back():
    alarm = Alarm("equal", "All.", ("a", "b"), "Do.")
    assert Alarm.from_json(alarm.to_json()) == alarm


def test_long_answers_are_shortened():
    (alarm,) = batch(["x" * 5000] * 10, rule="labels").alarms()
    assert all(len(example) < 250 for example in alarm.examples)
