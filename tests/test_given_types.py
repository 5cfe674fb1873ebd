"""What a Python caller gives in the wrong type ends in one line, before anything is written."""

from __future__ import annotations

import pytest

import opro_local
from opro_local import OPRO
from opro_local.errors import ModelError, UsageError
from opro_local.files import given_path

ROWS = [{"text": f"a {n}", "label": "yn"[n % 2]} for n in range(30)]
GIVEN = {"input": "text", "target": "label", "model": "./none", "run": "run"}

WRONG = [
    ({"run": 5}, "run is 5, no path"),
    ({"run": b"x"}, "run is b'x', no path"),
    ({"run": "a\0b"}, "run has a NUL in it"),
    ({"run": "a\ud800"}, "run has half a character"),
    ({"model": 5}, "model is 5, no path"),
    ({"model": ["a"]}, "model is ['a'], no path"),
    ({"set": [1]}, "set is [1], no settings"),
    ({"set": {1: 2}}, "set: 1 is no setting"),
    ({"set": "search.steps=2"}, "set is 'search.steps=2', no settings"),
    ({"set": 5}, "set is 5, no settings"),
    ({"set": None}, "set is None, no settings"),
    ({"report": 5}, "report is 5, no function"),
    ({"metric": 5}, "metric is 5, no function"),
    ({"prompt": []}, "prompt is an empty list"),
    ({"prompt": ()}, "prompt is an empty list"),
]


@pytest.mark.parametrize("verb", [opro_local.optimize, opro_local.evaluate])
@pytest.mark.parametrize(("given", "said"), WRONG)
def test_wrong_types_are_named(tmp_path, monkeypatch, verb, given, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        verb(ROWS, **GIVEN | given)
    assert refused.value.message.startswith(said)
    assert not (tmp_path / "run").exists() and not (tmp_path / "runs" / "run").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: opro_local.write_report(5), "run is 5"),
        (lambda: opro_local.write_report("run\0"), "run has a NUL"),
        (lambda: opro_local.predict(5, ["a"]), "run is 5"),
        (lambda: opro_local.apply(5, "a.md"), "run is 5"),
        (lambda: opro_local.apply("run", None), "target is None"),
        (lambda: opro_local.apply("run", "a.md", 5), "suite is 5"),
        (lambda: OPRO(len, 5), "optimizer_llm is 5, no model"),
        (lambda: OPRO(len, ["a"]), r"optimizer_llm is ['a'], no model"),
        (lambda: OPRO(len, len, 5), "scorer_llm is 5, no model"),
        (lambda: OPRO(len, len, run=5), "run is 5"),
    ],
)
def test_the_other_calls_name_them_too(call, said):
    with pytest.raises(UsageError) as refused:
        call()
    assert refused.value.message.startswith(said)


@pytest.mark.parametrize("given", [None, ""])
def test_a_missing_optimizer_is_named_as_python_names_it(given):
    with pytest.raises(UsageError) as refused:
        OPRO(len, given).optimize("Begin.")
    assert refused.value.message == f"optimizer_llm is {given!r}, no model"
    assert "--" not in refused.value.hint


def test_a_missing_model_is_named_as_both_name_it():
    with pytest.raises(ModelError, match=r"\(--model, from Python model=\)"):
        opro_local.check(ROWS, input="text", target="label", answer=False)


def test_a_path_is_a_text_or_a_path(tmp_path):
    assert given_path(str(tmp_path), "run") == given_path(tmp_path, "run") == tmp_path
