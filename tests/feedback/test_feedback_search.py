"""`feedback reoptimize`: odd logged rows do not stop it, worked examples are refused, and what it
prints.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_results import made_result, made_search
from typer.testing import CliRunner

from opro_local.cli import feedback as verbs
from opro_local.cli import feedback_search
from opro_local.errors import DataError, UsageError
from opro_local.feedback import Feedback, reoptimize
from opro_local.feedback.outcomes import Outcome, prompt_id
from opro_local.runs.winner import Winner
from opro_local.tasks import loading
from opro_local.tasks.rows import MAX_FIELD


@pytest.fixture
def feedback(tmp_path):
    with Feedback(tmp_path / "f.sqlite") as opened:
        opened.register("Old words", "old")
        yield opened


def log_rows(feedback: Feedback, rows: int = 12) -> None:
    feedback.log(*(Outcome("old", 1, f"question {i}", target="yn"[i % 2]) for i in range(rows)))


def log_odd_rows(feedback: Feedback) -> int:
    """Outcomes with a target that no task can read; those that are refused today came from an older
    version.
    """
    long = "x" * (MAX_FIELD + 1)
    odd = [
        ("\n", "y"),
        ("", "y"),
        ("a\0b", "y"),
        ("asked", "\t"),
        ("asked", "y\0"),
        ("\u2003", "y"),
        (long, "y"),
    ]
    time = "2099-01-01T00:00:00.000000+00:00"
    feedback._insert(
        [(None, "old", None, input, "", 1.0, target, time, None) for input, target in odd]
    )
    return len(odd)


def test_odd_logged_rows_are_left_out_and_counted(feedback):
    log_rows(feedback)
    odd = log_odd_rows(feedback)
    config, left_out = reoptimize.plan(feedback, {}, (), 8, 100)
    assert left_out == odd
    assert sum(len(rows) for rows in loading.load(config.task).splits.values()) == 12


def test_rows_left_out_are_told_where_too_few_remain(feedback):
    log_rows(feedback, 9)
    odd = log_odd_rows(feedback)
    with pytest.raises(
        DataError, match=rf"9 different logged inputs carry a target \({odd} left out: .*\), 10 are"
    ):
        reoptimize.labelled(feedback, 100)


@pytest.mark.parametrize("data", [None, "fresh.csv"])
@pytest.mark.parametrize(
    "override",
    [
        "search.demonstrations=8",
        'search.seeds=[{text = "Old words", demonstrations = ["train:0"]}]',
    ],
)
def test_worked_examples_are_refused_before_anything_is_written(feedback, override, data):
    log_rows(feedback)
    with pytest.raises(
        UsageError, match="a logged prompt is a text, the service would not show them"
    ):
        reoptimize.plan(feedback, {"task": {"data": data}}, (override,), 8, 100)
    assert not feedback.path.with_name("f.sqlite-rows").exists()


def test_a_search_tells_its_challenger_by_its_id_and_the_rows_left_out(feedback, monkeypatch):
    log_rows(feedback)
    odd = log_odd_rows(feedback)
    text = next(text for text in map(str, range(100)) if prompt_id(text)[0].isalpha())
    outcome = made_search(verdict="reliable gain", best=Winner(text, "key"), summary=("better",))
    result = made_result(outcome)
    monkeypatch.setattr(feedback_search, "_searched", lambda config, folder, is_verbose: result)
    words = ["reoptimize", "--model", "m", "--run", "r", "--feedback", str(feedback.path)]
    said = CliRunner().invoke(verbs.app, words)
    assert said.exit_code == 0, said.output + repr(said.exception)
    lines = said.output.splitlines()
    assert lines[0] == "better" and lines[1].startswith(f"{odd} logged rows were left out: ")
    assert (
        lines[-1] == f"The challenger {prompt_id(text)} is compared with the champion from now on"
    )
    feedback.decide("keep")
    found = json.loads(CliRunner().invoke(verbs.app, [*words, "--json"]).output)
    assert found["left_out"] == odd and Path(found["run"]) == Path("r")
