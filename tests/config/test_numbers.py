"""True and false are no numbers: in every setting that is one, from TOML, `--set` and Python; what
was a number before still is.
"""

from __future__ import annotations

import json
import re
import tomllib
from fractions import Fraction

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError, model_validator

from opro_local.config import reading
from opro_local.config.numbers import no_truth_for_a_number
from opro_local.config.problem import PROBLEMS
from opro_local.config.search import SearchSettings
from opro_local.config.settings import ScorerSettings
from opro_local.errors import DataError, UsageError
from opro_local.problems.agent.suite import read_suite
from opro_local.runs.given_config import with_settings
from opro_local.search.metaprompts.metaprompt import load
from opro_local.sweeps.file import read_sweep_file

NEEDED = {
    "function": {"function": "f.py:f"},
    "command": {"command": ["true"]},
    "agent_file": {"file": "a.md", "suite": "s.toml"},
}
NUMBER = re.compile(r"\b(int|float)\b")


def number_settings():
    """Every setting whose annotation has a number in it, as the code writes it."""
    for section, kinds in reading.SECTIONS.items():
        for kind in kinds:
            own = kind.model_fields["kind"].annotation.__args__[0] if section == "problem" else ""
            for name, field in kind.model_fields.items():
                if NUMBER.search(str(field.annotation)):
                    yield section, own, name, "tuple" in str(field.annotation)


SETTINGS = list(number_settings())


def refusal(call) -> str:
    with pytest.raises((UsageError, DataError)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_there_are_many_such_settings():
    assert len(SETTINGS) > 90
    names = {f"{section}.{name}" for section, _, name, _ in SETTINGS}
    assert {"search.steps", "task.split", "run.seed", "problem.span", "judge.scale"} <= names


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize(("section", "kind", "name", "is_list"), SETTINGS)
def test_no_setting_takes_a_truth_for_its_number(section, kind, name, is_list, truth):
    own = {"kind": kind, **NEEDED.get(kind, {})} if kind else {}
    value, place = ([0.5, truth, 0.2], ".1") if is_list else (truth, "")
    expected = rf"^{section}\.{name}{place}: must be a (whole )?number, got {truth}$"
    table = {section: {**own, name: value}}
    written = json.dumps(value)  # as TOML has it, too
    lines = "\n".join(f"{key} = {json.dumps(one)}" for key, one in own.items())
    toml = f"[{section}]\n{lines}\n{name} = {written}"
    for call in (
        lambda: reading.build(table),
        lambda: reading.build(tomllib.loads(toml)),
        lambda: reading.build({section: own} if own else {}, [f"{section}.{name}={written}"]),
    ):
        assert re.match(expected, refusal(call))


def test_tables_of_models_and_settings_made_in_python():
    assert refusal(lambda: reading.build({}, ["models.a.max_tokens=true"])) == (
        "models.a.max_tokens: must be a whole number, got True"
    )
    for make in (
        lambda: SearchSettings(steps=True),
        lambda: ScorerSettings(temperature=False),
        lambda: PROBLEMS["tsp"](kind="tsp", span=(-100.0, True)),
    ):
        with pytest.raises(ValidationError, match=r"should be a valid (integer|number)"):
            make()


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("search.steps=3", 3),
        ('search.steps="3"', 3),
        ("search.steps=3.0", 3),
        ("search.threshold=1", 1.0),
        ('scorer.temperature="0.5"', 0.5),
        ("search.early_stop=false", False),
        ("search.early_stop=0", False),
        ("task.qa=true", True),
        ("scorer.template_args={thinking = true}", {"thinking": True}),
        ("scorer.engine_args={enforce_eager = true, n = [true]}", None),
    ],
)
def test_what_was_taken_is_taken(override, value):
    config = reading.build({}, [override])
    section, _, name = override.partition("=")[0].partition(".")
    taken = getattr(getattr(config, section), name)
    assert value is None or (taken == value and type(taken) is type(value))


def test_files_of_sweeps_and_suites_are_looked_at_alike(tmp_path):
    sweep, suite = tmp_path / "sweep.toml", tmp_path / "suite.toml"
    sweep.write_text('max_cells = true\n[base.task]\ndata = "x.csv"\n')
    assert refusal(lambda: read_sweep_file(sweep)).endswith(
        "max_cells: must be a whole number, got True"
    )
    for key, kind in (("max_tokens", "integer"), ("timeout", "number")):
        suite.write_text(f'[[task]]\nprompt = "x"\ntarget = "y"\n{key} = true\n')
        said = refusal(lambda: read_suite(suite, (0.4, 0.2, 0.4), 0))
        assert said.endswith(f"{key}: input should be a valid {kind}, got True")


@pytest.mark.parametrize("name", ["max_tokens", "rows", "temperature"])
def test_files_of_metaprompts_too(tmp_path, name):
    form = tmp_path / "form.toml"
    form.write_text(f"chat = true\n{name} = true\n")
    said = refusal(lambda: load(str(form)))
    assert re.search(rf"\({name}: must be a (whole )?number, got True\)$", said)


def test_a_field_that_may_be_either_takes_both():
    class Either(BaseModel):
        _numbers = model_validator(mode="before")(no_truth_for_a_number)

        switch: bool | int = 0
        several: list[int] = []

    assert Either(switch=True).switch is True and Either(switch=3).switch == 3
    with pytest.raises(ValidationError) as caught:
        Either.model_validate({"several": [1, True]})
    assert [one["loc"] for one in caught.value.errors()] == [("several", 1)]


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("search.steps", np.int64(3), 3),
        ("search.steps", np.float64(3), 3),
        ("run.seed", np.uint8(7), 7),
        ("scorer.temperature", np.float32(0.5), 0.5),
        ("scorer.temperature", Fraction(1, 2), 0.5),
        ("task.split", [np.float32(0.5), np.float64(0.25), np.int8(0)], (0.5, 0.25, 0.0)),
        ("task.split", (0.5, np.float32(0.25), 0), (0.5, 0.25, 0.0)),
        ("search.steps", np.True_, "search.steps: must be a whole number, got"),
        ("search.steps", np.array([3, 4]), "search.steps: must be a whole number, got array"),
        ("task.split", np.array([0.5, 0.25, 0]), (0.5, 0.25, 0.0)),
        ("task.split", np.array([True] * 3), "task.split: must be a number, got array([ True"),
        ("task.split", [0.5, np.False_, 0.2], "task.split.1: must be a number, got "),
        ("task.split", np.zeros((3, 2, 2)), "task.split.0: must be a number, got array([[0., 0.]"),
        ("run.seed", None, 0),
        ("task.labels", [], ()),
    ],
)
def test_numbers_of_numpy_are_numbers(name, value, taken):
    def build():
        return reading.build(with_settings({}, {name: value})[0])

    if isinstance(taken, str):
        assert refusal(build).startswith(taken)
        return
    config, (section, _, key) = build(), name.partition(".")
    assert getattr(getattr(config, section), key) == taken
    assert json.loads(config.canonical())
