"""`[models.NAME]`: the settings of a model written once, for whichever roles use it."""

import pytest

from opro_local.config import reading
from opro_local.errors import UsageError

BIG = {"model": "./big", "dtype": "float16", "max_model_len": 4096, "max_tokens": 64}


def test_a_role_takes_the_settings_of_the_table_it_names(tmp_path):
    tables = {"models": {"big": BIG}, "scorer": {"model": "big", "max_tokens": 8}}
    config = reading.build(tables, base=tmp_path)
    assert (config.scorer.model, config.scorer.dtype) == (str(tmp_path / "big"), "float16")
    assert (config.scorer.max_model_len, config.scorer.max_tokens) == (4096, 8)
    plain = {"scorer": {**BIG, "max_tokens": 8}}
    assert config.canonical() == reading.build(plain, base=tmp_path).canonical()
    assert tables["models"]["big"] == BIG


def test_two_roles_may_use_one_table_and_each_other_ones():
    both = {"models": {"big": BIG}, "scorer": {"model": "big"}, "judge": {"model": "big"}}
    config = reading.build(both)
    assert config.scorer.model == config.judge.model != ""
    assert config.judge.dtype == "float16" and config.optimizer.model == ""


def test_a_table_that_no_role_names_is_there_for_others_to_choose():
    tables = {"models": {"big": BIG, "small": {"model": "./small"}}, "scorer": {"model": "big"}}
    assert reading.build(tables, ["scorer.model=small"]).scorer.dtype == "auto"


def test_overrides_reach_a_table_and_the_role_has_the_last_word():
    tables = {"models": {"big": BIG}, "scorer": {"model": "big"}}
    config = reading.build(tables, ["models.big.dtype=bfloat16", "scorer.max_model_len=512"])
    assert (config.scorer.dtype, config.scorer.max_model_len) == ("bfloat16", 512)
    other = reading.build({"scorer": {"model": "x"}}, ["models.y.model=z", "scorer.model=y"])
    assert other.scorer.model == "z"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"big": {**BIG, "dtyp": "x"}}, "unknown setting models.big.dtyp; did you mean models.big"),
        ({"big": {"dtype": "x"}}, "models.big names no model"),
        ({"big": {"model": "b"}, "b": BIG}, "models.big.model names another table, .models.b."),
        ({"big": 3}, "models: a table for each model"),
        (3, "models: a table for each model"),
        ({"big": {**BIG, "max_model_len": 3}}, "models.big.max_model_len: input should be greater"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_line(models, message):
    with pytest.raises(UsageError, match=message) as raised:
        reading.build({"models": models, "scorer": {"model": "big"}})
    assert "\n" not in str(raised.value)
