"""What is given to `run` and `run_many` in the place of what they take: one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import LockedError, UsageError
from opro_local.runs.events import Listener
from opro_local.runs.lockstep import run_many
from opro_local.runs.run import run

GOOD = (Config(), Path("a"))
LIST, PAIR, WORK = "no list", "no pair", "no Config and no Plan"


def refusal(call) -> str:
    """The one line that a call is refused with."""
    with pytest.raises(UsageError) as caught:
        call()
    said = str(caught.value)
    assert len(said.splitlines()) == 1 and caught.value.hint.startswith("give ")
    return said


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (None, f"runs is None, {LIST}"),
        ("reviews.toml", f"runs is 'reviews.toml', {LIST}"),
        (b"ab", f"runs is b'ab', {LIST}"),
        (3, f"runs is 3, {LIST}"),
        ({"a": 1}, f"runs is a dict, {LIST}"),
        ((one for one in [GOOD]), f"runs is a generator, {LIST}"),
        (Config(), f"runs is a Config, {LIST}"),
        (GOOD, f"runs[0] is a Config, {PAIR}"),
        ([GOOD, Config()], f"runs[1] is a Config, {PAIR}"),
        ([None], f"runs[0] is None, {PAIR}"),
        (["ab"], f"runs[0] is 'ab', {PAIR}"),
        ([{"task": 1, "run": 2}], f"runs[0] is a dict, {PAIR}"),
        ([()], "runs[0] has 0 parts, not two"),
        ([GOOD, (Config(),)], "runs[1] has 1 parts, not two"),
        ([(*GOOD, 3)], "runs[0] has 3 parts, not two"),
        ([("reviews.toml", "a")], f"runs[0][0] is 'reviews.toml', {WORK}"),
        ([GOOD, (Path("reviews.toml"), "a")], f"runs[1][0] is a PosixPath, {WORK}"),
        ([(None, "a")], f"runs[0][0] is None, {WORK}"),
        ([({"task": {}}, "a")], f"runs[0][0] is a dict, {WORK}"),
        ([(Config, "a")], f"runs[0][0] is a ModelMetaclass, {WORK}"),
        ([("a", Config())], f"runs[0][0] is 'a', {WORK}"),
        ([(Config(), None)], "runs[0][1] is None, no path"),
        ([(Config(), 3)], "runs[0][1] is 3, no path"),
        ([(Config(), b"a")], "runs[0][1] is b'a', no path"),
        ([(Config(), "a\0b")], "runs[0][1] has a NUL"),
    ],
)
def test_what_is_no_pair_of_work_and_folder(runs, said):
    assert refusal(lambda: run_many(runs)).startswith(said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"listeners": [None]}, "listeners[0] is None, no Listener"),
        ({"listeners": [print]}, "listeners[0] is a builtin_function_or_method, no Listener"),
        ({"listeners": print}, "listeners is a builtin_function_or_method, no list"),
        ({"listeners": Listener()}, "listeners is a Listener, no list"),
        ({"listeners": iter([Listener()])}, "listeners is a list_iterator, no list"),
        ({"at_once": -1}, "at_once is -1, no number of runs"),
        ({"at_once": "3"}, "at_once is '3', no number of runs"),
        ({"at_once": True}, "at_once is True, no number of runs"),
        ({"at_once": 1.5}, "at_once is 1.5, no number of runs"),
        ({"when_ended": None}, "when_ended is None, no function"),
        ({"pool": {}}, "pool is a dict, no EnginePool"),
    ],
)
def test_what_goes_with_the_runs(given, said):
    assert refusal(lambda: run_many([GOOD], **given)).startswith(said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("reviews.toml", "a"), f"work is 'reviews.toml', {WORK}"),
        ((None, "a"), f"work is None, {WORK}"),
        (({"task": {}}, "a"), f"work is a dict, {WORK}"),
        ((Config(), None), "folder is None, no path"),
        ((Config(), "a", print), "listener is a builtin_function_or_method, no Listener"),
    ],
)
def test_one_run_is_looked_at_alike(given, said):
    assert refusal(lambda: run(*given)).startswith(said)


def test_lists_texts_and_nobody_to_hear_are_taken_and_a_folder_twice_ends_one(
    tables, tmp_path, monkeypatch
):
    monkeypatch.setattr(  # in this process, which starts faster
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (ScriptedEngine(settings), ""),
    )
    tables["search"]["steps"] = 1
    config, folder = reading.build(tables), str(tmp_path / "a")
    ended = run_many([[config, folder], (config, Path(folder))], None, at_once=0)
    assert ended[0]["state"] == "finished" and isinstance(ended[1], LockedError)
    assert run(config, folder)["digest"] == ended[0]["digest"]
    assert run_many([]) == [] == run_many((), [])
