"""Which tables have a label that accuracy hardly sees, and the line that says so."""

from __future__ import annotations

import pytest

from opro_local.scoring.balance import (
    absent_labels_notice,
    rare_label_notice,
    unfitted_labels_notice,
)
from opro_local.scoring.choosing import make_rule
from opro_local.types import Example


def rows(counts: dict[str, int]) -> list[Example]:
    targets = [label for label, count in counts.items() for _ in range(count)]
    return [Example(str(n), {}, f"row {n}", one, "") for n, one in enumerate(targets)]


@pytest.mark.parametrize(
    ("rule", "counts", "said"),
    [
        ("labels", {"routine": 113, "urgent": 18}, "the label 'urgent' is rare (18 of 131 rows)"),
        ("labels", {"a": 76, "b": 24}, "the label 'b' is rare (24 of 100 rows)"),
        # A quarter of two labels is half of a fair share.
        ("labels", {"a": 75, "b": 25}, None),
        ("labels", {"a": 50, "b": 50}, None),
        # Of five labels a fair share is a fifth, and half of it a tenth.
        ("labels", {"a": 30, "b": 30, "c": 20, "d": 11, "e": 9}, "the label 'e' is rare (9 of 100"),
        ("labels", {"a": 30, "b": 30, "c": 20, "d": 10, "e": 10}, None),
        ("labels", {"a": 80, "b": 12, "c": 8}, "2 labels are rare, 'c' most (8 of 100 rows)"),
        # Targets that one reads as the same are one label.
        ("boolean", {"no": 40, "No": 45, "yes": 8, "Yes": 7}, "the label 'yes' is rare (15 of 100"),
        ("labels", {"Ham": 45, "ham": 40, "spam": 15}, "'spam' is rare (15 of 100 rows)"),
        # Too few rows for each: they may be texts.
        ("labels", {"a": 5, "b": 1, "c": 1}, None),
        # The letter of an option is no label of its own.
        ("choice", {"A": 90, "B": 10}, None),
        ("number", {"1": 90, "2": 10}, None),
        ("exact", {"x": 90, "y": 10}, None),
    ],
)
def test_a_label_with_less_than_half_of_a_fair_share_is_named(rule, counts, said):
    examples = rows(counts)
    notice = rare_label_notice(make_rule(rule, examples=examples), examples)
    assert bool(notice) == (said is not None)
    if said is not None:
        assert said in notice[0] and "\n" not in notice[0]


def test_the_line_says_what_accuracy_has_for_one_answer_and_what_to_set():
    examples = rows({"routine": 113, "urgent": 18})
    (line,) = rare_label_notice(make_rule("labels", examples=examples), examples)
    assert line == (
        "the label 'urgent' is rare (18 of 131 rows): accuracy has 86 % for always answering "
        "'routine'; --set task.metric=balanced_accuracy (or macro_f1) counts every label alike"
    )


@pytest.mark.parametrize(
    ("train", "validation", "said"),
    [
        (5, 5, ""),
        (1, 6, "; train has 1 of its rows, which is too few to go by"),
        (6, 0, "; validation has 0 of its rows, which is too few to go by"),
        (4, 4, "; train has 4 of its rows, which is too few to go by"),
    ],
)
def test_a_split_with_too_few_rows_of_the_label_is_named(train, validation, said):
    examples = rows({"routine": 113, "urgent": 18})
    parts = {
        "train": rows({"routine": 20, "urgent": train}),
        "validation": rows({"routine": 20, "Urgent": validation}),
    }
    rule = make_rule("labels", examples=examples)
    (line,) = rare_label_notice(rule, examples, parts)
    assert line.endswith(f"counts every label alike{said}")


EVEN = {"sport": 9, "money": 9, "health": 9}


@pytest.mark.parametrize(
    ("train", "labels", "said"),
    [
        (EVEN, ("sport", "money", "health"), None),
        (EVEN, ("Sport", "MONEY", "health"), None),
        (
            EVEN,
            ("sport", "money", "health", "travel"),
            "no train or validation row has 'travel': the bias",
        ),
        (
            {"sport": 9},
            ("sport", "money", "health"),
            "no train or validation row has 'money', 'health': the",
        ),
        (
            {"a": 1},
            tuple("abcdefghi"),
            "no train or validation row has 'b', 'c', 'd', 'e', 'f' and 3 more: the",
        ),
        (EVEN, (), None),
    ],
)
def test_labels_that_no_labelled_row_has_are_named_where_they_are_read(train, labels, said):
    examples = rows(train)
    rule = make_rule("labels", labels=labels or tuple(EVEN), examples=examples)
    lines = unfitted_labels_notice(rule, examples, labels)
    assert [line.startswith(said or "") for line in lines] == ([True] if said else [])


@pytest.mark.parametrize(
    ("metric", "label", "test", "said"),
    [
        ("f1:money", "money", EVEN, ""),
        ("f1:money", "money", {"sport": 9, "Money": 1}, ""),
        ("f1:money", "money", {"sport": 9}, "test has no row with 'money': f1:money says"),
        ("f1:Money", "Money", {"sport": 9}, "test has no row with 'money': f1:Money says"),
        ("mcc", "", {"sport": 9}, "test has no row with 'health', 'money': mcc says nothing"),
        ("macro_f1", "", {"sport": 9, "money": 1}, "test has no row with 'health': macro_f1 says"),
        ("balanced_accuracy", "", EVEN, ""),
    ],
)
def test_a_split_without_a_label_that_a_metric_counts_by_is_named(metric, label, test, said):
    splits = {"train": rows(EVEN), "validation": rows(EVEN), "test": rows(test)}
    rule = make_rule("labels", examples=splits["train"], others=splits["test"])
    lines = absent_labels_notice(rule, metric, label, splits)
    assert [line.startswith(said) for line in lines] == [True] * bool(said)
    assert absent_labels_notice(make_rule("exact"), metric, label, splits) == ()
