"""Which functions of a program are the same: by source, and by all the values they use."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from running import ROOT

from opro_local.programs.identity import (
    MARKER,
    UNKNOWN,
    code_digest,
    differences,
    function_name,
    identity_of,
)

LIMIT = 3
WORDS = ["a", "b"]
LOCK = threading.Lock()


def helper(text):
    return len(text) + LIMIT


def plain(text):
    return len(text)


def uses_a_global(text):
    return len(text) - LIMIT


def uses_a_helper(text):
    return helper(text)


def uses_a_lock(text):
    with LOCK:
        return len(text)


def around(value):
    return lambda text: len(text) * value


def default(value):
    def score(text, factor=value):
        return len(text) * factor

    return score


def keyword_default(value):
    def score(text, *, factor=value):
        return len(text) * factor

    return score


def decorated(factor):
    @functools.wraps(plain)
    def score(text):
        return plain(text) * factor

    return score


class Scorer:
    """A callable with a state."""

    def __init__(self, words):
        self.words = words

    def __call__(self, text):
        return sum(word in text for word in self.words)

    def score(self, text):
        return len(self.words)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


@dataclass(frozen=True)
class Settings:
    words: tuple[str, ...]


Pair = namedtuple("Pair", "a b")

MADE = [
    around,
    default,
    keyword_default,
    decorated,
    lambda value: functools.partial(lambda factor, text: len(text) * factor, value),
    lambda value: functools.partial(lambda text, factor: len(text) * factor, factor=value),
    Scorer,
    lambda value: Scorer(value).score,
]


@pytest.mark.parametrize("make", MADE)
def test_functions_with_other_values_are_others(make):
    assert code_digest(make(["a"])) == code_digest(make(["a"]))
    assert code_digest(make(["a"])) != code_digest(make(["b"]))
    reasons = differences(
        identity_of("objective", make(["a"])), identity_of("objective", make(["b"]))
    )
    assert len(reasons) == 1 and reasons[0].startswith("objective: ")
    assert reasons[0].endswith(" changed")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (3, 4),
        (3, 3.0),
        (True, 1),
        ("a", b"a"),
        (None, ()),
        ([1, 2], (1, 2)),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.float64(1), np.float64(2)),
        (re.compile("a"), re.compile("a", re.IGNORECASE)),
        (Pair(1, 2), Pair(1, 3)),
        (Counter("ab"), Counter("abb")),
        (OrderedDict(a=1), OrderedDict(a=2)),
        (defaultdict(int, a=1), defaultdict(int, a=2)),
        (deque([1]), deque([2])),
        (Settings(("a",)), Settings(("b",))),
        (Slotted(1), Slotted([1])),
        (Scorer(["a"]), Scorer(["b"])),
        (len, sum),
        ("a".join, "b".join),
        (plain, uses_a_global),
        (np.mean, np.median),
        (Scorer, Slotted),
        (around(1), around(2)),
        ({"f": [around(1)]}, {"f": [around(2)]}),
        (functools.lru_cache(around(1)), functools.lru_cache(around(2))),
    ],
)
def test_values_that_differ(one, other):
    assert code_digest(around(one)) == code_digest(around(one))
    assert code_digest(around(one)) != code_digest(around(other))


def test_lambdas_of_one_line_differ():
    one, other = (lambda text: len(text)), (lambda text: -len(text))
    assert code_digest(one) != code_digest(other)
    assert code_digest(around([lambda x: x, 1])) != code_digest(around([lambda x: -x, 1]))


def test_globals_and_what_helpers_use_are_part_of_a_function(monkeypatch):
    before = identity_of("objective", uses_a_global), identity_of("objective", uses_a_helper)
    monkeypatch.setitem(globals(), "LIMIT", 4)
    after = identity_of("objective", uses_a_global), identity_of("objective", uses_a_helper)
    assert differences(before[0], after[0]) == ["objective: global 'LIMIT' changed"]
    assert differences(before[1], after[1]) == ["objective: global 'helper' changed"]
    assert differences(before[0], before[0]) == []


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (
            uses_a_lock,
            "objective: global 'LOCK' can't be compared: it is or holds an object of _thr",
        ),
        (
            around(np.random.default_rng(1)),
            "objective: variable 'value' around it can't be compared",
        ),
        (around([{"x": open}]), None),
        (around(n for n in range(3)), "variable 'value' around it can't be compared"),
        (Scorer([threading.Lock()]), "objective: the object itself can't be compared"),
        (
            type("Random", (__import__("random").Random,), {"__call__": plain})(),
            "can't be compared",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(function, what):
    identity = identity_of("objective", function)
    reasons = differences(identity, identity)
    if what is None:
        assert reasons == []
        return
    assert len(reasons) == 1 and what in reasons[0]
    assert sum(value.startswith(UNKNOWN) for value in identity.values()) == 1


def test_a_function_alone_has_the_digest_that_older_builds_gave_it():
    import hashlib
    import inspect

    digest = hashlib.sha256(inspect.getsource(plain).encode()).hexdigest()[:16]
    assert identity_of("rule", plain) == {"rule": digest, MARKER: "1"}
    assert code_digest(plain) == digest and code_digest(len) == identity_of("rule", len)["rule"]


def test_runs_begun_before_are_compared_by_what_they_kept(monkeypatch):
    now = identity_of("objective", uses_a_global)
    before = {"objective": now["objective"], "data": "1"}
    assert differences(before, {**now, "data": "1"}) == []
    assert differences(before, {**now, "data": "2"}) == ["data changed"]
    assert differences({**before, "objective": "0"}, {**now, "data": "1"}) == ["objective changed"]


def test_a_value_that_holds_itself_ends():
    loop = [1]
    loop.append(loop)
    assert code_digest(around(loop)) == code_digest(around(loop))


def test_what_messages_call_a_function():
    assert function_name(plain) == function_name(functools.partial(plain)) == "plain"
    assert function_name(Scorer([])) == "Scorer"


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from objective import score, Scorer
from opro_local.programs.identity import code_digest
print(code_digest(score), code_digest(Scorer({{"a", "b", "c"}})))
"""


def test_digests_are_the_same_in_another_process(tmp_path):
    (tmp_path / "objective.py").write_text(
        "WORDS = {'x', 'y', 'z'}\ndef inner(t):\n    return len(WORDS & set(t))\n"
        "def score(text):\n    return inner(text)\n"
        "class Scorer:\n    def __init__(self, w):\n        self.w = w\n"
        "    def __call__(self, text):\n        return len(self.w)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(folder=str(tmp_path))],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and len(said.pop().split()) == 2
