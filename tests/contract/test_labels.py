"""How probable labels are, asked of every engine, in this process and through a worker."""

import math

import pytest

from opro_local.protocols import Engine
from opro_local.records import log_probabilities
from opro_local.types import Prompt, Request, Sampling

PROMPTS = [
    Prompt("Which colour has the sky at noon?"),
    Prompt("Q: good film\nA: positive\n\nQ: dull film\nA: negative\n\nQ: a joy\nA:", chat=False),
    Prompt("Count.", prefill="The first number is"),
]
LABELS = [("positive", "negative"), ("red", "blue", "dark blue"), ("1", "12", "123")]
# What SmolLM2-135M in float32 says, one label at a time through the whole model.
CAPITAL = Prompt("The capital of France is", chat=False)
CAPITALS = ("Paris", "London", "New York", "New Delhi")
EXPECTED = (-0.2579, -4.3863, -5.3971, -11.8852)


@pytest.fixture(autouse=True)
def reads_labels(engine: Engine) -> None:
    """Skips an engine that refuses them (engines/openai_server.py)."""
    if engine.fingerprint["engine"] == "openai":
        pytest.skip("a server is not asked how probable labels are")


def shares(engine: Engine, *requests: Request) -> list[tuple[float, ...]]:
    completions = engine.generate(requests)
    assert all(c.finish_reason == "stop" and c.completion_tokens == 0 for c in completions)
    read = [
        log_probabilities(completion.text, request.sampling.labels)
        for request, completion in zip(requests, completions, strict=True)
    ]
    return [tuple(map(math.exp, logs or ())) for logs in read]


def ask(prompt: Prompt, labels: tuple[str, ...]) -> Request:
    return Request(prompt, Sampling(8, labels=labels))


def test_labels_are_read_and_no_two_of_them_are_the_reply(engine: Engine):
    requests = [ask(prompt, labels) for prompt in PROMPTS for labels in LABELS]
    first = shares(engine, *requests)
    assert all(len(own) == len(r.sampling.labels) for own, r in zip(first, requests, strict=True))
    assert all(0 < sum(own) < 1 + 1e-4 for own in first)
    again = shares(engine, *reversed(requests))
    assert first == [pytest.approx(own, rel=1e-2, abs=1e-4) for own in reversed(again)]


def test_the_order_of_the_labels_changes_nothing(engine: Engine):
    (one,), (other,) = (
        shares(engine, ask(PROMPTS[1], labels)) for labels in (LABELS[1], LABELS[1][::-1])
    )
    assert one == pytest.approx(other[::-1], rel=1e-2)


def test_both_real_engines_read_the_same(engine: Engine):
    if engine.fingerprint["engine"] == "scripted":
        pytest.skip("a script reads nothing")
    (read,) = shares(engine, ask(CAPITAL, CAPITALS))
    assert [math.log(share) for share in read] == pytest.approx(EXPECTED, abs=0.1)


def test_a_prompt_too_long_fails_alone_beside_a_reply(engine: Engine):
    requests = [
        ask(Prompt("word " * 600), LABELS[0]),
        ask(PROMPTS[0], LABELS[0]),
        Request(PROMPTS[0], Sampling(max_tokens=2)),
    ]
    long, read, reply = engine.generate(requests)
    assert long.finish_reason == "too_long" and long.text == ""
    assert log_probabilities(read.text, LABELS[0]) is not None
    assert reply.completion_tokens > 0
