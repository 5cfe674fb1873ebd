"""Every setting, wrong in at least three ways: one line that names it, and never a traceback."""

from __future__ import annotations

import json

import pytest

from opro_local.config import reading
from opro_local.config.facts import settings_with_facts
from opro_local.errors import UsageError

# A value of each kind that TOML can write; `odd` ones are of a right type and absurd.
WRONG = {
    "table": {"x": 1},
    "list of tables": [{"x": [1]}],
    "text": "n o t h i n g",
    "number": -7,
    "fraction": -0.123456,
    "truth": [True],
    "list": [[], ""],
    "nan": float("nan"),
    "infinite": float("-inf"),
    "huge": 10**400,
    "surrogate": ["\ud800"],
}
# What a setting of its own needs beside it.
NEEDED = {
    "function": {"function": "f.py:f"},
    "command": {"command": ["true"]},
    "agent_file": {"file": "a.md", "suite": "s.toml"},
}


def settings():
    for section, kinds in reading.SECTIONS.items():
        for kind in kinds:
            name = ""
            if section == "problem":
                (name,) = kind.model_fields["kind"].annotation.__args__
            for setting, _ in settings_with_facts(kind):
                yield pytest.param(section, name, setting, id=f"{section}.{name}.{setting}")


def table(section, kind, setting, value):
    own = {"kind": kind, **NEEDED.get(kind, {})} if section == "problem" else {}
    return {section: {**own, setting: value}}


@pytest.mark.parametrize("section, kind, setting", [*settings()])
def test_every_setting_wrong_in_three_ways_or_more(section, kind, setting):
    refused = {}
    for name, value in WRONG.items():
        try:
            config = reading.build(table(section, kind, setting, value))
        except UsageError as error:
            refused[name] = str(error)
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 2000
            assert setting in str(error) or setting == "kind", str(error)
        else:
            # What is taken can be written down and read again, as a run does with it.
            again = reading.Config.model_validate(json.loads(config.canonical()))
            assert again == config
    assert len(refused) >= 3, refused.keys()


@pytest.mark.parametrize("section", reading.SECTIONS)
@pytest.mark.parametrize("value", [1, "x", [1], None, [{}]])
def test_a_section_that_is_no_table(section, value):
    with pytest.raises(UsageError, match=section) as caught:
        reading.build({section: value})
    assert len(str(caught.value).splitlines()) == 1


OVERRIDES = [
    "",
    "=",
    "a",
    "a=1",
    ".=1",
    "a.=1",
    ".b=1",
    "task.data.x=1",
    "search..steps=1",
    "search.steps",
    "search.steps==1",
    "search.steps=[" + "[" * 9999,
    "search.steps=" + "9" * 5000,
    "search.steps='''",
    "\ud800.x=1",
    "task.\x00=1",
    "models.=1",
    "models.a.b.c=1",
    "run.seed=1e400",
    "run.seed=0x" + "f" * 5000,
    "run.seed=2026-01-01",
]


@pytest.mark.parametrize("override", OVERRIDES)
def test_an_override_that_is_none(override):
    with pytest.raises(UsageError) as caught:
        reading.build({}, [override])
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 20_000


FILES = [
    b"",
    b"\xff\xfe",
    b"[task",
    b"a = " + b"[" * 99_999,
    b"a." * 2_000 + b"b = 1",
    b"[" + b"a." * 2_000 + b"b]",
    b"[[task]]",
    b"task = 1",
    b"\x00",
    b"a = " + b"9" * 99_999,
    b"a = 1\na = 2",
    b"a = 0x" + b"f" * 99_999,
    json.dumps({"task": {"data": "x"}}).encode(),
]


@pytest.mark.parametrize("content", FILES[1:], ids=range(1, len(FILES)))
def test_a_file_that_is_no_config(tmp_path, content):
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        reading.read(tmp_path / "c.toml")
    assert len(str(caught.value).splitlines()) == 1


def test_an_empty_file_is_a_config(tmp_path):
    (tmp_path / "c.toml").write_bytes(FILES[0])
    assert reading.read(tmp_path / "c.toml") == reading.Config()


COMMAND = {"kind": "command", "command": ["true"]}
NO_SYSTEM_TAKES = [
    ("problem.environment", {"problem": {**COMMAND, "environment": {"A": "secret\0"}}}),
    ("problem.environment", {"problem": {**COMMAND, "environment": {"A\0": "secret"}}}),
    ("problem.environment", {"problem": {**COMMAND, "environment": {"A=B": "secret"}}}),
    ("problem.environment", {"problem": {**COMMAND, "environment": {"": "secret"}}}),
    ("problem.command", {"problem": {"kind": "command", "command": ["true", "a\0"]}}),
    ("problem.folder", {"problem": {**COMMAND, "folder": "a\0"}}),
    ("task.data", {"task": {"data": "a\0.csv"}}),
    ("search.metaprompt", {"search": {"metaprompt": "./a\0.toml"}}),
]


@pytest.mark.parametrize(("name", "tables"), NO_SYSTEM_TAKES)
def test_a_program_or_path_that_no_system_takes_is_refused(name, tables):
    with pytest.raises(UsageError) as caught:
        reading.build(tables)
    message = str(caught.value)
    assert name in message and "secret" not in message and "\n" not in message
