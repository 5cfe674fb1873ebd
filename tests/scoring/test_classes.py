"""Answers counted by class: the matrix, recall, precision, F1, the largest class, one answer only."""

from __future__ import annotations

import pytest

from opro_local.scoring.classes import ClassFigures, class_figures

TARGETS = ["spam"] * 2 + ["ham"] * 6
MIXED = ["spam", "ham", "ham", "ham", "ham", "spam", "other", None]


def test_every_row_of_the_matrix_and_what_follows_from_it():
    figures = class_figures(TARGETS, MIXED)
    assert list(figures.classes) == ["ham", "spam"]
    ham, spam = figures.classes["ham"], figures.classes["spam"]
    assert (ham.rows, ham.right, ham.unread, ham.claimed) == (6, 3, 1, 4)
    assert ham.answers == {"ham": 3, "spam": 1, "other": 1}
    assert (spam.rows, spam.right, spam.unread, spam.claimed) == (2, 1, 0, 2)
    assert (ham.recall, ham.precision, ham.f1) == (0.5, 0.75, pytest.approx(0.6))
    assert (spam.recall, spam.precision, spam.f1) == (0.5, 0.5, 0.5)
    assert figures.balanced_accuracy == 0.5 and figures.macro_f1 == pytest.approx(0.55)
    assert (figures.majority, figures.majority_share) == ("ham", 0.75)


def test_a_class_that_is_never_answered_has_no_precision():
    figures = class_figures(["a", "b"], ["a", "a"])
    assert (figures.classes["b"].precision, figures.classes["b"].f1) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("targets", "parsed", "always"),
    [
        ("aabb", ["a"] * 4, "a"),
        # Also where it is none of the classes.
        ("aabb", ["c"] * 4, "c"),
        ("aabb", ["b", "b", "b", None], "b"),
        # Too little was read to say so.
        ("aabb", ["b", "b", None, None], None),
        ("aabb", [None] * 4, None),
        ("aabb", ["a", "b", "a", "a"], None),
        # Right, and no wonder.
        ("aaaa", ["a"] * 4, None),
    ],
)
def test_a_prompt_that_always_gives_one_answer(targets, parsed, always):
    assert class_figures(list(targets), parsed).always == always


def test_of_equal_classes_the_first_is_called_the_largest():
    assert class_figures(["b", "a", "a", "b"], ["a"] * 4).majority == "b"


def test_its_json_is_read_back():
    figures = class_figures(TARGETS, MIXED)
    assert ClassFigures.from_json(figures.to_json()) == figures
