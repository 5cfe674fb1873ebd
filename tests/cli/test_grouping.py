"""Options that travel together: a verb gets one value, the command line has each of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from opro_local.cli import feedback, main
from opro_local.cli.grouping import grouped


@dataclass(frozen=True, slots=True)
class Place:
    folder: Annotated[str, typer.Option("--folder", help="Where.")]
    times: Annotated[int, typer.Option("--times", min=1, help="How often.")] = 2


app = typer.Typer()
seen: list[object] = []


@app.command()
@grouped
def verb(
    *,
    name: Annotated[str, typer.Argument(help="Who.")],
    place: Place,
    loud: Annotated[bool, typer.Option("--loud")] = False,
) -> None:
    """Say a name."""
    seen[:] = [name, place, loud]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["a", "--folder", "x"], ["a", Place("x", 2), False]),
        (["--times", "3", "a", "--loud", "--folder", "y"], ["a", Place("y", 3), True]),
    ],
)
def test_a_verb_gets_its_options_as_one_value(words, values):
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert seen == values


@pytest.mark.parametrize("words", [["a"], ["a", "--folder", "x", "--times", "0"]])
def test_options_of_a_group_are_checked_as_others_are(words):
    assert CliRunner().invoke(app, words).exit_code == 2


def test_help_shows_them_in_the_place_of_the_group():
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    places = [text.index(option) for option in ("--folder", "--times", "--loud")]
    assert places == sorted(places) and "Say a name." in text and "[default: 2]" in text


def test_no_verb_takes_more_than_eight_values():
    verbs = [verb for panel in main.VERBS.values() for verb in panel.values()]
    verbs += feedback.VERBS.values()
    for verb in verbs:
        if isinstance(verb, typer.Typer):
            continue
        taken = inspect.signature(inspect.unwrap(verb)).parameters
        assert len(taken) <= 8, (verb.__module__, verb.__name__)
