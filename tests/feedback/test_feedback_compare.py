"""What `feedback compare` says: who does not count and why, lost outcomes at the end, and how it
reads.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from opro_local.cli.feedback import app
from opro_local.feedback import Feedback
from opro_local.feedback.experiment import OUTSIDE, Terms
from opro_local.feedback.outcomes import Outcome


def told(feedback: Feedback, verb: str) -> str:
    found = CliRunner().invoke(app, [verb, "--feedback", str(feedback.path)])
    assert found.exit_code == 0, found.output
    return found.output


def lose_failures(feedback: Feedback, terms: Terms, users: int = 600) -> None:
    """An experiment in which no failure of the challenger is logged: it looks better and is not."""
    feedback.challenge("new", terms)
    outcomes = [
        Outcome(feedback.assign(f"u{i}")[0], i % 4 == 0, user=f"u{i}") for i in range(users)
    ]
    feedback.log(*(outcome for outcome in outcomes if outcome.prompt == "old" or outcome.score))


def test_outcomes_outside_the_experiments_time_are_told(feedback):
    started = feedback.challenge("new").started
    prompt, _ = feedback.assign("u")
    times = started - timedelta(seconds=1), started + timedelta(days=28), started
    feedback.log(*(Outcome(prompt, 1, user="u", time=time) for time in times))
    numbers = feedback.compare().numbers
    assert numbers["users"] == 1 and numbers["excluded"][OUTSIDE] == 2
    assert "Outcomes that don't count: 2 logged for a time outside the experiment." in told(
        feedback, "compare"
    )


def test_an_outcome_of_a_third_prompt_is_told_too(feedback):
    feedback.register("Third words", "third")
    feedback.challenge("new")
    feedback.log(Outcome("third", 1, user="u"))
    assert feedback.compare().numbers["excluded"]["other prompt than assigned"] == 1


@pytest.mark.parametrize(
    ("terms", "days", "says"),
    [
        (Terms(max_users=300), 0, "; ended with 300 users, the most allowed"),
        (Terms(max_days=7), 7, "; ended after 7 days, the most allowed"),
    ],
)
def test_an_experiment_that_loses_outcomes_to_its_end_says_so(feedback, terms, days, says):
    lose_failures(feedback, terms)
    judgement = feedback.compare(now=datetime.now(UTC) + timedelta(days=days))
    assert judgement.numbers["p_better"] < 0.001 and not judgement.numbers["balanced"]
    assert judgement.action == "keep" and judgement.reason.startswith(
        "the arms' sizes don't fit the share"
    )
    assert judgement.reason.endswith(says) and "nothing shown" not in judgement.reason


def test_a_difference_of_lost_outcomes_is_told_without_an_interval(feedback):
    feedback.challenge("new")
    feedback.log(*(Outcome(feedback.assign(f"u{i}")[0], i % 2, user=f"u{i}") for i in range(50)))
    assert "is not ruled out" in told(feedback, "compare")
    feedback.decide("keep")
    lose_failures(feedback, Terms())
    for verb in ("compare", "status"):
        line = next(
            line for line in told(feedback, verb).splitlines() if line.startswith("Difference")
        )
        assert line.endswith("points; no interval, since the arms' sizes don't fit the share.")
