"""A gain in two parts: answers that can be read now, and answers that are right now."""

from __future__ import annotations

import numpy as np
import pytest

from opro_local.runs.gain import GainParts, gain_parts, gain_words
from opro_local.types import ReadAnswers, Score

# An answer: what it earned, whether it could not be read, whether it was cut.
RIGHT, WRONG = (1.0, False, False), (0.0, False, False)
UNREAD, CUT_UNREAD = (0.0, True, False), (0.0, True, True)
CUT_RIGHT, CUT_WRONG = (1.0, False, True), (0.0, False, True)


def score(*answers: tuple[float, bool, bool]) -> Score:
    values, failed, truncated = (np.array(column) for column in zip(*answers, strict=True))
    return Score(float(values.mean()), values, read=ReadAnswers(failed, truncated))


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        (WRONG, RIGHT, GainParts(0.0, 1.0, 0, 1)),
        (RIGHT, WRONG, GainParts(0.0, -1.0, 0, 1)),
        (RIGHT, RIGHT, GainParts(0.0, 0.0, 0, 1)),
        (UNREAD, RIGHT, GainParts(1.0, 0.0, 1, 0)),
        (CUT_UNREAD, RIGHT, GainParts(1.0, 0.0, 1, 0)),
        (CUT_WRONG, RIGHT, GainParts(1.0, 0.0, 1, 0)),
        (UNREAD, WRONG, GainParts(0.0, 0.0, 1, 0)),
        (RIGHT, UNREAD, GainParts(-1.0, 0.0, 1, 0)),
        (RIGHT, CUT_WRONG, GainParts(-1.0, 0.0, 1, 0)),
        (UNREAD, CUT_UNREAD, GainParts(0.0, 0.0, 0, 0)),
        # Cut both times and read both times: the cut is no difference.
        (CUT_WRONG, CUT_RIGHT, GainParts(0.0, 1.0, 0, 1)),
        (UNREAD, CUT_RIGHT, GainParts(1.0, 0.0, 1, 0)),
    ],
)
def test_a_row_is_format_or_content(before, after, parts):
    assert gain_parts(score(after), score(before)) == parts


def test_the_parts_add_up_to_the_difference():
    rng = np.random.default_rng(0)
    kinds = [RIGHT, WRONG, UNREAD, CUT_UNREAD, CUT_RIGHT, CUT_WRONG]
    for _ in range(50):
        before, after = (
            score(*(kinds[i] for i in rng.integers(len(kinds), size=40))) for _ in range(2)
        )
        parts = gain_parts(after, before)
        assert parts.format + parts.content == pytest.approx(after.value - before.value)
        assert parts.format_rows + parts.content_rows <= 40


def test_without_answers_there_are_no_parts():
    bare = Score(1.0, np.array([1.0]))
    assert gain_parts(bare, score(RIGHT)) is None and gain_parts(score(RIGHT), bare) is None


def test_the_parts_in_words():
    before = score(UNREAD, UNREAD, WRONG, RIGHT)
    parts = gain_parts(score(RIGHT, WRONG, RIGHT, RIGHT), before)
    assert gain_words(parts) == (
        "Of the difference, +25.0 points are format (answers unread or cut with one prompt and "
        "read with the other: 2 rows) and +25.0 points content (read with both: 2 rows)."
    )
    assert GainParts.from_json(parts.to_json()) == parts
