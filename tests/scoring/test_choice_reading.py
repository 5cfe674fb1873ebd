"""Choices and truth values: what an answer begins with, stresses or denies."""

from __future__ import annotations

import math

import pytest

from opro_local.scoring.reading import booleans, choices
from opro_local.scoring.reading.options import options

PLANETS = "Which planet is red?\n(A) Venus\n(B) Mars\n(C) Jupiter\n(D) None of these"

# The answer and the letter it chooses; None where it says nothing or two things.
CHOICES = [
    ("B) Mars", "B"),
    ("B) Mars is red. A) Venus is hot and C) Jupiter is a giant.", "B"),
    ("B. Mars\n\nVenus is too bright and Jupiter is a gas giant.", "B"),
    ("(B) Mars, because Venus is white.", "B"),
    ("**B) Mars**\n\nExplanation: Venus (A) is white; Jupiter (C) is striped.", "B"),
    ("**B**\n\n(A) is white, (C) is striped.", "B"),
    ("B, because (A) is white.", "B"),
    ("B - Venus is white, so not (A).", "B"),
    ("Mars, because Venus is white.", "B"),
    ("Mars\n\nVenus is white and Jupiter is striped.", "B"),
    ("Mars. Venus is white.", "B"),
    ("I'd go with **B** here, since (A) and (C) are not red.", "B"),
    ("I'd go with **(B) Mars**; Venus is white.", "B"),
    ("It is Mars, not Venus.", "B"),
    ("It isn't Venus or Jupiter; it is Mars.", "B"),
    ("(A) is wrong. (C) is wrong too. (B) fits.", "B"),
    ("It's not Mars.", None),
    ("It is not (B).", None),
    ("Option B is incorrect.", None),
    ("(A) Venus is white.\n(B) Mars is red.\n(C) Jupiter is striped.", None),
    ("A) Venus is white. B) Mars is red.", None),
    ("Mars, Venus", None),
    ("Mars or Venus", None),
    ("Mars\nVenus\nJupiter", None),
    ("B and C", None),
    ("(B), (C)", None),
    ("B) Venus", None),
    ("答案是B。", "B"),
    ("答案：B，因为火星是红色的", "B"),
    ("Die Antwort ist B.", "B"),
    ("La réponse est (B).", "B"),
    ("La respuesta correcta es B", "B"),
    ("Ответ: B", "B"),
    ("정답: B", "B"),
    ("正解は(B)です", "B"),
    ("Antwort: Mars", "B"),
    ("<answer>B</answer>", "B"),
    ("Mars\n\nQuestion: Which planet is hot?\nAnswer: Venus", "B"),
    ("B\n\nQ: Which planet is hot?\nA: A", "B"),
]

# The answer and what it says to a yes/no question; None where it says nothing or two things.
TRUTHS = [
    ("**No** (yes would need a proof)", 0),
    ("No (although some say yes)", 0),
    ("Yes, though one might think no.", 1),
    ("I'd say **no**, because yes would need a proof.", 0),
    ("No\n\nYes would need a proof.", 0),
    ("Right, let me think. The answer is no.", 0),
    ("Right, let me think about it. No.", 0),
    ("Correct, as far as it goes: no.", 0),
    ("I can't say yes.", None),
    ("Is it yes? I don't know.", None),
    ("I don't think yes is fair", None),
    ("Die Antwort ist yes", 1),
    ("答案: no", 0),
    ("<answer>yes</answer>, not no", 1),
    ("Yes\n\nQuestion: Is it hot?\nAnswer: No", 1),
    ("yes/no", None),
    ("Yes and no.", None),
    ("Yes.\nNo.", None),
    ("Yes.\nYes.", 1),
    ("Yes? I think so: yes.", 1),
    ("There's no way that yes is correct.", None),
    ("It's unclear whether yes is right.", None),
    ("It does not, so no.", 0),
]


@pytest.mark.parametrize(("answer", "letter"), CHOICES)
def test_the_choice_of_an_answer(answer, letter):
    assert (choices.lenient(answer, options(PLANETS)) or None) == letter


@pytest.mark.parametrize(("answer", "letter"), CHOICES)
def test_a_strict_choice_is_the_same_or_none(answer, letter):
    assert choices.strict(answer, options(PLANETS)) in (None, letter or "")


@pytest.mark.parametrize(("answer", "value"), TRUTHS)
def test_the_truth_of_an_answer(answer, value):
    said = booleans.reader(("yes", "no"))(answer, False)
    assert (None if said is None or math.isnan(said) else said) == value


def test_options_in_other_type():
    listed = options("Pick\nA) don’t know\nB) “quoted”\nC) Café")
    given = ("It is don't know", 'The answer is "quoted".', "Cafe\u0301")
    assert [choices.lenient(answer, listed) for answer in given] == ["A", "B", "C"]
