"""Values of `problem.environment` and of the user's shell: what a program gets, what a run keeps,
and how a change is noticed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from pathlib import Path

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.problems.function import request
from opro_local.programs.program import Program, ProgramEngine
from opro_local.programs.variables import passed
from opro_local.runs.events import Listener
from opro_local.runs.run import run
from opro_local.runs.secret_values import seal
from opro_local.runs.store import open_store, read_store

SECRET = "hunter2-4711"


def tables(**problem) -> dict:
    # The score depends on the text alone.
    score = (
        "import os, sys; print(len(sys.stdin.read()) % 7 + 0 * len(os.environ.get('TOKEN', '')))"
    )
    return {
        "problem": {"kind": "command", "command": [sys.executable, "-c", score], **problem},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": ["go"], "steps": 1, "candidates": 2},
    }


def secret_run(folder: Path, said=None, **more) -> dict:
    config = reading.build(tables(environment={"TOKEN": SECRET} | more))
    return run(config, folder, Listener(notify=(said if said is not None else []).append))


def kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_run_keeps_the_names_alone(tmp_path):
    result = secret_run(tmp_path / "run")
    everything = kept(tmp_path / "run") + json.dumps(result.to_json()).encode()
    assert SECRET.encode() not in everything
    # Nor a digest that can be tried without the user's key.
    for digest in (
        hashlib.sha256(SECRET.encode()).hexdigest(),
        hashlib.sha256(json.dumps({"TOKEN": SECRET}).encode()).hexdigest(),
    ):
        assert digest[:16].encode() not in everything
    store = read_store(tmp_path / "run")
    assert store.get("config")["problem"]["environment"] == {"TOKEN": "**********"}
    store.close()


def test_the_digest_is_keyed_by_a_file_of_the_user(own_cache):
    sealed = seal({"TOKEN": SECRET})
    key = (own_cache / "key").read_bytes()
    mac = hmac.new(key, json.dumps({"TOKEN": SECRET}).encode(), hashlib.sha256).hexdigest()[:16]
    assert sealed.endswith(f":{mac}") and (own_cache / "key").stat().st_mode & 0o777 == 0o600
    (own_cache / "key").unlink()
    assert seal({"TOKEN": SECRET}) != sealed


def test_an_unchanged_run_goes_on_and_a_changed_one_is_refused(tmp_path):
    first = secret_run(tmp_path / "run")
    said: list[str] = []
    assert secret_run(tmp_path / "run", said)["digest"] == first["digest"] and not said
    with pytest.raises(UsageError) as refused:
        secret_run(tmp_path / "run", TOKEN="hunter2-4712")
    assert "environment changed" in str(refused.value) and "hunter2" not in str(refused.value)
    with pytest.raises(UsageError, match=r"environment was \['TOKEN'\], now \['A', 'TOKEN'\]"):
        secret_run(tmp_path / "run", A="b")


@pytest.mark.parametrize("key", ["missing", "another", "damaged", "nowhere", "link"])
def test_without_the_key_the_run_goes_on_and_says_what_it_can_not_know(
    tmp_path, own_cache, monkeypatch, key
):
    secret_run(tmp_path / "run")
    file = own_cache / "key"
    if key == "missing":
        file.unlink()
    elif key == "another":
        file.write_bytes(b"k" * 32)
    elif key == "damaged":
        file.write_bytes(b"k" * 31)
    elif key == "link":
        (tmp_path / "elsewhere").write_bytes(file.read_bytes())
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")
    else:
        for name in ("OPRO_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    secret_run(tmp_path / "run", said)
    assert sum("whether the values of problem.environment" in line for line in said) == 1


@pytest.mark.parametrize("value", ["old", "changed"])
def test_a_run_of_an_earlier_build_kept_the_values_and_loses_them(tmp_path, value):
    secret_run(tmp_path / "run")
    store = open_store(tmp_path / "run")
    config, identity = store.get("config"), store.get("identity")
    config["problem"]["environment"] = {"TOKEN": SECRET if value == "old" else "other"}
    del identity["environment"], config["problem"]["pass_environment"]
    store.put(config=config, identity=identity)
    store.close()
    if value == "changed":
        with pytest.raises(UsageError, match="environment changed"):
            secret_run(tmp_path / "run")
        return
    secret_run(tmp_path / "run")
    store = read_store(tmp_path / "run")
    assert SECRET not in json.dumps([store.get("config"), store.get("identity")])
    store.close()


@pytest.mark.parametrize("value", [["x", SECRET], {"a": SECRET}, 4711.25])
def test_a_wrong_value_is_not_repeated(value):
    with pytest.raises(UsageError) as refused:
        reading.build(tables(environment={"TOKEN": value}))
    assert "problem.environment.TOKEN" in str(refused.value)
    assert SECRET not in str(refused.value) and "4711" not in str(refused.value)


def test_a_config_does_not_show_the_values():
    config = reading.build(tables(environment={"TOKEN": SECRET}))
    assert SECRET not in repr(config) + str(config) + config.canonical()


SHELL = {
    "PATH": "/bin",
    "HOME": "/home/u",
    "LC_ALL": "C",
    "LANG": "C",
    "TMPDIR": "/tmp",
    "LD_LIBRARY_PATH": "/opt",
    "API_KEY": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "OPENAI_API_KEY": "c",
    "http_proxy": "http://user:word@host",
    "SSH_AUTH_SOCK": "/s",
    "LD_PRELOAD": "/x.so",
    "path": "d",
}
USUAL = {"PATH", "HOME", "LC_ALL", "LANG", "TMPDIR", "LD_LIBRARY_PATH"}


@pytest.mark.parametrize(
    ("further", "more"),
    [
        ((), set()),
        (("API_KEY",), {"API_KEY"}),
        (("*_API_KEY", "SSH_*"), {"OPENAI_API_KEY", "SSH_AUTH_SOCK"}),
        (("NONE",), set()),
        (("*",), set(SHELL)),
    ],
)
def test_which_variables_a_program_gets(further, more):
    assert set(passed(SHELL, further)) == USUAL | more


@pytest.mark.parametrize("setting", [(), ("SHELL_*",)])
def test_a_program_sees_these_and_no_others(monkeypatch, setting):
    monkeypatch.setenv("SHELL_SECRET", "s")
    monkeypatch.setenv("LC_TIME", "C")
    source = "import json, os; print(json.dumps(dict(os.environ)))"
    program = Program(
        (sys.executable, "-c", source), environment={"OWN": "o"}, pass_environment=setting
    )
    (completion,) = ProgramEngine({"": program}).generate([request("x")])
    seen = json.loads(json.loads(completion.text)["stdout"])
    own = {"OPRO_LOCAL_FILE", "OPRO_LOCAL_TASK", "OPRO_LOCAL_WORKSPACE", "OWN"}
    assert set(seen) - {"LC_CTYPE"} == set(passed(os.environ, setting)) - {"LC_CTYPE"} | own
    assert (
        seen["OWN"] == "o" and seen["LC_TIME"] == "C" and ("SHELL_SECRET" in seen) == bool(setting)
    )


def test_the_settings_reach_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("SHELL_SECRET", "12")
    source = "import os; print(os.environ.get('SHELL_SECRET', 3))"
    tables_ = tables(command=[sys.executable, "-c", source])
    assert run(reading.build(tables_), tmp_path / "a")["train"]["best"]["accuracy"] == 3
    tables_["problem"]["pass_environment"] = ["SHELL_SECRET"]
    assert run(reading.build(tables_), tmp_path / "b")["train"]["best"]["accuracy"] == 12
