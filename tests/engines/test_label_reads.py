"""How probable labels are: as trees of tokens, and read by a small random model in shared passes,
compared with one label at a time.
"""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace

import pytest

from opro_local.engines import transformers_labels
from opro_local.engines.callable import CallableEngine
from opro_local.engines.label_reads import LabelTree, too_long
from opro_local.engines.scripted import ScriptedEngine
from opro_local.engines.vllm_labels import in_requests
from opro_local.engines.wire import pack, unpack
from opro_local.errors import EngineError, UsageError
from opro_local.records import log_probabilities, log_probability_text
from opro_local.runs.driver import request_digest
from opro_local.types import Batch, Completion, Prompt, Request, Sampling

LABELS = [
    ("A", "B"),
    ("yes", "no"),
    ("1", "12", "123"),
    ("card arrival", "card linking", "refund", "not", "not sure"),
]
PROMPTS = [
    Prompt("Is this good? I like it."),
    Prompt("Is this good? It is late again."),
    Prompt("Q: one\nA: yes\n\nQ: two, which is longer\nA:", chat=False),
    Prompt("Q: one\nA: yes\n\nQ: x\nA:", chat=False),
    Prompt("Ends with a space: ", chat=False),
    Prompt("Say it.", prefill="So"),
    Prompt("Last?", turns=(("First?", "yes"), ("Second?", "no"))),
]


def asked(labels: tuple[str, ...], *prompts: Prompt) -> list[Request]:
    return [Request(prompt, Sampling(8, labels=labels)) for prompt in prompts]


def tree(*paths: tuple[int, ...], stem: tuple[int, ...] = (9,)) -> LabelTree:
    children: dict[tuple[int, ...], set[int]] = {}
    for path in paths:
        for place, token in enumerate(path):
            children.setdefault(path[:place], set()).add(token)
    labels = tuple(f"l{place}" for place in range(len(paths)))
    return LabelTree(stem, labels, paths, {n: tuple(sorted(t)) for n, t in children.items()})


def read(made: LabelTree, readings: dict) -> dict[str, float]:
    logs = {
        node: {token: math.log(share) for token, share in own.items()}
        for node, own in readings.items()
    }
    said = json.loads(made.completion(logs).text)
    return {label: round(math.exp(score), 4) for label, score in said.items()}


def test_a_label_is_as_probable_as_all_its_tokens():
    made = tree((1, 2), (1, 3), (4,))
    assert read(made, {(): {1: 0.6, 4: 0.3}, (1,): {2: 0.5, 3: 0.1}}) == {
        "l0": 0.3,
        "l1": 0.06,
        "l2": 0.3,
    }
    assert made.ends == [(1,)]


def test_a_reply_that_goes_on_to_a_longer_label_is_not_the_shorter_one():
    made = tree((1,), (1, 2), (1, 2, 3))
    shares = read(made, {(): {1: 0.8}, (1,): {2: 0.5}, (1, 2): {3: 0.25}})
    assert shares == {"l0": 0.4, "l1": 0.3, "l2": 0.1}
    assert made.ends == [(1, 2)]


def test_what_rounding_leaves_over_is_no_probability_below_zero():
    made = tree((1,), (1, 2))
    assert read(made, {(): {1: 1.0}, (1,): {2: 1.0000001}})["l0"] == 0.0


def test_a_prompt_and_label_that_leave_no_room_are_too_long():
    made = tree((1, 2), (3,), stem=(9, 9, 9))
    assert too_long([4], [made], 5) == {4: Completion("", "too_long", 3, 0, 0)}
    assert too_long([4], [made], 6) == {}


def test_the_reads_of_a_request_are_told_as_one():
    told = []
    tell = in_requests(lambda finished, tokens: told.append((finished, tokens)), 5, 10, 25)
    for finished in (0, 12, 25):
        tell(finished, finished)
    assert told == [(5, 0), (9, 0), (15, 0)]
    assert in_requests(None, 0, 1, 2) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "{",
        "[" * 100_000,
        "[-1, -2]",
        '{"yes": -1}',
        '{"yes": -1, "no": 0.5}',
        '{"yes": -1, "no": true}',
        '{"yes": -1, "no": NaN}',
        '{"yes": -1, "no": -Infinity}',
        '{"yes": -1, "no": "-2"}',
        '{"yes": -1, "no": -2, "maybe": -3}',
    ],
)
def test_what_is_no_reading_of_the_labels_is_none(text):
    assert log_probabilities(text, ("yes", "no")) is None


def test_a_reading_comes_back_in_the_order_of_the_labels():
    text = log_probability_text({"no": -0.1234567, "yes": -2})
    assert text == '{"no": -0.12346, "yes": -2}'
    assert log_probabilities(text, ("yes", "no")) == (-2, -0.12346)


def test_labels_go_through_the_pipe_and_change_what_is_asked():
    plain, labelled = Request(PROMPTS[0], Sampling(8)), asked(("yes", "no"), PROMPTS[0])[0]
    assert unpack(json.loads(json.dumps(pack([plain, labelled])))) == [plain, labelled]
    other = asked(("no", "yes"), PROMPTS[0])[0]
    digests = {
        request_digest(Batch("1/train", "scorer", [one])) for one in (plain, labelled, other)
    }
    assert len(digests) == 3


def test_a_script_says_a_label_or_all_log_probabilities():
    (said,) = ScriptedEngine.of(lambda request: "no").generate(asked(("yes", "no"), PROMPTS[0]))
    shares = [round(math.exp(x), 4) for x in log_probabilities(said.text, ("yes", "no")) or ()]
    assert shares == [0.1, 0.9] and said.completion_tokens == 0
    given = '{"yes": -1, "no": -0.5}'
    assert (
        ScriptedEngine.of(lambda request: given).generate(asked(("yes", "no"), PROMPTS[0]))[0].text
        == given
    )
    with pytest.raises(EngineError, match="nothing of labels 'yes, no'"):
        ScriptedEngine.of(lambda request: "maybe").generate(asked(("yes", "no"), PROMPTS[0]))


def test_a_callable_knows_no_probabilities():
    with pytest.raises(EngineError, match="says nothing of how probable"):
        CallableEngine(lambda prompt: "yes", "f").generate(asked(("yes", "no"), PROMPTS[0]))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import TEMPLATES, save

    from opro_local.engines.kinds import engine_class
    from opro_local.engines.settings import EngineSettings

    folder = save(tmp_path_factory.mktemp("tiny") / "model", TEMPLATES["usual"])
    engine = engine_class("transformers")(
        EngineSettings(model=str(folder), kind="transformers", max_model_len=256)
    )
    with torch.inference_mode():
        for weights in engine._model.parameters():
            weights.mul_(8)  # so that what stands far before a token moves it
    yield engine
    engine.close()


def one_by_one(engine, request: Request) -> list[float]:
    """Every label alone: the whole text through the model, the tokens of the label added up."""
    import torch

    from opro_local.engines.label_reads import label_trees

    (made,) = label_trees(engine._prompts, [request])
    scores = []
    for path in made.paths:
        ids = torch.tensor([[*made.stem, *path]])
        with torch.inference_mode():
            logs = engine._model(ids).logits[0].log_softmax(-1)
        score = sum(logs[len(made.stem) - 1 + k, token].item() for k, token in enumerate(path))
        longer = [p[len(path)] for p in made.paths if len(p) > len(path) and p[: len(path)] == path]
        if longer:
            score += math.log(1 - sum(logs[-1, token].exp().item() for token in set(longer)))
        scores.append(score)
    return scores


@pytest.mark.parametrize("batch_tokens, repeatable", [(8192, True), (64, True), (8192, False)])
def test_shared_passes_read_what_each_label_alone_has(tiny, monkeypatch, batch_tokens, repeatable):
    monkeypatch.setattr(tiny, "_settings", replace(tiny._settings, batch_tokens=batch_tokens))
    if not repeatable:
        # As with recurrent layers, whose cache belongs to one row.
        monkeypatch.setattr(transformers_labels, "REPEATABLE", ())
    requests = [r for labels in LABELS for r in asked(labels, *PROMPTS)]
    told = []
    completions = tiny.generate(requests, lambda finished, tokens: told.append((finished, tokens)))
    for request, completion in zip(requests, completions, strict=True):
        said = log_probabilities(completion.text, request.sampling.labels)
        assert said == pytest.approx(one_by_one(tiny, request), abs=2e-4)
        assert sum(map(math.exp, said)) < 1
        assert (completion.finish_reason, completion.completion_tokens) == ("stop", 0)
    assert told[-1] == (len(requests), 0)
    assert len({one.text for one in completions}) == len(requests)


def test_what_prompts_have_in_common_is_computed_once(tiny, monkeypatch):
    shown = "Q: a worked example of some length\nA: B\n\n" * 3
    rows = [Prompt(f"{shown}Q: row {number}\nA:", chat=False) for number in range(6)]
    passed = []
    forward = tiny._model.forward

    def counted(ids, **rest):
        passed.append(ids.numel())
        return forward(ids, **rest)

    # Of the reader's own signature: what it may ask of the model is looked up there.
    counted.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(tiny._model, "forward", counted)
    tiny.generate(asked(("A", "B"), *rows))
    own = len("row 0\nA:")
    assert sum(passed) <= len(shown) + len("Q: ") + len(rows) * (own + 1)


def test_labels_and_replies_share_a_call_and_long_prompts_fail_alone(tiny):
    long = Prompt("x" * 300, chat=False)
    requests = [
        *asked(("yes", "no"), PROMPTS[0], long),
        Request(PROMPTS[0], Sampling(3)),
        Request(long, Sampling(3)),
    ]
    reasons = [one.finish_reason for one in tiny.generate(requests)]
    assert reasons[1] == reasons[3] == "too_long"
    assert reasons[0] == "stop" and reasons[2] in ("stop", "length")


@pytest.mark.parametrize("labels", [("yes",), ("yes", "yes"), ("yes", " ")])
def test_labels_that_can_not_be_told_apart_are_refused(tiny, labels):
    with pytest.raises(UsageError, match="told apart"):
        tiny.generate(asked(labels, PROMPTS[0]))
