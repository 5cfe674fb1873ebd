"""Stores whose values have other types or shapes than they may have, with digests and a seal that
fit: every verb says in one line that they are damaged, and `list` goes on with the others.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from forging import seal_again
from running import SCRIPT, write_reviews

from opro_local.cli import main
from opro_local.cli.printing import print_result
from opro_local.config import reading
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult

DELETED = object()
LONG = 10**30
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
WRONG = {
    "a text": "x",
    "null": None,
    "an empty list": [],
    "an empty object": {},
    "true": True,
    "negative": -1,
    "Infinity": float("inf"),
    "NaN": float("nan"),
    "31 digits": LONG,
    "200 deep": DEEP,
    "a list of objects": [{"a": 1}],
    "missing": DELETED,
}
NAMES = ("search", "evaluation", "numeric")


def config_of(folder: Path, name: str):
    scripted = {"engine": "scripted", "script": SCRIPT}
    tables: dict[str, Any] = {
        "optimizer": scripted,
        "search": {"steps": 2, "candidates": 3},
        "run": {"seed": 3, "cache": False},
    }
    if name == "numeric":
        solver = Path(SCRIPT.partition(":")[0]).with_name("scripted_solver.py")
        tables["optimizer"] = {**scripted, "script": f"{solver}:random_tour"}
        return reading.build({**tables, "problem": {"kind": "tsp", "nodes": 6}})
    tables["search"] |= {"seeds": ["What is it?", "Answer carefully"]}
    tables["task"] = {"data": str(folder / "reviews.csv"), "input": "text", "target": "label"}
    tables["scorer"] = {**scripted, "max_tokens": 8}
    config = reading.build(tables)
    return evaluation_plan(config) if name == "evaluation" else config


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with one finished run of each kind of result."""
    folder = tmp_path_factory.mktemp("made")
    write_reviews(folder / "reviews.csv")
    for name in NAMES:
        run(config_of(folder, name), folder / "runs" / name)
    return folder / "runs"


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place within a JSON value, of lists the first entry only."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:1]):
            yield from places(inner, (*path, number))


def replaced(record: dict, place: tuple, value: Any) -> dict:
    changed = copy.deepcopy(record)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    if value is DELETED:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


def forge(folder: Path, *statements: tuple[str, tuple]) -> None:
    """Change a store, and its digests and seal after it."""
    with closing(sqlite3.connect(folder / "run.sqlite", isolation_level=None)) as raw:
        raw.execute("BEGIN")
        for sql, values in statements:
            raw.execute(sql, values)
        raw.execute("COMMIT")
    seal_again(folder)


def put(key: str, text: str) -> tuple[str, tuple]:
    return "UPDATE meta SET value = ? WHERE key = ?", (text, key)


def said(*arguments: str) -> tuple[int, str, str]:
    """The exit code and the message of a verb, in this process, and what it wrote."""
    out = io.StringIO()
    before, sys.argv = sys.argv, ["opro-local", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code, message = main._ended()
    finally:
        sys.argv = before
    return code, message, out.getvalue()


SOME = (("show", "--json"), ("list",))
VERBS = (
    *SOME,
    ("show",),
    ("show", "--trajectory", "--rejections"),
    ("verify",),
    ("verify", "--deep"),
    ("list", "--json"),
    ("recover", "--json"),
    ("apply", "--yes"),
)


def assert_one_line(folder: Path, what: str, verbs=VERBS) -> None:
    """Every verb shows the run or says in a line that it is damaged."""
    for verb, *options in verbs:
        place = folder.parent if verb == "list" else folder
        code, message, out = said(verb, str(place), *options)
        # 2: what it names is not here, or it is no run of an agent file.
        asked_more = verb == "apply" or "--deep" in options
        assert code in (0, 4) or (asked_more and code == 2), (what, verb, code, message)
        assert "\n" not in message, (what, verb)
        if verb == "list":
            assert "sound" in out and "forged" in out, (what, out)
        shutil.rmtree(f"{folder}-recovered", ignore_errors=True)
        if code == 0 and "--json" in options:
            json.loads(out, parse_constant=lambda name: pytest.fail(f"{what}: {name}"))


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def samples(record: dict, share: int) -> Iterator[tuple[str, dict]]:
    """Each place of a record in turn with wrong values, of which one in `share` is taken."""
    number = 0
    for place in places(record):
        for name, wrong in WRONG.items():
            number += 1
            if number % share == 0:
                yield f"{place}: {name}", replaced(record, place, wrong)


def assert_refused_or_shown(record: dict, what: str) -> bool:
    """Whether the reader refuses it; what it reads can be printed and is JSON."""
    try:
        read = RunResult.from_json(record)
    except ValueError as error:
        assert error.args[0], what
        return True
    json.dumps(read.to_json(), allow_nan=False)
    with contextlib.redirect_stdout(io.StringIO()):
        print_result(read)
    return False


@pytest.mark.parametrize(
    "share", [pytest.param(11, id="ci"), pytest.param(1, id="all", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_result_of_other_types_is_refused_where_it_is_read(made, name, share):
    record = result_of(made / name)
    came = [assert_refused_or_shown(forged, what) for what, forged in samples(record, share)]
    assert sum(came) > 0.7 * len(came)
    assert RunResult.from_json(record).to_json() == record


# Values that would pass for the right ones, and are none.
CLOSE = {
    "true for a count": (("best", "step"), True),
    "a fraction for a count": (("solutions",), 2.5),
    "a count below none": (("test", "best", "truncated"), -1),
    "a text for a list": (("notices",), "abc"),
    "an object for a list": (("summary",), {"a": 1}),
    "a text for a pair": (("test", "best", "interval"), "ab"),
    "three for a pair": (("test", "best", "interval"), [0.1, 0.2, 0.3]),
    "a figure of another name": (("test", "best", "strict"), "high"),
    "tokens without a kind": (("tokens",), {"prompt": 1, "cached": 0}),
    "other classes": (("test", "best", "classes", "counts"), {"x": None}),
    "a key that is no name of ours, without an end": (("later",), float("inf")),
}


@pytest.mark.parametrize(("place", "value"), CLOSE.values(), ids=CLOSE)
def test_a_value_that_looks_right_is_refused(made, place, value):
    record = replaced(result_of(made / "search"), place, value)
    with pytest.raises(ValueError):
        RunResult.from_json(record)


def test_a_key_of_a_later_version_is_kept(made):
    record = {**result_of(made / "search"), "later": [1, {"a": None}]}
    assert RunResult.from_json(record).to_json()["later"] == [1, {"a": None}]


TEXTS = {
    "a number": "1",
    "a list": "[]",
    "an object": "{}",
    "a text": '"x"',
    "null": "null",
    "Infinity": "1e999",
    "NaN": "NaN",
    "a half character": '"\\ud800"',
    "an object of another shape": '{"a": {}}',
    "sections that are lists": '{"run": [1], "task": 3, "problem": []}',
    "a name that is a list": '{"run": {"name": ["x"]}}',
    "5,000 digits": "9" * 5000,
    "200 deep": "[" * 200 + "]" * 200,
    "200,000 deep": "[" * 200_000 + "]" * 200_000,
    "no JSON": "{",
    "nothing": "",
}
KEYS = ("config", "identity", "shares", "engine", "state", "result", "made_by", "prompt")
UNFINISHED = (put("state", '"running"'), ("DELETE FROM meta WHERE key = 'result'", ()))


@pytest.fixture
def forged(made, tmp_path) -> Path:
    """A copy of a run, beside a sound one."""
    shutil.copytree(made / "evaluation", tmp_path / "runs" / "sound")
    return Path(shutil.copytree(made / "search", tmp_path / "runs" / "forged"))


WIDTHS = [pytest.param(SOME, id="ci"), pytest.param(VERBS, id="all", marks=pytest.mark.long)]


@pytest.mark.parametrize("verbs", WIDTHS)
@pytest.mark.parametrize("key", KEYS)
def test_values_of_a_run_that_are_something_else(forged, made, key, verbs):
    original = (made / "search" / "run.sqlite").read_bytes()
    states, is_all = ((), UNFINISHED), verbs is VERBS
    # Without the rest of the night every third text, another one of each key.
    texts = list(TEXTS.items())[0 if is_all else KEYS.index(key) % 3 :: 1 if is_all else 3]
    for number, (what, text) in enumerate(texts):
        for state in states if is_all else states[number % 2 :][:1]:
            (forged / "run.sqlite").write_bytes(original)
            forge(forged, *state, put(key, text))
            assert_one_line(forged, f"{key}: {what}", verbs)


ROWS = {
    "a fingerprint that is none": "UPDATE solution SET fingerprint = 'x'",
    "an empty one": "UPDATE solution SET fingerprint = '[]'",
    "one of objects": "UPDATE solution SET fingerprint = '[{}]'",
    "one with a text for a figure": (
        """UPDATE solution SET fingerprint = '[{"metric": 1, "accuracy": "a"}]'"""
    ),
    "one without an end": (
        """UPDATE solution SET fingerprint = '[{"metric": "m", "accuracy": 1e999}]'"""
    ),
    "a score without an end": "UPDATE solution SET score = 9e999",
    "a score of 1e308": "UPDATE solution SET score = 1e308",
    "a negative score": "UPDATE solution SET score = -5",
    "as many rows as there can be": "UPDATE solution SET n = 9223372036854775807",
    "fewer failures than none": "UPDATE solution SET extraction_failures = -3",
    "examples that are an object": """UPDATE solution SET demonstrations = '{"a": 1}'""",
    "examples that are numbers": "UPDATE solution SET demonstrations = '[1]'",
    "examples that are no JSON": "UPDATE solution SET demonstrations = 'x'",
    "examples that are deep": f"UPDATE solution SET demonstrations = '{'[' * 100_000}'",
    "seconds without an end": "UPDATE call SET seconds = 9e999",
    "as many tokens as there can be": "UPDATE call SET prompt_tokens = 9223372036854775807",
    "fewer tokens than none": "UPDATE call SET completion_tokens = -1",
    "more than 64 bits of steps": "UPDATE solution SET step = 9223372036854775807 - step",
}
# What SQLite keeps to only where it writes itself.
LOOSE = {
    "a text for a score": "UPDATE solution SET score = 'x'",
    "a number for a text": "UPDATE solution SET text = 5",
    "bytes for a text": "UPDATE solution SET text = x'00ff'",
    "null for a text": "UPDATE solution SET text = NULL",
    "a fraction for a count": "UPDATE solution SET n = 2.5",
    "no rows": "UPDATE solution SET n = 0",
    "an unknown split": "UPDATE solution SET split = 'x' || position || step || split",
    "a number for a step": "UPDATE solution SET step = 'x' || step || position",
    "a text for a reason": "INSERT INTO rejection VALUES (7, 'x', 5, NULL)",
    "a number for a label": "UPDATE call SET label = id",
    "a role that there is not": "UPDATE call SET role = 'boss'",
    "null for tokens": "UPDATE call SET cached_tokens = NULL",
    "a number for a value": "UPDATE meta SET value = 5 WHERE key = 'config'",
    "null for a value": "UPDATE meta SET value = NULL WHERE key = 'shares'",
}


@pytest.mark.parametrize("verbs", WIDTHS)
def test_rows_that_are_something_else(forged, made, verbs):
    original = (made / "search" / "run.sqlite").read_bytes()
    for what, sql in ROWS.items():
        for state in (UNFINISHED, ()) if verbs is VERBS else (UNFINISHED,):
            (forged / "run.sqlite").write_bytes(original)
            forge(forged, *state, (sql, ()))
            assert_one_line(forged, what, verbs)


@pytest.mark.parametrize("verbs", WIDTHS)
def test_rows_that_the_schema_does_not_allow(forged, made, verbs):
    original = (made / "search" / "run.sqlite").read_bytes()
    for what, sql in LOOSE.items():
        (forged / "run.sqlite").write_bytes(original)
        loosen(forged)
        forge(forged, *UNFINISHED, (sql, ()))
        code, message, _ = said("show", str(forged))
        assert code == 4 and message.count(str(forged)) >= 1, (what, message)
        assert_one_line(forged, what, verbs)


CHECKS = (
    "CHECK (split IN ('train', 'validation', 'test'))",
    "CHECK (role IN ('optimizer', 'scorer', 'judge', 'program', 'embedder'))",
)


def loosen(folder: Path) -> None:
    """Take the checks out of a store's schema, which is a text in it."""
    with closing(sqlite3.connect(folder / "run.sqlite")) as raw:
        raw.execute("PRAGMA writable_schema=ON")
        for old in (" NOT NULL", " STRICT", "CHECK (step >= 0)", "CHECK (n > 0)", *CHECKS):
            raw.execute("UPDATE sqlite_master SET sql = replace(sql, ?, '')", (old,))
        for old in ("TEXT", "INTEGER", "REAL"):
            plain = "UPDATE sqlite_master SET sql = replace(sql, ' ' || ? || ',', ',')"
            raw.execute(plain, (old,))
        raw.commit()
