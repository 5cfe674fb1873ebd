"""`OPRO(objective_fn, optimizer_llm).optimize(text)`, with callables and with a real model."""

from __future__ import annotations

import itertools

import pytest
from running import SMOL, real

from opro_local.api import OPRO
from opro_local.errors import EngineError, ModelError, UsageError


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
    for starter in ("api", "runs.run_engines"):
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
