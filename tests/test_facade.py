"""`OPRO(objective_fn, optimizer_llm).optimize(text)`, with callables and with a real model."""

from __future__ import annotations

import functools
import itertools
import threading
from fractions import Fraction

import numpy as np
import pytest
from running import SMOL, real

from opro_local import OPRO
from opro_local.errors import DataError, EngineError, ModelError, UsageError
from opro_local.runs.reading import describe


def counting():
    """An optimizer that proposes "text 1", "text 2", ... in the marks it is asked for."""
    numbers = itertools.count(1)
    return lambda prompt: f"Sure! <TEXT>text {next(numbers)}</TEXT>"


def test_the_best_text_is_found_and_all_is_told():
    def objective(text):
        if text == "text 5":
            raise RuntimeError("five is right out")
        return float(text.split()[-1])

    found = OPRO(objective, counting(), n_iterations=3, batch_size=4).optimize("text 0")
    assert (found.text, found.score, found.baseline) == ("text 12", 12.0, 0.0)
    assert [text for text, _ in found.history] == [f"text {n}" for n in range(13) if n != 5]
    ((text, reason),) = found.rejections
    assert text == "text 5" and reason.startswith(
        "exception: RuntimeError: five is right out (test_facade.py, line "
    )
    assert found.reason == "all 3 steps done"


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "a\ud800", None, 5])
def test_an_instruction_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=r"^prompt "):
        OPRO(len, counting(), n_iterations=1).optimize(text)


def test_the_optimizer_sees_the_scored_texts():
    seen = []
    OPRO(
        lambda text: -len(text), lambda prompt: seen.append(prompt) or "<TEXT>ab</TEXT>", None, 1, 1
    ).optimize("abc")
    assert (
        "<TEXT>abc</TEXT>\nscore: -3" in seen[0]
        and "begin with <TEXT> and end with </TEXT>" in seen[0]
    )


def test_the_scorer_answers_lists_of_prompts():
    asked = []

    def scorer_llm(prompts, max_tokens):
        asked.append((list(prompts), max_tokens))
        return [prompt.upper() for prompt in prompts]

    def objective(text, scorer):
        answers = scorer([f"{text} a", f"{text} b"])
        return float(answers == [f"{text} A".upper(), f"{text} B".upper()])

    found = OPRO(objective, counting(), scorer_llm, 1, 1, set=["scorer.max_tokens=5"]).optimize(
        "go"
    )
    assert found.score == 1.0 and asked == [(["go a", "go b"], 5), (["text 1 a", "text 1 b"], 5)]


def test_a_kept_run_resumes_and_asks_nothing_again(tmp_path):
    def again(prompt):
        raise AssertionError("asked again")

    def objective(text):
        return float(text.split()[-1])

    first = OPRO(
        objective, counting(), n_iterations=2, batch_size=2, run=tmp_path / "run"
    ).optimize("text 0")
    assert (
        OPRO(objective, again, n_iterations=2, batch_size=2, run=tmp_path / "run").optimize(
            "text 0"
        )
        == first
    )
    with pytest.raises(
        EngineError,
        match=r"optimizer_llm raised AssertionError: asked again \(test_facade.py, line",
    ):
        OPRO(objective, again, n_iterations=3, batch_size=2, run=tmp_path / "run").optimize(
            "text 0"
        )
    with pytest.raises(UsageError, match="objective changed"):
        OPRO(lambda text: 1.0, again, n_iterations=2, batch_size=2, run=tmp_path / "run").optimize(
            "text 0"
        )
    with pytest.raises(UsageError, match="seeds"):
        OPRO(objective, again, n_iterations=2, batch_size=2, run=tmp_path / "run").optimize(
            "text 1"
        )


def resumed(run, objective, **more):
    given = {"n_iterations": 1, "batch_size": 2, "run": run, **more}
    return OPRO(objective, counting(), **given).optimize("text 0")


def scaled(factor):
    return lambda text: float(text.split()[-1]) * factor


def test_a_run_is_resumed_by_a_function_with_the_same_values_only(tmp_path):
    first = resumed(tmp_path / "run", scaled(2))
    assert resumed(tmp_path / "run", scaled(2)) == first
    with pytest.raises(UsageError, match="objective: variable 'factor' around it changed; choose"):
        resumed(tmp_path / "run", scaled(3))
    with pytest.raises(UsageError, match="batched changed"):
        resumed(tmp_path / "run", scaled(2), batched=True)


def test_a_function_that_can_t_be_compared_runs_and_is_not_resumed(tmp_path):
    lock = threading.Lock()

    def objective(text):
        with lock:
            return float(len(text))

    assert resumed(tmp_path / "run", objective).score == 6.0
    message = r"objective: variable 'lock' around it can't be compared: .*_thread\.lock; choose"
    with pytest.raises(UsageError, match=message):
        resumed(tmp_path / "run", objective)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "no number: the function returned None"),
        ("high", "no number: the function returned 'high'"),
        (True, "no number: the function returned True"),
        (float("nan"), "not finite: the function returned nan"),
        (float("inf"), "not finite: the function returned inf"),
        ([], "no number: the function returned no row"),
        ([1.0, None], "no number: the function returned None for a row"),
        ([1.0, float("nan")], "not finite"),
        ((1.0, 5), None),
        ((None, "bad"), "no number: the function returned None"),
        ({"score": None}, "no number: the function returned None"),
        ({"points": 1}, "no number: a mapping of points; accepted: score or scores"),
        ({"score": 1, "scores": [1]}, "no number: a mapping of score, scores"),
        ((1.0, b"bad"), "no number"),
        (([1.0, 0.0], ["one"]), "1 feedback texts for 2 rows"),
        ({"score": 1.0, "feedback": 5}, "no feedback text: the function returned 5"),
        (object(), "no number: the function returned <object"),
    ],
)
def test_what_is_no_score_ends_in_one_line(value, message):
    facade = OPRO(lambda text: value, counting(), n_iterations=1, batch_size=2)
    if message is None:
        assert facade.optimize("text 0").score == 3.0
        return
    with pytest.raises(DataError) as caught:
        facade.optimize("text 0")
    said = str(caught.value)
    assert f"no starting solution can be scored: {message}" in said and "\n" not in said


async def later(text):
    return 1.0


async def several(text):
    yield 1.0


class Later:
    async def __call__(self, text):
        return 1.0


@pytest.mark.parametrize("function", [later, several, Later(), functools.partial(later), None, "f"])
def test_what_is_no_plain_function_is_refused(function, recwarn):
    with pytest.raises(UsageError, match=r"^objective_fn is (async: |.*, no function)"):
        OPRO(function, counting())
    with pytest.raises(DataError, match="no number: the function is async"):
        OPRO(lambda text: later(text), counting()).optimize("text 0")
    assert not [one for one in recwarn if "never awaited" in str(one.message)]


def test_rows_and_feedback_are_kept_and_shown_to_the_optimizer(tmp_path):
    seen = []
    numbers = itertools.count(1)

    def optimizer(prompt):
        seen.append(prompt)
        return f"<TEXT>text {next(numbers)}</TEXT>"

    def objective(text):
        number = int(text.split()[-1])
        return [(number / 10, f"{text}: row one\nis poor"), (0.9, None)]

    found = OPRO(objective, optimizer, None, 2, 2, run=tmp_path / "run").optimize("text 0")
    assert found.baseline == pytest.approx(0.45) and found.score == pytest.approx(0.65)
    assert "score: 0.45\nfeedback: text 0: row one is poor\n" in seen[0]
    assert "feedback: text 2: row one is poor" in seen[-1]
    result = describe(tmp_path / "run")
    assert result.train.best.n == 2
    asked = len(seen)
    again = OPRO(objective, optimizer, None, 2, 2, run=tmp_path / "run").optimize("text 0")
    assert again == found and len(seen) == asked


@pytest.mark.parametrize(
    ("value", "score", "feedback"),
    [
        ((0.5, "too long"), 0.5, "too long"),
        ((0.5, None), 0.5, None),
        ((0.5, ""), 0.5, None),
        ([0.25, 0.75], 0.5, None),
        ((0.25, 0.75), 0.5, None),
        (np.array([0.25, 0.75]), 0.5, None),
        ([True, False], 0.5, None),
        ([(1, "fine"), (0, "wrong")], 0.5, "wrong; fine"),
        (([1, 0], ["fine", "wrong"]), 0.5, "wrong; fine"),
        (([1, 0], "all in all"), 0.5, "all in all"),
        ({"score": 0.5, "feedback": "so so"}, 0.5, "so so"),
        ({"scores": [1, 0]}, 0.5, None),
        (np.float32(0.5), 0.5, None),
        (np.array(0.5), 0.5, None),
        (Fraction(1, 2), 0.5, None),
    ],
)
def test_the_forms_of_a_score(value, score, feedback):
    seen = []
    asking = lambda prompt: seen.append(prompt) or "<TEXT>b</TEXT>"  # noqa: E731
    found = OPRO(lambda text: value, asking, n_iterations=1, batch_size=1).optimize("a")
    assert found.score == score
    shown = [line for line in seen[0].splitlines() if line.startswith("feedback: ")]
    assert shown == ([f"feedback: {feedback}"] if feedback else [])


def test_every_text_has_the_same_rows():
    rows = {"text 0": [1, 0], "text 1": [1, 0, 1], "text 2": [1, 1]}
    found = OPRO(rows.get, counting(), n_iterations=1, batch_size=2).optimize("text 0")
    assert found.text == "text 2"
    assert found.rejections == (("text 1", "rows: 3 scores where the first text has 2"),)


def test_a_batched_objective_has_one_call_for_a_step():
    asked = []

    def objective(texts):
        asked.append(list(texts))
        return [(float(text.split()[-1]), "higher") for text in texts]

    found = OPRO(objective, counting(), n_iterations=2, batch_size=3, batched=True).optimize(
        "text 0"
    )
    assert found.text == "text 6"
    assert asked == [["text 0"], ["text 1", "text 2", "text 3"], ["text 4", "text 5", "text 6"]]
    array = OPRO(lambda texts: np.arange(len(texts)), counting(), batched=True, n_iterations=1)
    assert array.optimize("text 0").score == 7.0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], "returned 1 scores for 2 texts; return one score for each text"),
        (1.0, r"returned 1\.0; return a list"),
        (None, "returned None; return a list"),
        ("ab", "returned 'ab'; return a list"),
    ],
)
def test_a_batch_without_a_score_for_each_text_ends_in_one_line(value, message):
    first = iter([[0.0]])
    facade = OPRO(lambda texts: next(first, value), counting(), None, 1, 2, batched=True)
    with pytest.raises(DataError, match=f"the batched objective {message}"):
        facade.optimize("text 0")


def test_a_batch_that_raises_rejects_all_of_its_texts():
    def objective(texts):
        if len(texts) > 1:
            raise RuntimeError("too many")
        return [0.0]

    found = OPRO(objective, counting(), None, 1, 2, batched=True).optimize("text 0")
    assert [text for text, _ in found.rejections] == ["text 1", "text 2"]
    assert all(
        reason.startswith("exception: RuntimeError: too many") for _, reason in found.rejections
    )


def test_settings_are_a_mapping_or_texts():
    for settings in ({"search.steps": 1, "run.seed": 3}, ["search.steps=1", "run.seed=3"]):
        found = OPRO(len, counting(), batch_size=2, set=settings).optimize("text 0")
        assert found.reason == "all 1 steps done"
    with pytest.raises(UsageError, match="'steps' is no setting"):
        OPRO(len, counting(), set={"steps": 1}).optimize("text 0")


def test_nothing_is_left_where_no_run_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    OPRO(len, counting(), n_iterations=1, batch_size=2).optimize("go")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_end_in_one_line():
    with pytest.raises(ModelError, match="is not on disk"):
        OPRO(len, "no-such-model").optimize("go")
    with pytest.raises(UsageError, match=r"unknown setting search\.step"):
        OPRO(len, counting(), set=["search.step=3"]).optimize("go")


@pytest.mark.real
def test_one_real_model_for_both_is_loaded_once(tmp_path, monkeypatch):
    real("transformers")
    from opro_local.engines.start import start_engine

    started = []
    start = start_engine
    for starter in ("runs.lazy_engine", "runs.run_engines"):
        monkeypatch.setattr(
            f"opro_local.{starter}.start_engine",
            lambda *given: started.append(given) or start(*given),
        )

    def objective(text, scorer):
        return sum(
            "blue" in answer.lower()
            for answer in scorer([f"{text} What color is the sky?", f"{text} And the sea?"])
        )

    settings = [
        "optimizer.max_tokens=24",
        "scorer.max_tokens=12",
        "optimizer.engine='transformers'",
    ]
    both = OPRO(
        objective, str(SMOL), str(SMOL), 1, 3, set=[*settings, "scorer.engine='transformers'"]
    )
    found = both.optimize("Answer briefly.")
    assert len(started) == 1 and len(found.history) > 1 and found.score >= found.baseline
