"""A server inside the site as an engine: where it may be, what it is asked, and what goes wrong."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from running import ROOT

import opro_local
from opro_local import network
from opro_local.config import reading
from opro_local.config.settings import ModelSettings
from opro_local.engines import openai_server
from opro_local.engines.openai_server import OpenAIEngine, check_inside
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, UsageError
from opro_local.types import Constraint, Prompt, Request, Sampling

sys.path.insert(0, str(ROOT / "tests" / "contract"))
from openai_stand_in import serving

HELLO = Request(Prompt("hello"), Sampling(8))


def settings(base_url, **others):
    return EngineSettings(model="", kind="openai", base_url=base_url, **others)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://localhost:8000/v1",
        "https://[::1]:8000/v1",
        "http://10.1.2.3/v1",
        "http://172.16.0.9:1/v1",
        "http://192.168.178.2:8000/v1/",
        "http://[fd00::7]:8000/v1",
    ],
)
def test_this_machine_and_private_addresses_are_inside(url):
    assert check_inside(url).hostname


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://8.8.8.8/v1", "outside the site"),
        ("http://172.32.0.1/v1", "outside the site"),
        ("http://[2606:4700::1111]/v1", "outside the site"),
        ("http://[::ffff:8.8.8.8]/v1", "outside the site"),
        ("ftp://127.0.0.1/v1", "no address of a server"),
        ("127.0.0.1:8000", "no address of a server"),
        ("http://", "no address of a server"),
        ("http://user:secret@127.0.0.1/v1", "no address of a server"),
        ("http://127.0.0.1:99999/v1", "[Pp]ort"),
        ("", "no address of a server"),
    ],
)
def test_other_addresses_are_refused_in_one_line(url, said):
    with pytest.raises(UsageError, match=said) as caught:
        check_inside(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"10.0.0.5"}, ""),
        ({"10.0.0.5", "93.184.216.34"}, "outside the site"),
        ({"93.184.216.34"}, "outside the site"),
        (set(), "not known here"),
    ],
)
def test_a_name_is_inside_only_if_all_its_addresses_are(monkeypatch, answers, said):
    monkeypatch.setattr(network, "addresses_of", lambda host: answers)
    url = "http://models.example:8000/v1"
    if said:
        with pytest.raises((UsageError, EngineError), match=said):
            check_inside(url)
    else:
        assert check_inside(url).hostname == "models.example"
    assert check_inside(url, ["models.example"]).hostname == "models.example"


def test_a_body_says_all_of_a_request(monkeypatch):
    monkeypatch.setenv("SITE_KEY", "k-1")
    said = settings("", template_args={"enable_thinking": False}, api_key_variable="SITE_KEY")
    turns = (("1+1", "2"),)
    chat = Request(
        Prompt("2+2", "Be brief.", "It is", True, turns),
        Sampling(7, 0.5, 0.9, seed=(1 << 31) + 5, stop=("\n",)),
    )
    plain = Request(
        Prompt("Once", chat=False), Sampling(3, constraint=Constraint("choice", ("a",)))
    )
    with serving(lambda request: "a") as (url, stand_in):
        from dataclasses import replace

        engine = OpenAIEngine(replace(said, base_url=url))
        engine.generate([chat])
        engine.generate([plain])
    (_, first, key), (path, second, _) = [one for one in stand_in.asked if "/v1/c" in one[0]]
    assert key == "Bearer k-1" and path == "/v1/completions"
    assert first == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "1+1"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "2+2"},
            {"role": "assistant", "content": "It is"},
        ],
        "continue_final_message": True,
        "add_generation_prompt": False,
        "chat_template_kwargs": {"enable_thinking": False},
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 5,
        "stop": ["\n"],
    }
    assert second["prompt"] == "Once" and second["structured_outputs"] == {"choice": ["a"]}


def test_only_a_server_known_to_hold_a_constraint_is_asked_to():
    held = Request(Prompt("x"), Sampling(8, constraint=Constraint("regex", "a+")))
    schema = Request(Prompt("x"), Sampling(8, constraint=Constraint("json", '{"type": "object"}')))
    model = {"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 512}}
    with serving(lambda request: "{}", model) as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        with pytest.raises(EngineError, match="only vLLM's server is known to hold"):
            engine.generate([HELLO, held])
        assert engine.generate([schema])[0].text == "{}"
    # The first call sent nothing, not even what could be asked.
    assert len([one for one in stand_in.asked if "/v1/c" in one[0]]) == 1


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(Prompt("x"), Sampling(8), adapter="./lora"), "by the name it serves it under"),
        (Request(Prompt("x"), Sampling(8, labels=("a", "b"))), "not asked how probable labels"),
    ],
)
def test_what_a_server_is_not_asked_is_refused_before_anything_is_sent(request_, said):
    with serving(lambda request: "x") as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        with pytest.raises(EngineError, match=said):
            engine.generate([HELLO, request_])
    assert not [one for one in stand_in.asked if "/v1/c" in one[0]]


@pytest.mark.parametrize(
    ("models", "asked", "context", "said"),
    [
        ([{"id": "a", "max_model_len": 9}], "", 9, ""),
        ([{"id": "a", "max_model_len": 9}, {"id": "b", "max_model_len": 7}], "b", 7, ""),
        ([{"id": "a", "meta": {"n_ctx_train": 4096}}], "a", 4096, ""),
        ([{"id": "a", "max_model_len": 9}], "c", 0, "does not serve 'c'; it serves a"),
        ([{"id": "a"}, {"id": "b"}], "", 0, "which model, of several; it serves a, b"),
        ([{"id": "a"}], "a", 0, "does not tell how long its context is; set max_model_len"),
    ],
)
def test_the_model_is_one_that_is_served(models, asked, context, said):
    with serving(lambda request: "x", *models) as (url, _):
        if said:
            with pytest.raises(EngineError, match=said):
                OpenAIEngine(settings(url, served_model=asked))
        else:
            engine = OpenAIEngine(settings(url, served_model=asked))
            assert engine.max_model_len == context and engine.fingerprint["engine"] == "openai"


def test_a_server_that_is_busy_is_asked_again(monkeypatch):
    monkeypatch.setattr(openai_server, "BUSY_SECONDS", 0.01)
    with serving(lambda request: "x") as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        stand_in.busy = 3
        assert engine.generate([HELLO])[0].text == "x" and stand_in.busy == 0
        stand_in.busy = 1 << 30
        with pytest.raises(EngineError, match=r"answers 503: loading; .* resumes"):
            OpenAIEngine(settings(url, stall_seconds=0.2)).generate([HELLO])


def test_a_server_that_counts_no_tokens_gets_an_estimate():
    with serving(lambda request: "x") as (url, stand_in):
        stand_in.counts = False
        assert OpenAIEngine(settings(url)).count_tokens([Prompt("äöü" * 10)]) == [21]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [{"message": {}, "finish_reason": "stop"}]},
        {"choices": [{"text": 5, "finish_reason": "stop"}]},
        {"choices": {"a": 1}},
        {"choices": [{"text": "x", "finish_reason": "stop"}], "usage": {"prompt_tokens": "many"}},
        {"choices": [None]},
    ],
)
def test_what_is_no_answer_of_the_protocol_is_one_line(monkeypatch, body):
    with serving(lambda request: "x") as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        monkeypatch.setattr(stand_in, "answer", lambda *asked: (200, body))
        with pytest.raises(EngineError, match="no answer of OpenAI's protocol") as caught:
            engine.generate([HELLO])
        assert "\n" not in str(caught.value)


def test_a_thought_that_is_cut_off_leaves_an_empty_answer(monkeypatch):
    body = {"choices": [{"message": {"content": None}, "finish_reason": "length"}], "usage": None}
    with serving(lambda request: "x") as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        monkeypatch.setattr(stand_in, "answer", lambda *asked: (200, body))
        (done,) = engine.generate([HELLO])
    assert (done.text, done.finish_reason) == ("", "length")


def test_no_server_and_one_that_goes_away_are_one_line():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match=f"no answer from http://127.0.0.1:{port}: "):
        OpenAIEngine(settings(f"http://127.0.0.1:{port}/v1"))
    with pytest.raises(EngineError, match="has no NO_SUCH_KEY, which api_key_variable names"):
        OpenAIEngine(settings("http://127.0.0.1:9/v1", api_key_variable="NO_SUCH_KEY"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"engine": "openai"}, "needs base_url"),
        ({"engine": "vllm", "base_url": "http://127.0.0.1/v1"}, 'for engine = "openai"'),
    ],
)
def test_the_address_and_the_engine_go_together(values, said):
    with pytest.raises(ValueError, match=said):
        ModelSettings(**values)


CONFIG = """
[task]
data = "reviews.csv"
input = "text"
target = "label"
[scorer]
engine = "openai"
base_url = "{url}"
[search]
steps = 1
candidates = 2
[run]
guard = true
"""


def test_a_whole_search_asks_the_server_and_resumes_from_its_store(tmp_path, reviews):
    """One engine call a phase, both roles on one server, and none at all when it is finished."""
    with serving(lambda request: "positive") as (url, stand_in):
        (tmp_path / "run.toml").write_text(CONFIG.format(url=url))
        config = reading.read(tmp_path / "run.toml")
        result = opro_local.optimize(config, run=tmp_path / "run")
        asked = len(stand_in.asked)
        again = opro_local.optimize(config, run=tmp_path / "run")
        assert len(stand_in.asked) == asked > 60
    assert result.to_json() == again.to_json()
    assert result.engine["scorer"]["engine"] == "openai"
    assert result.engine["scorer"]["model"] == "tiny"
    assert Path(tmp_path / "run" / "best.json").is_file()
