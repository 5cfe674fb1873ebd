"""Functions as objectives: what they return, what they raise, and a search around one."""

from __future__ import annotations

import json

import pytest
from running import SCRIPT, SMOL, real

from opro_local.config import reading
from opro_local.engines.callable import CallableEngine
from opro_local.errors import DataError, EngineError, UsageError
from opro_local.problems.function import request, returned
from opro_local.programs import load
from opro_local.programs.function import FunctionEngine
from opro_local.runs.run import run
from opro_local.types import Prompt, Request, Sampling

OBJECTIVE = """
def score(text):
    print("this must not reach stdout")
    if "the" in text.split():
        raise ValueError("no articles, please")
    if "then" in text.split():
        return float("nan")
    return -abs(len(text.split()) - 6) + ("label" in text)
"""


def score_of(function, text="x"):
    (completion,) = FunctionEngine(function).generate([request(text)])
    found = returned(completion)
    assert completion.finish_reason == ("failed" if isinstance(found, str) else "stop")
    return found


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda text: float("nan"), "not finite: the function returned nan"),
        (lambda text: float("-inf"), "not finite: the function returned -inf"),
        (lambda text: 10**400, "not finite: the function returned 1000"),
        (lambda text: None, "no number: the function returned None"),
        (lambda text: True, "no number: the function returned True"),
        (lambda text: "0.5", "no number: the function returned '0.5'"),
        (
            lambda text: 1 / 0,
            "exception: ZeroDivisionError: division by zero (test_function_problem.py, line ",
        ),
        (lambda text: exit(3), "exception: SystemExit: 3"),
    ],
)
def test_what_is_no_score_is_a_reason(function, says):
    assert score_of(function).startswith(says)


def test_scores_are_floats_of_any_scale():
    assert (
        score_of(lambda text: -3) == -3.0
        and score_of(lambda text: 1e9) == 1e9
        and score_of(lambda text: 0) == 0.0
    )


def test_ctrl_c_and_a_failed_model_are_no_rejections():
    def interrupted(text):
        raise KeyboardInterrupt

    def model_died(text):
        raise EngineError("gone")

    for function, error in ((interrupted, KeyboardInterrupt), (model_died, EngineError)):
        with pytest.raises(error):
            score_of(function)


def test_a_text_is_given_to_the_function_once():
    calls = []
    engine = FunctionEngine(lambda text: calls.append(text) or len(text))
    assert [returned(c) for c in engine.generate([request("a"), request("bb"), request("a")])] == [
        1,
        2,
        1,
    ]
    engine.generate([request("bb")])
    assert calls == ["a", "bb"]


@pytest.mark.parametrize(
    ("source", "spec", "error", "says"),
    [
        ("", "f.py", UsageError, "problem.function is"),
        ("", "missing.py:f", DataError, "missing.py: no such file"),
        ("def f(:", "f.py:f", DataError, "f.py: does not load: SyntaxError"),
        (
            "raise RuntimeError('at import')",
            "f.py:f",
            DataError,
            "does not load: RuntimeError: at import",
        ),
        ("g = 3", "f.py:g", DataError, "defines no function 'g'"),
    ],
)
def test_functions_that_do_not_load(tmp_path, monkeypatch, source, spec, error, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text(source)
    with pytest.raises(error, match=r"^[^\n]*$") as caught:
        load.load(spec, "problem.function", "text")
    assert says in str(caught.value)


def tables(tmp_path, **search):
    (tmp_path / "objective.py").write_text(OBJECTIVE)
    return {
        "problem": {"kind": "function", "function": f"{tmp_path / 'objective.py'}:score"},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": ["go"], "steps": 3, "candidates": 4, **search},
    }


def rejections(folder):
    from opro_local.runs.reading import rejected

    return [row["reason"] for row in rejected(folder)]


def test_a_search_rejects_goes_on_and_resumes_to_the_same(tmp_path, capsys):
    once = run(reading.build(tables(tmp_path)), tmp_path / "once")
    assert capsys.readouterr().out == ""
    assert once["best"]["text"].split() == ["Answer", "please", "label", "text", "please?"]
    assert once["train"]["best"]["accuracy"] == 0 and once["train"]["baseline"]["accuracy"] == -5
    reasons = rejections(tmp_path / "once")
    assert any(
        "ValueError: no articles, please (objective.py, line 5)" in reason for reason in reasons
    )
    assert any(reason.startswith("not finite") for reason in reasons)
    run(reading.build(tables(tmp_path, steps=1)), tmp_path / "twice")
    again = run(reading.build(tables(tmp_path)), tmp_path / "twice")
    assert again["digest"] == once["digest"] and again["calls"] == once["calls"] == {
        "optimizer": 3,
        "scorer": 0,
        "program": 4,
    }


def test_a_changed_objective_is_another_run(tmp_path):
    config = reading.build(tables(tmp_path, steps=1))
    run(config, tmp_path / "run")
    (tmp_path / "objective.py").write_text("def score(text): return 1.0")
    with pytest.raises(UsageError, match="function changed"):
        run(config, tmp_path / "run")


def test_a_first_text_without_a_score_ends_in_one_line(tmp_path):
    with pytest.raises(
        DataError, match="no starting solution can be scored: exception: ValueError: no articles"
    ):
        run(reading.build(tables(tmp_path, seeds=["the end"])), tmp_path / "run")


def test_negative_scores_are_shown_as_they_are(tmp_path):
    from opro_local.runs.plans import make_plan
    from opro_local.search.trajectory import Trajectory
    from opro_local.types import BatchResult, Completion

    asks = make_plan(reading.build(tables(tmp_path))).search(Trajectory())
    next(asks)
    proposing = asks.send(
        BatchResult([Completion(json.dumps({"score": -2.5}), "stop", 0, 0, 0)], 0.1)
    )
    assert proposing.label == "1/propose"
    assert proposing.requests[0].prompt.text == "Score: -2.5\nText: go\n\nScore: -2.5\nText:"


PROMPTS = [
    Request(Prompt(text), Sampling(7, 1.0, seed=number))
    for number, text in enumerate(("one", "two"))
]


def test_models_that_are_callables():
    class Client:
        def generate(self, prompt, seed):
            return f"{prompt} {seed}"

    def many(prompts, max_tokens):
        return [f"{prompt} {max_tokens}" for prompt in prompts]

    def told(model):
        return [
            completion.text
            for completion in CallableEngine(model, "optimizer_llm").generate(PROMPTS)
        ]

    assert (
        told(str.upper) == ["ONE", "TWO"]
        and told(Client()) == ["one 0", "two 1"]
        and told(many) == ["one 7", "two 7"]
    )


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda prompt: None, "optimizer_llm gave"),
        (lambda prompts: "text", "optimizer_llm gave 'text' for 2 prompts; return a list"),
        (lambda prompts: ["one"], "for 2 prompts"),
        (lambda prompt: 1 / 0, "optimizer_llm raised ZeroDivisionError: division by zero"),
    ],
)
def test_callables_that_break_their_promise(model, says):
    with pytest.raises(EngineError) as caught:
        CallableEngine(model, "optimizer_llm").generate(PROMPTS)
    assert says in str(caught.value)


@pytest.mark.real
@pytest.mark.long
def test_a_real_model_writes_for_a_function_and_resumes(tmp_path):
    real("transformers")
    (tmp_path / "slogan.py").write_text(
        "def score(text):\n    return ('coffee' in text.lower()) - abs(len(text.split()) - 8) / 8\n"
    )

    def asked(steps):
        return reading.build(
            {
                "problem": {
                    "kind": "function",
                    "function": f"{tmp_path / 'slogan.py'}:score",
                    "description": "A slogan of eight words for a coffee shop",
                },
                "optimizer": {"model": str(SMOL), "engine": "transformers", "max_tokens": 24},
                "search": {"seeds": ["Buy our coffee."], "steps": steps, "candidates": 4},
            }
        )

    once = run(asked(2), tmp_path / "once")
    run(asked(1), tmp_path / "twice")
    assert run(asked(2), tmp_path / "twice")["digest"] == once["digest"]
    assert once["train"]["best"]["accuracy"] >= once["train"]["baseline"]["accuracy"] == 1 - 5 / 8
    assert once["solutions"] > 1


def test_a_model_that_gives_no_text_is_named_where_progress_is_shown():
    seen = []
    engine = CallableEngine(lambda prompt: None, "optimizer_llm")
    with pytest.raises(EngineError, match=r"optimizer_llm gave .* for 1 prompts"):
        engine.generate([Request(Prompt("a"), Sampling(4))], lambda *counts: seen.append(counts))
    assert seen == [(1, 0)]
