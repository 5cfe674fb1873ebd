"""An alarm is told once the first answers are scored, stands in the result, and can be mended."""

from __future__ import annotations

import json

import pytest
from running import write_config
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.problems.prompt.alarms import Alarm
from opro_local.runs.events import Listener, TrajectoryGrowth
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult
from opro_local.types import Constraint

MUTE = "from opro_local.types import Request\n\n\ndef answer(request: Request) -> str:\n"
MUTE += "    if request.sampling.seed is not None:\n        return 'Say it?'\n"
MUTE += "    return 'I will not say.'\n"


@pytest.fixture
def mute(tables, tmp_path):
    """A scorer that names no label."""
    (tmp_path / "mute.py").write_text(MUTE)
    tables["scorer"]["script"] = f"{tmp_path / 'mute.py'}:answer"
    return tables


def told(tables, folder):
    """The result, and the alarms with the kind of the event before each."""
    events: list = []
    result = run(reading.build(tables), folder, Listener(events.append))
    places = [place for place, event in enumerate(events) if isinstance(event, Alarm)]
    return result, [(type(events[place - 1]), events[place].kind) for place in places]


def test_it_comes_after_the_first_scores_and_stands_in_the_result(mute, tmp_path):
    result, alarms = told(mute, tmp_path / "r")
    assert alarms == [(TrajectoryGrowth, "unread")]
    record = result.to_json()
    assert record["alarms"][0]["text"].startswith("24 of the first 24 answers could not be read")
    assert len(record["alarms"][0]["examples"]) == 3
    again = RunResult.from_json(json.loads((tmp_path / "r" / "result.json").read_text()))
    assert again.alarms == result.alarms and again.to_json() == record
    # A resumed run says so again: whoever resumes it may not have seen it.
    assert told(mute, tmp_path / "r")[1] == alarms


def test_a_run_that_is_well_has_none(tables, tmp_path):
    result, alarms = told(tables, tmp_path / "r")
    assert alarms == [] and "alarms" not in result.to_json()


def test_the_command_line_prints_it_at_once_and_at_the_end(mute, tmp_path):
    config = write_config(tmp_path / "c.toml", mute)
    said = CliRunner().invoke(app, ["run", str(config), "--run", str(tmp_path / "r")])
    assert said.exit_code == 0, said.output
    assert said.output.count("ALARM: 24 of the first 24 answers could not be read") == 2
    assert said.output.index("ALARM") < said.output.index("step 1:")


def test_answers_are_held_to_the_labels_with_one_key(tables):
    tables["scorer"]["constrain"] = "labels"
    problem = make_plan(reading.build(tables)).problem
    rows = problem.rows["train"]
    samplings = {r.sampling for r in problem.requests(problem.seeds()[0], "train", rows)}
    assert {s.constraint for s in samplings} == {Constraint("choice", ("negative", "positive"))}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("exact", 'scorer.constrain = "labels" needs classes, which the rule exact has not'),
        ("judge", "which the rule judge has not"),
    ],
)
def test_where_there_are_no_labels_it_is_refused(tables, rule, message):
    tables["scorer"]["constrain"] = "labels"
    tables["task"]["rule"] = rule
    with pytest.raises(UsageError, match=message):
        make_plan(reading.build(tables))


def test_without_the_key_requests_are_what_they_were(tables):
    problem = make_plan(reading.build(tables)).problem
    (request, *_) = problem.requests(problem.seeds()[0], "train", problem.rows["train"])
    assert request.sampling.constraint is None
