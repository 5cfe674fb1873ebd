"""A server inside the site as an engine: where it may be, what it is asked, and what goes wrong."""

from __future__ import annotations

import socket
import sys
import threading
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

WHOLE = {"choices": [{"text": "x", "finish_reason": "stop"}]}
UNFINISHED = (None, "abort", "error", "content_filter", "tool_calls", "", 1)
NO_COUNTS = (-2, 1.5, float("inf"), float("nan"), 10**30, True, "7")
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
        {"choices": [{"text": [], "finish_reason": "stop"}]},
        {"choices": [{"text": "x"}]},
        *({"choices": [{"text": "x", "finish_reason": why}]} for why in UNFINISHED),
        *({**WHOLE, "usage": {"completion_tokens": count}} for count in NO_COUNTS),
        {**WHOLE, "usage": [1]},
        {**WHOLE, "usage": {"prompt_tokens_details": [1]}},
        {"error": {"message": "the model crashed"}},
    ],
)
def test_what_is_no_answer_of_the_protocol_is_one_line(monkeypatch, body):
    with serving(lambda request: "x") as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        monkeypatch.setattr(stand_in, "answer", lambda *asked: (200, body))
        with pytest.raises(EngineError, match="no answer of OpenAI's protocol") as caught:
            engine.generate([HELLO])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("why", "reason"),
    [("stop", "stop"), ("eos_token", "stop"), ("length", "length"), ("max_tokens", "length")],
)
def test_an_answer_ended_or_was_cut_off(monkeypatch, why, reason):
    body = {"choices": [{"text": "a\ud800b", "finish_reason": why}]}
    with serving(lambda request: "x") as (url, stand_in):
        engine = OpenAIEngine(settings(url))
        monkeypatch.setattr(stand_in, "answer", lambda *asked: (200, body))
        (done,) = engine.generate([HELLO])
    # Half a character would end the run where it is stored.
    assert (done.text, done.finish_reason, done.completion_tokens) == ("a?b", reason, 0)


@pytest.mark.parametrize(
    "listed",
    [
        *({"data": data} for data in (None, 5, "tiny", {}, [], [None], [{}], [{"id": None}])),
        {},
        {"data": [{"id": ""}]},
    ],
)
def test_a_list_of_models_that_names_none_is_one_line(monkeypatch, listed):
    with serving(lambda request: "x") as (url, stand_in):
        monkeypatch.setattr(stand_in, "answer", lambda *asked: (200, listed))
        with pytest.raises(EngineError, match="/models answers 200"):
            OpenAIEngine(settings(url))


@pytest.mark.parametrize("context", [True, 0, -1, "2048", 10**30, 1.5, None])
def test_a_context_that_is_none_is_asked_for(monkeypatch, context):
    listed = {"data": [{"id": "tiny", "max_model_len": context}]}
    with serving(lambda request: "x") as (url, stand_in):
        monkeypatch.setattr(stand_in, "answer", lambda *asked: (200, listed))
        with pytest.raises(EngineError, match="set max_model_len"):
            OpenAIEngine(settings(url))


# What a server on a raw socket sends, and what is said of it.
CUT_SHORT = {
    "a body that is cut off": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
        "IncompleteRead",
    ),
    "no body at all": (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "IncompleteRead"),
    "a chunk that is cut off": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{",
        "IncompleteRead",
    ),
    "another protocol": (b"SSH-2.0-x\r\nmore\r\n\r\n", "BadStatusLine"),
    "nothing": (b"", "RemoteDisconnected"),
    "a redirect": (
        b"HTTP/1.1 307 x\r\nLocation: http://8.8.8.8/v1\r\nContent-Length: 0\r\n\r\n",
        "answers 307: a redirect, not followed, to http://8.8.8.8/v1",
    ),
}


@pytest.mark.parametrize("case", CUT_SHORT)
def test_a_connection_that_fails_is_said_as_what_it_is(case):
    sent, says = CUT_SHORT[case]

    def answer_all(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(1 << 16)
            connection.sendall(sent)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_all, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(EngineError, match=says) as caught:
            OpenAIEngine(settings(url))
        server.shutdown(socket.SHUT_RDWR)
    assert "\n" not in str(caught.value)


def test_a_name_that_leads_out_by_the_time_of_the_connection_gets_no_prompt(monkeypatch):
    with serving(lambda request: "x") as (url, stand_in):
        OpenAIEngine(settings(url)).generate([HELLO])
        before = len(stand_in.asked)
        inside = network.is_private
        # Loopback stands for an address outside: only what was asked by name may be spoken to.
        monkeypatch.setattr(network, "is_private", lambda one: one != "127.0.0.1" and inside(one))
        with pytest.raises(UsageError, match=r"leads to 127\.0\.0\.1 .* outside the site"):
            OpenAIEngine(settings(url))
        assert len(stand_in.asked) == before
        OpenAIEngine(settings(url, allowed_hosts=("127.0.0.1",)))


def test_names_of_hosts_have_no_case():
    assert check_inside("http://LLM.example.org/v1", ["llm.Example.org"]).hostname
    assert check_inside("http://llm.example.org/v1", ["LLM.example.org"]).hostname


def test_a_server_that_closes_each_connection_is_asked_again():
    with serving(lambda request: "x") as (url, _stand_in):
        engine = OpenAIEngine(settings(url, max_num_seqs=1))
        assert [one.text for one in engine.generate([HELLO] * 3)] == ["x"] * 3
        engine._server._connection().close()  # as the server's end of it
        assert engine._server.get("models").status == 200


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


def test_an_address_is_for_a_server():
    with pytest.raises(ValueError, match='for engine = "openai"'):
        ModelSettings(engine="vllm", base_url="http://127.0.0.1/v1")


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
