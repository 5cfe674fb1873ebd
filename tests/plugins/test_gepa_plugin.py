"""The search of a program's texts by the caller's own rows, through gepa's adapters, which need no
package; with gepa itself where it is there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from types import SimpleNamespace

import pytest
from documented import python
from running import ROOT, SMOL, real

from opro_local.errors import DataError, UsageError
from opro_local.plugins import gepa
from opro_local.plugins.searching import Choices, divided
from opro_local.runs.reading import describe

ROWS = [{"n": number, "even": number % 2 == 0} for number in range(40)]
SEEDS = {"system": "Say odd.", "user": "Number {n}"}


class Adapter:
    """A program that is right where both texts say what to do; remembers its calls."""

    def __init__(self):
        self.calls = []

    def evaluate(self, batch, candidate, capture_traces=False):
        self.calls.append(([row["n"] for row in batch], dict(candidate), capture_traces))
        good = "parity" in candidate["system"], "please" in candidate["user"]
        scores = [
            float((row["even"] and good[0]) or (not row["even"] and good[1])) for row in batch
        ]
        traces = [dict(row) for row in batch] if capture_traces else None
        return SimpleNamespace(outputs=scores, scores=scores, trajectories=traces)

    def make_reflective_dataset(self, candidate, eval_batch, components_to_update):
        wrong = [
            row
            for row, score in zip(eval_batch.trajectories, eval_batch.scores, strict=True)
            if not score
        ]
        return {
            name: [{"Feedback": f"row {row['n']} of {name}"} for row in wrong]
            for name in components_to_update
        }


class Model:
    """Writes a good word into what it is asked for, and a bad text now and then."""

    def __init__(self):
        self.prompts = []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        count = len(self.prompts)
        word = "parity" if "system" in prompt.splitlines()[0] else "please"
        return f"<TEXT>{word} {count} {'{n}' if count % 3 else '{m}'}</TEXT>"


def improved(adapter, model, seeds=SEEDS, valset=None, **others):
    choices = Choices(model, steps=2, candidates=3, **others)
    return gepa.optimize(seeds, ROWS, valset, adapter=adapter, choices=choices)


def test_the_texts_take_turns_and_held_out_rows_decide(tmp_path):
    adapter, model = Adapter(), Model()
    result = improved(adapter, model, run=tmp_path / "run")
    assert result.verdict == "reliable gain"
    assert "parity" in result.texts["system"] and "please" in result.texts["user"]
    test = result.result.test
    assert (test.baseline.accuracy, test.best.accuracy) == (0.0, 1.0)
    assert test.difference.value == 1.0 and test.difference.interval[0] > 0.5
    # Each phase of each candidate is one call with all rows of the split; test is opened once.
    sizes = {"train": 16, "validation": 8, "test": 16}
    calls = Counter(len(rows) for rows, _, _ in adapter.calls)
    assert calls == {16: 1 + 6 + 2, 8: calls[8]}
    parts = {tuple(rows) for rows, _, _ in adapter.calls}
    assert len(parts) == 3 and sorted(row for part in parts for row in part) == list(range(40))
    assert {result.result.train.best.n, result.result.validation.best.n, test.best.n} == {
        *sizes.values()
    }
    # Only train rows are learned from.
    (train,) = {tuple(rows) for rows, _, traced in adapter.calls if traced}
    assert all(traced is (tuple(rows) == train) for rows, _, traced in adapter.calls)
    first, last = model.prompts[0], model.prompts[-1]
    assert (
        "The text: system" in first and "<TEXT>Say odd.</TEXT>" in first and "Number" not in first
    )
    assert "The text: user" in last and "of user | row" in last and "of system" not in last
    assert describe(tmp_path / "run").test.difference.value == 1.0


def test_a_kept_run_resumes_and_refuses_other_rows(tmp_path):
    first = improved(Adapter(), Model(), run=tmp_path / "run")
    adapter, model = Adapter(), Model()
    again = improved(adapter, model, run=tmp_path / "run")
    assert not adapter.calls and not model.prompts
    assert again.texts == first.texts and again.result.digest == first.result.digest
    with pytest.raises(UsageError, match="rows changed"):
        gepa.optimize(
            SEEDS, ROWS[1:], adapter=adapter, choices=Choices(model, 2, 3, run=tmp_path / "run")
        )


def test_without_a_gain_the_first_texts_stay():
    adapter = Adapter()
    adapter.evaluate = lambda batch, candidate, capture_traces=False: SimpleNamespace(
        scores=[0.5] * len(batch), trajectories=batch
    )
    result = improved(adapter, Model())
    assert result.texts == SEEDS and result.verdict == "no reliable gain"


def test_required_texts_hold_for_the_text_that_has_them():
    result = improved(Adapter(), Model(), set={"search.required": ["{n}"]})
    assert "{n}" in result.texts["user"]
    reasons = result.result.search.rejections
    assert reasons == {"missing": 1} and "parity" in result.texts["system"]
    with pytest.raises(UsageError, match=r"none of the texts to start from holds '\{x\}'"):
        improved(Adapter(), Model(), set={"search.required": ["{x}"]})


def test_one_text_is_the_solution_itself():
    class One(Adapter):
        def evaluate(self, batch, candidate, capture_traces=False):
            return super().evaluate(batch, {**candidate, "user": "please"}, capture_traces)

    def writes(prompt):
        return "<TEXT>Say the parity.</TEXT>"

    result = improved(One(), writes, seeds={"system": "Say odd."})
    assert result.result.baseline == "Say odd." and "parity" in result.result.best.text
    several = improved(Adapter(), Model())
    assert json.loads(several.result.best.text) == several.texts


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (lambda rows: [None] * len(rows), "row 0 of train earned None, no number"),
        (lambda rows: [float("nan")] * len(rows), "earned nan, no number"),
        (lambda rows: 1 / 0, "exception: ZeroDivisionError"),
        (lambda rows: [1.0], "1 scores for the 16 train rows"),
    ],
)
def test_what_is_no_score_is_said(scores, says):
    adapter = Adapter()
    adapter.evaluate = lambda batch, candidate, capture_traces=False: SimpleNamespace(
        scores=scores(batch), trajectories=batch
    )
    adapter.make_reflective_dataset = lambda *given: {}
    with pytest.raises(DataError, match=re.escape(says)):
        improved(adapter, Model())


def test_held_out_rows_that_can_not_be_scored_end_the_run():
    adapter, plain = Adapter(), Adapter()

    def evaluate(batch, candidate, capture_traces=False):
        if not capture_traces:
            raise ValueError("gone")
        return plain.evaluate(batch, candidate, capture_traces)

    adapter.evaluate = evaluate
    with pytest.raises(DataError, match=r"the validation rows could not be scored: .*gone"):
        improved(adapter, Model())


def test_rows_are_divided_by_what_they_ask():
    config = Choices(len).config("x", {"a": "b"})
    rows = [{"q": number // 4, "id": number} for number in range(60)]
    parts = divided(config, rows, asked=lambda row: row["q"])
    of = {split: {row["q"] for row in own} for split, own in parts.items()}
    assert not of["train"] & of["test"] and not of["train"] & of["validation"]
    assert sum(map(len, parts.values())) == 60
    parts = divided(config, rows[:40], rows[40:])
    assert parts["train"] == rows[:40] and len(parts["validation"]) + len(parts["test"]) == 20
    with pytest.raises(UsageError, match="1 of the held-out rows"):
        divided(config, rows[:40], rows[39:])
    with pytest.raises(DataError, match="too few"):
        divided(config, rows[:1])


@pytest.mark.parametrize(
    ("choices", "seeds", "says"),
    [
        (Choices(None), {"a": "b"}, "model is None"),
        (Choices(len), {}, "nothing to optimize"),
        (
            Choices(len, set={"search.metaprompt": "text_line", "search.required": ["a\nb"]}),
            {"a": "a\nb"},
            "can't hold",
        ),
        (
            Choices(len, set={"search.required": ["b" * 70], "search.max_characters": 60}),
            {"a": "b" * 70},
            "too long",
        ),
    ],
)
def test_mistakes_end_in_one_line(choices, seeds, says):
    with pytest.raises(UsageError, match=says):
        gepa.optimize(seeds, ROWS, adapter=Adapter(), choices=choices)


@pytest.mark.long
def test_an_adapter_of_gepa_itself_is_scored():
    own = pytest.importorskip("gepa", reason="gepa is not installed here")
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter

    def program(messages):
        words = {"parity": "even"} if "parity" in messages[0]["content"] else {}
        return words.get("parity", "odd")

    rows = [{"input": f"number {n}", "additional_context": {}, "answer": "even"} for n in range(40)]
    adapter = DefaultAdapter(model=program)
    choices = Choices(lambda prompt: "<TEXT>Say the parity.</TEXT>", steps=1, candidates=1)
    result = gepa.optimize({"system": "Say it."}, rows, adapter=adapter, choices=choices)
    assert result.texts == {"system": "Say the parity."} and result.verdict == "reliable gain"
    assert own.optimize


@pytest.mark.long
@pytest.mark.real
def test_a_real_model_is_gepas_reflection_lm():
    own = pytest.importorskip("gepa", reason="gepa is not installed here")
    real("transformers")
    adapter = Adapter()
    with gepa.Reflection(
        SMOL, ["optimizer.engine=transformers", "optimizer.max_tokens=24"]
    ) as model:
        said = {model("Say a word."), model([{"role": "user", "content": "Say a word."}])}
        assert all(said)
        found = own.optimize(
            SEEDS,
            ROWS[:6],
            ROWS[6:9],
            adapter=SimpleNamespace(
                evaluate=lambda batch, candidate, capture_traces=False: own.EvaluationBatch(
                    **vars(adapter.evaluate(batch, candidate, capture_traces))
                ),
                make_reflective_dataset=adapter.make_reflective_dataset,
                propose_new_texts=None,
            ),
            reflection_lm=model,
            max_metric_calls=20,
            reflection_minibatch_size=2,
        )
    assert set(found.best_candidate) == set(SEEDS)


def test_the_page_does_what_it_says(capsys):
    first, *others = python((ROOT / "docs" / "plugins.md").read_text("utf-8"))
    exec(compile(first, "plugins.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out.split("\n") == ["Answer step by step.", "reliable gain", ""]
    for block in others:
        compile(block, "plugins.md", "exec")
