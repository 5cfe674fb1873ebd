"""`engine = "openai"`: which role needs an address of its own, said alike by every verb."""

from __future__ import annotations

import pytest

from opro_local.cli.options import overrides
from opro_local.config import reading
from opro_local.doctor.trial import trial_config
from opro_local.errors import UsageError
from opro_local.runs.hosting import settings_of

HERE, THERE = "http://127.0.0.1:8000/v1", "http://10.0.0.5:8000/v1"
NOWHERE = 'an address such as "http://127.0.0.1:8000/v1"'
SCORER, OPTIMIZER = (f"{role}.base_url={HERE}" for role in ("scorer", "optimizer"))


def missing(role: str, at: str) -> str:
    """The one line about an address that is not there."""
    return f'{role}.base_url is missing: {role}.engine = "openai" asks a server, at {at}'


SAME = f'"{HERE}" where one server has both models'


@pytest.mark.parametrize(
    ("set_", "hosts"),
    [
        ([SCORER], {"scorer": HERE, "optimizer": HERE, "judge": HERE}),
        ([SCORER, "scorer.model=m"], {"scorer": HERE, "optimizer": HERE}),
        ([OPTIMIZER], {"scorer": HERE, "optimizer": HERE, "judge": HERE}),
        ([SCORER, f"optimizer.base_url={THERE}"], {"scorer": HERE, "optimizer": THERE}),
        ([SCORER, OPTIMIZER, "optimizer.model=m"], {"scorer": HERE, "optimizer": HERE}),
        ([SCORER, "judge.engine=openai"], {"judge": HERE}),
        ([SCORER, "judge.engine=openai", f"judge.base_url={THERE}"], {"judge": THERE}),
        ([SCORER, "judge.model=./here"], {"judge": ""}),
        ([SCORER, "optimizer.engine=auto", "optimizer.model=./here"], {"optimizer": ""}),
    ],
)
def test_a_role_that_names_no_model_asks_the_others_server(set_, hosts):
    for config in (reading.build({}, overrides(None, "openai", set_)), trialled(set_)):
        assert {role: settings_of(config, role).base_url for role in hosts} == hosts


def trialled(set_):
    config = trial_config(None, "openai", set_)
    assert config is not None
    return config


@pytest.mark.parametrize(
    ("set_", "said"),
    [
        ([], missing("scorer", NOWHERE)),
        (["scorer.model=m"], missing("scorer", NOWHERE)),
        ([SCORER, "optimizer.model=m"], missing("optimizer", SAME)),
        ([OPTIMIZER, "scorer.model=m"], missing("scorer", SAME)),
        ([SCORER, "judge.engine=openai", "judge.model=m"], missing("judge", SAME)),
        (["scorer.engine=auto", "scorer.model=./here"], missing("optimizer", NOWHERE)),
        (["optimizer.engine=auto", "optimizer.model=./here"], missing("scorer", NOWHERE)),
        (["scorer.engine=scripted", "scorer.script=f.py:f"], missing("optimizer", NOWHERE)),
    ],
)
def test_what_is_missing_is_named_and_run_and_check_say_the_same(set_, said):
    for build in (
        lambda: reading.build({}, overrides(None, "openai", set_)),
        lambda: trial_config(None, "openai", set_),
    ):
        with pytest.raises(UsageError) as caught:
            build()
        assert str(caught.value) == said


def test_a_table_of_models_may_leave_the_address_to_the_role():
    tables = {"models": {"big": {"model": "m", "engine": "openai"}}}
    config = reading.build(tables, ["scorer.model=big", SCORER])
    assert (config.scorer.base_url, config.scorer.model) == (HERE, "m")
    with pytest.raises(UsageError, match=r"^scorer\.base_url is missing"):
        reading.build(tables, ["scorer.model=big"])
