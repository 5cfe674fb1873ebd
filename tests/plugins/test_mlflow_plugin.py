"""OPRO in `mlflow.genai.optimize_prompts`, with the real package and a registry in a file."""

from __future__ import annotations

import json

import pytest
from running import SMOL, real

from opro_local.errors import UsageError

mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed here")

from opro_local.plugins.mlflow import (  # noqa: E402
    OproPromptOptimizer,
    messages,
    with_messages,
)

pytestmark = pytest.mark.long

ROWS = [
    {"inputs": {"ticket": f"ticket {number}"}, "outputs": "late" if number % 2 else "broken"}
    for number in range(20)
]


class Model:
    """Asks for the team in every second text; loses or invents a variable in others."""

    def __init__(self, tail="{{ticket}}"):
        self.prompts, self.tail = [], tail

    def __call__(self, prompt):
        self.prompts.append(prompt)
        count = len(self.prompts)
        tails = (self.tail, self.tail, "{{tick", f"{self.tail} {{{{customer}}}}")
        return f"<TEXT>Which team {count}? {tails[count % 4]}</TEXT>"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """MLflow with a store in a file, and nothing sent anywhere."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("MLFLOW_GENAI_EVAL_MAX_WORKERS", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/mlflow.db")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_registry_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("opro")
    yield mlflow
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def optimized(template, optimizer, calls=None):
    """What MLflow makes of a prompt whose answers are right where it asks for the team."""
    from mlflow.genai.scorers import scorer

    prompt = mlflow.genai.register_prompt(name="support", template=template)

    def predict_fn(ticket):
        asked = str(prompt.format(ticket=ticket))
        if calls is not None:
            calls.append(asked)
        assert ticket in asked
        right = "late" if int(ticket.split()[-1]) % 2 else "broken"
        return right if "Which team" in asked else "unknown"

    @scorer
    def exact(outputs, expectations):
        return float(outputs == expectations["expected_response"])

    return mlflow.genai.optimize_prompts(
        predict_fn=predict_fn,
        train_data=ROWS,
        prompt_uris=[prompt.uri],
        optimizer=optimizer,
        scorers=[exact],
    )


def test_a_prompt_of_the_registry_is_improved_and_the_run_says_how_sure_it_is(registry):
    calls, optimizer = [], OproPromptOptimizer(Model(), steps=1, candidates=4)
    result = optimized("Sort the ticket: {{ticket}}", optimizer, calls)
    (prompt,) = result.optimized_prompts
    assert (
        prompt.version == 2 and "Which team" in prompt.template and "{{ticket}}" in prompt.template
    )
    assert result.optimizer_name == "OproPromptOptimizer"
    assert (result.initial_eval_score, result.final_eval_score) == (0.0, 1.0)
    improved = optimizer.improved
    assert improved.verdict == "reliable gain" and improved.result.test.best.n == 8
    assert improved.result.search.rejections == {"missing": 1, "unknown place": 1}
    (row,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    tags = row.data.tags
    assert tags["opro.verdict"] == "reliable gain"
    low, high = map(float, tags["opro.test.interval"].split(" to "))
    assert 0 < low < float(tags["opro.test.difference"]) <= high


def test_a_chat_prompt_is_improved_by_its_messages(registry):
    template = [
        {"role": "system", "content": "You sort tickets."},
        {"role": "user", "content": "The ticket: {{ticket}}"},
    ]
    optimizer = OproPromptOptimizer(
        lambda prompt: "<TEXT>Which team? {{ticket}}</TEXT>", steps=2, candidates=1
    )
    result = optimized(template, optimizer)
    (prompt,) = result.optimized_prompts
    assert [turn["role"] for turn in prompt.template] == ["system", "user"]
    assert prompt.template[1]["content"] == "Which team? {{ticket}}"
    assert list(optimizer.improved.texts) == ["support/0", "support/1"]


def test_without_a_gain_the_first_prompt_is_registered_again(registry):
    optimizer = OproPromptOptimizer(lambda prompt: "<TEXT>Say it. {{ticket}}</TEXT>", 1, 1)
    (prompt,) = optimized("Sort the ticket: {{ticket}}", optimizer).optimized_prompts
    assert prompt.template == "Sort the ticket: {{ticket}}"
    assert optimizer.improved.verdict == "no reliable gain"


def test_messages_and_what_is_none():
    chat = '[{"role": "user",  "content": "é {{x}}"}, {"role": "assistant", "content": " "}]'
    prompts = {"chat": chat, "text": "[1]", "list": '["a"]', "braces": '{"role": "x"}'}
    texts = messages(prompts)
    assert texts == {"chat/0": "é {{x}}", "text": "[1]", "list": '["a"]', "braces": '{"role": "x"}'}
    assert with_messages(prompts, texts) == prompts
    changed = with_messages(prompts, {**texts, "chat/0": "new {{x}}"})
    assert json.loads(changed["chat"])[0] == {"role": "user", "content": "new {{x}}"}


def test_what_can_not_be_scored_is_refused():
    optimizer = OproPromptOptimizer(Model(), steps=1)
    with pytest.raises(UsageError, match="scores prompts on rows"):
        optimizer.optimize(None, [], {"a": "b"})
    record = type("Record", (), {"score": None, "rationales": {}})
    with pytest.raises(UsageError, match="scorers"):
        optimizer.optimize(lambda prompts, rows: [record] * len(rows), ROWS, {"a": "b {{ticket}}"})


@pytest.mark.real
def test_a_real_model_writes_for_mlflow(registry):
    real("transformers")
    optimizer = OproPromptOptimizer(
        SMOL,
        steps=1,
        candidates=2,
        set=["optimizer.engine=transformers", "optimizer.max_tokens=24"],
    )
    (prompt,) = optimized("Sort the ticket: {{ticket}}", optimizer).optimized_prompts
    assert "{{ticket}}" in prompt.template
    assert optimizer.improved.result.costs.calls["optimizer"] == 1
