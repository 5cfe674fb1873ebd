"""A Python rule may say what is wrong with an answer; a reflection shows it to the optimizer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import DataError
from opro_local.runs.driver import drive
from opro_local.runs.events import BatchStart, Listener
from opro_local.runs.plans import make_plan
from opro_local.scoring.choosing import make_rule
from opro_local.scoring.function import LONGEST_REMARK
from opro_local.search.metaprompts import metaprompt
from opro_local.search.metaprompts.metaprompt import View
from opro_local.search.trajectory import Trajectory
from opro_local.types import Example, Mistake, Request

GOLDEN = Path(__file__).parents[1] / "golden"
ROW = Example("r", {}, "question", "5", "f.csv:2")
FUNCTIONS = """
def score(answer, target, columns):
    if answer == "quiet":
        return 0.5, None
    if answer == "none":
        return None, "There is no number."
    if answer == "long":
        return 0, "x" * 5000
    if answer == "wrong":
        return 0, ["no text"]
    if answer == "three":
        return 0, "a", "b"
    if answer == "plain":
        return False
    return answer == target, "" if answer == target else f" Expected {target}, got {answer}. "
"""


@pytest.fixture
def rule(tmp_path):
    (tmp_path / "own.py").write_text(FUNCTIONS)
    return make_rule(f"{tmp_path / 'own.py'}:score")


@pytest.mark.parametrize(
    ("answer", "value", "failed", "remark"),
    [
        ("5", 1, False, ""),
        ("6", 0, False, "Expected 5, got 6."),
        ("quiet", 0.5, False, ""),
        ("none", 0, True, "There is no number."),
        ("plain", 0, False, ""),
        ("<think>hm</think>6", 0, False, "Expected 5, got 6."),
        ("<think>hm", 0, True, ""),  # a thought that did not end is no answer
        ("long", 0, False, "x" * LONGEST_REMARK + "..."),
    ],
)
def test_values_and_remarks(rule, answer, value, failed, remark):
    found = rule.prepare([ROW]).both([answer])
    assert (found.values.tolist(), found.failed.tolist()) == ([value], [failed])
    assert list(found.remarks) == [remark]
    assert rule.score([answer], [ROW])[0].tolist() == [value]


@pytest.mark.parametrize(
    ("answer", "message"),
    [("wrong", r"returned \['no text'\] as its remark"), ("three", r"returned \(0, 'a', 'b'\)")],
)
def test_what_is_no_remark_is_refused_by_row(rule, answer, message):
    with pytest.raises(DataError, match=f"f.csv:2: .*{message}"):
        rule.prepare([ROW]).both([answer])


def test_rules_of_ours_make_none():
    assert make_rule("exact").prepare([ROW]).both(["6"]).remarks == ()


@pytest.mark.parametrize("name", ["reflection", "reflection_line"])
def test_a_reflection_shows_remarks_as_its_golden_file_does(name):
    """Set OPRO_GOLDEN=write to write the files anew, then read the difference."""
    view = View(
        [("Think.", "40")],
        [],
        "ascending",
        "95",
        "Think.",
        parent="Think.",
        mistakes=[
            Mistake("train:1", "What is 2+3?", "5", "six", "Expected a digit,\ngot a word."),
            Mistake("train:2", "What is 3+3?", "6", ""),
        ],
    )
    words = {"place": "before the question", "noun": "instruction", "tag": "INS", "subject": ""}
    text = metaprompt.render(metaprompt.load(name), view, words).text
    path = GOLDEN / f"{name}-remarks.txt"
    if os.environ.get("OPRO_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_the_optimizer_of_a_search_sees_them(tables, tmp_path):
    (tmp_path / "own.py").write_text(FUNCTIONS)
    tables["task"]["rule"] = f"{tmp_path / 'own.py'}:score"
    tables["search"] = {
        "seeds": ["What is it?"],
        "steps": 2,
        "operators": ["text_line", "reflection_line"],
    }
    plan, trajectory, asked = make_plan(reading.build(tables)), Trajectory(), []

    def answer(request: Request) -> str:
        return "6" if request.sampling.seed is None else "Say it."

    def note(event):
        if isinstance(event, BatchStart) and event.batch.role == "optimizer":
            asked.extend(request.prompt.text for request in event.batch.requests)

    engine = ScriptedEngine.of(answer)
    roles = {"optimizer": engine, "scorer": engine}
    drive(plan.search(trajectory), roles, trajectory, listener=Listener(note))
    shown = [text for text in asked if "Right answer:" in text]
    assert shown
    for text in shown:
        assert text.count("Remark: Expected ") == text.count("Right answer: ")
