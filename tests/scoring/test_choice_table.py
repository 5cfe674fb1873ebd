"""Which option an answer chooses: the table choices.jsonl, of which a third are traps. A `says` of
null is an answer that chooses none, or leaves open which one, and must stay unread."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from running import ROOT

from opro_local.scoring.reading import choices
from opro_local.scoring.reading.options import options

QUESTIONS = runpy.run_path(str(ROOT / "scripts" / "bench_reading.py"))["QUESTIONS"]
LISTED = {name: options(question) for name, question in QUESTIONS.items()}
TABLE = Path(__file__).parent / "choices.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["answer"][:40])
def test_the_choice_of_an_answer(row):
    listed = LISTED[row.get("options", "planets")]
    assert (choices.lenient(row["answer"], listed) or None) == row["says"]
    assert choices.strict(row["answer"], listed) in (None, row["says"] or "")


def test_the_table_is_wide_enough():
    unread = [row for row in ROWS if row["says"] is None]
    assert len(ROWS) >= 330 and len(unread) >= 140


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("Based on the options given, the answer is (B).", "B"),
        ("The planet known as the red planet is Mars, so (B).", "B"),
        ("(B) describes it best, since Mars is red.", "B"),
        ("B, although A is tempting.", "B"),
        ("B. A is tempting but wrong.", "B"),
        ("A is wrong and B is right.", "B"),
        ("Answer: A. Actually B.", "B"),
        ("Answer: A (should be B)", "B"),
        ("Answer: ~~A~~ B", "B"),
        ("The answer would be B if the sky were blue.", None),
        ("The answer is everything except (B).", None),
        ("The answer is neither B nor C.", None),
        ("A and C are wrong.", None),
        ("A: 10%\nB: 80%\nC: 10%", None),
        ("Students often choose (B).", None),
        ("It's tempting to say (B), but that's a trap.", None),
        ("Mars (A)", None),
        ("Please see option B for details.", None),
        ("(B) is what I would avoid.", None),
        ("In the middle stands (B) with a moon.", None),
        ("What fits is (B) with a moon.", "B"),
    ],
)
def test_a_choice_among_other_words(answer, letter):
    assert (choices.lenient(answer, LISTED["planets"]) or None) == letter
    assert choices.strict(answer, LISTED["planets"]) in (None, letter or "")


def test_long_answers_are_read_in_linear_time():
    for text in ("(A) ", "A → ", "not B, ", "Mars or ", "B. Maybe C. ", "(A", "~~"):
        choices.lenient(text * 50_000, LISTED["planets"])
