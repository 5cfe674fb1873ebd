"""What the rule "auto" chooses: on all labelled rows, whatever the draw, and with a reason."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.scoring.auto import choose
from opro_local.scoring.choosing import make_rule
from opro_local.types import Example


def rows(targets):
    return [Example(str(n), {}, f"row {n}", target, "f") for n, target in enumerate(targets)]


def spread(counts):
    return [name for name, count in counts.items() for _ in range(count)]


INTENTS = {f"intent {n:02}": 3 + n % 5 for n in range(77)}
RARE = {f"intent {n:02}": 1 + (n % 4) * 2 for n in range(150)}


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        (spread({"yes": 10, "no": 190}), "boolean"),
        (spread({"yes": 1, "no": 59}), "boolean"),
        (spread(INTENTS), "labels"),
        (spread(RARE), "labels"),
        (spread({"0": 30, "1": 30}), "labels"),
        (spread({"0": 3, "1": 57}), "labels"),
        (spread({"1": 9, "2": 4, "3": 12, "4": 8, "5": 30}), "labels"),
        (spread({"-1": 5, "0": 10, "1": 20}), "labels"),
        (spread({"0": 40, "4": 40}), "labels"),
        (spread({str(n): 6 for n in range(20)}), "labels"),
        (spread({str(n): 6 for n in range(11)}), "labels"),
        (spread({str(n): 4 for n in range(77)}), "number"),
        (spread({str(n): 40 for n in range(31)}), "number"),
        (spread({str(n): 3 for n in range(11)}), "number"),
        (spread({str(n): 1 + 40 // (1 + n) for n in range(16)}), "number"),
        (spread({str(n): 8 for n in range(15) if n != 7}), "number"),
        (spread({'["a"]': 30, '["a", "b"]': 2}), "labels_set"),
        (spread({'["a", "b"]': 9, '["b"]': 9}), "labels_set"),
        (spread({'["a", "b"]': 9, '["b", "a"]': 9}), "labels_set"),
        (spread({'["a", "b"]': 9, "[]": 9}), "labels_set"),
        ([f'["name {n}", "town {n}"]' for n in range(40)], "json"),
        (spread({'{"a": 1}': 9, '{"a": 2}': 9}), "json"),
        (spread({"1.0": 20, "0.0": 30}), "labels"),
        (spread({"0": 9, "1": 8, "unclear": 5}), "labels"),
        ([str(n) for n in range(60)], "number"),
        (spread({str(7 * n): 3 for n in range(20)}), "number"),
        (spread({"1200": 30, "1800": 30}), "number"),
        (spread({"2.5": 10, "3.5": 10}), "number"),
        (["1", "2", "1", "2", "5"], "number"),
        ([f"text {n}" for n in range(40)] + ["text 0"] * 20, "exact"),
        (spread({f"a line\nand another {n}": 9 for n in range(3)}), "exact"),
        (spread({"x" * 101: 9, "y" * 101: 9}), "exact"),
    ],
)
def test_the_targets_choose_whatever_their_order(targets, name):
    rng = np.random.default_rng(0)
    chosen = {choose((), None, rows(rng.permutation(targets).tolist())) for _ in range(5)}
    assert [choice.name for choice in chosen] == [name]


def test_runs_begun_before_choose_as_they_did():
    counts = rows(spread({str(n): 40 for n in range(31)}))
    assert choose((), None, counts).name == "number"
    assert choose((), None, counts, revision=2).name == "labels"
    lists = rows(spread({'["a"]': 30, '["a", "b"]': 2}))
    assert choose((), None, lists, revision=2).name == "json"


@pytest.mark.parametrize(
    ("target", "name"), [("yes", "exact"), ("5", "number"), ("a long text", "exact")]
)
def test_targets_that_are_all_the_same_are_told(target, name):
    choice = choose((), None, rows([target] * 12))
    assert choice.name == name
    assert choice.reason.endswith(f"; all 12 targets are {target!r}, so that rows teach nothing")
    assert "teach nothing" not in choose((), None, rows([target])).reason


def test_a_tolerance_makes_numbers_amounts():
    stars = rows(spread({str(n): 9 for n in range(1, 6)}))
    assert choose((), None, stars).name == "labels"
    assert choose((), None, stars, has_tolerance=True).name == "number"
    assert choose((), "absolute=1", stars).name == "number"


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Two hundred rows, five in a hundred of them "yes"."""
    path = tmp_path_factory.mktemp("auto") / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        targets = ["yes" if n % 20 == 0 else "no" for n in range(200)]
        csv.writer(stream).writerows(
            [("input", "target"), *((f"question {n}", target) for n, target in enumerate(targets))]
        )
    return path


def plan(data, **task):
    scorer = {"engine": "scripted", "model": "scripted", "script": SCRIPT}
    return prompt_plan(reading.build({"task": {"data": str(data), **task}, "scorer": scorer}))


@pytest.mark.parametrize(
    "task",
    [{}, {"train_rows": 5, "validation_rows": 5, "test_rows": 5}, {"split": (0.05, 0.05, 0.05)}],
)
def test_no_draw_changes_the_rule(answers, task):
    plans = [plan(answers, split_seed=seed, **task) for seed in range(10)]
    assert {ready.rule for ready in plans} == {"boolean"}
    reasons = {note for ready in plans for note in ready.notices if "auto" in note}
    assert reasons == {"rule boolean, chosen by auto: every target is yes or no"}


def test_a_tolerance_that_no_rule_has_is_refused(answers):
    with pytest.raises(UsageError, match=r"the rule is boolean \(every target is yes or no\)"):
        plan(answers, absolute=0.5)
    with pytest.raises(UsageError, match="are of the rule number, and the rule is labels;"):
        plan(answers, absolute=0.5, rule="labels")


def test_the_reason_names_what_was_seen():
    assert choose((), None, rows(spread(INTENTS))).reason == (
        "77 different targets in 382 rows are labels: most occur several times"
    )
    assert choose((), None, rows(["1", "5"] * 30)).reason == (
        "2 different targets in 60 rows are whole numbers from 1 to 5, as codes of classes"
    )


@pytest.mark.parametrize(
    ("answer", "target", "value"),
    [
        ("4", "4", 1),
        ("The rating is 4.", "4", 1),
        ("Answer: **4**", "4", 1),
        ("4.0", "4", 1),
        ("four", "4", 1),
        ("3", "4", 0),
        ("-1", "1", 0),
        ("-1", "-1", 1),
        ("7", "4", 0),
        ("no idea", "4", 0),
    ],
)
def test_codes_of_classes_are_read_as_numbers(answer, target, value):
    rule = make_rule("labels", ("-1", "1", "2", "3", "4", "5"))
    assert rule.score([answer], rows([target]))[0].tolist() == [value]
    assert rule.extract("7") is None  # no class, and so unread


def test_a_class_written_with_a_point_is_the_class():
    rule = make_rule("auto", examples=rows(["0.0", "1.0"] * 9))
    assert rule.score(["1", "1.0", "0"], rows(["1.0", "1.0", "1.0"]))[0].tolist() == [1, 1, 0]
