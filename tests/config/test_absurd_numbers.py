"""No setting takes a number that nothing can be done with: one line, whatever the setting."""

from __future__ import annotations

import pytest

from opro_local.config import reading
from opro_local.config.reading import SECTIONS
from opro_local.errors import UsageError

NUMBERS = ("1e30", "-1e30", "nan", "inf", "-inf", "1" + "0" * 30, "-1" + "0" * 30, "1e400")
# What each kind of problem needs.
NEEDED = {
    "command": {"command": ["a"]},
    "function": {"function": "a.py:f"},
    "agent_file": {"file": "a", "suite": "b"},
}


def numeric() -> list[tuple[str, str, dict]]:
    """Every setting that may be a number: section, name, and the tables that make it valid."""
    found = []
    for section, kinds in SECTIONS.items():
        for kind in kinds:
            tables = {}
            if section == "problem":
                name = kind.model_fields["kind"].annotation.__args__[0]
                tables = {"problem": {"kind": name, **NEEDED.get(name, {})}}
            for name, field in kind.model_fields.items():
                if any(word in str(field.annotation) for word in ("int", "float")):
                    found.append((section, name, tables))
    return found


def test_there_are_many():
    assert len(numeric()) > 100


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_out_of_reach_is_refused_in_one_line(number):
    accepted = []
    for section, name, tables in numeric():
        try:
            reading.build(tables, [f"{section}.{name}={number}"])
        except UsageError as error:
            assert f"{section}.{name}" in str(error) and "\n" not in str(error)
            continue
        accepted.append(f"{section}.{name}")
    assert not accepted


@pytest.mark.parametrize(
    "setting",
    [
        "search.candidates=1000000000",
        "search.generic_seeds=1000000000",
        "search.written_seeds=1000000000",
        "search.retries=1000000000",
        "search.demonstrations=1000000000",
        "search.exemplars=1000000000",
        "scorer.data_parallel=1000000000",
        "scorer.tensor_parallel=1000000000",
    ],
)
def test_what_would_be_made_that_often_is_bounded(setting):
    with pytest.raises(UsageError, match="less than or equal to"):
        reading.build({}, [setting])


@pytest.mark.parametrize("kind", ["tsp", "linear_regression"])
def test_starts_are_bounded(kind):
    with pytest.raises(UsageError, match="less than or equal to 10000"):
        reading.build({"problem": {"kind": kind}}, ["problem.starts=1000000000"])
