"""Runs whose models think: recognised from card and template, with tokens for the thought, and only
the answer read by whoever reads it."""

import json
from dataclasses import replace

import pytest
from running import ROOT

from opro_local.config import reading
from opro_local.errors import ModelError
from opro_local.models.cards import Card, card_for
from opro_local.models.thinking import begun, thinking_of
from opro_local.runs.evaluated_rows import read_rows
from opro_local.runs.one_answer import one_answer
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.run import run
from opro_local.runs.thinking import Thinker, asked_of, heard, said_in
from opro_local.scoring.reading.thoughts import UNFINISHED
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Constraint,
    Prompt,
    Request,
    Sampling,
    Thinking,
)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\nBEGIN{% endif %}"
)
FINAL = "<|channel|>final<|message|>"
STRIPS = "{% if '</think>' in messages[0].content %}{% endif %}"
SWITCH = (
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
TOLD = "{% if thinking %}{{ 'Write your thoughts between <think></think> tags.' }}{% endif %}"
MODES = (
    "{% if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}"
    "Reasoning Mode: {{ '/think' if enable_thinking else '/no_think' }}"
)
MARKED = "{% if enable_thinking is defined and enable_thinking %}<|think|>{% endif %}"
# What the chat templates of known families come to: the ends that matter here.
TEMPLATES = [
    ("SmolLM2, Qwen2.5", CHATML.replace("BEGIN", ""), {}, None),
    ("R1, QwQ, Qwen3-Thinking", CHATML.replace("BEGIN", "<think>\n"), {}, Thinking(True)),
    (
        "content as a list",
        CHATML.replace("m.content", "m.content[0].text").replace("BEGIN", "<think>\n"),
        {},
        Thinking(True),
    ),
    ("Magistral", CHATML.replace("BEGIN", "[THINK]"), {}, Thinking(True)),
    ("Qwen3", STRIPS + CHATML.replace("BEGIN", SWITCH), {"enable_thinking": True}, Thinking()),
    ("Qwen3, off", STRIPS + CHATML.replace("BEGIN", SWITCH), {"enable_thinking": False}, None),
    ("Qwen3, the guess", STRIPS + CHATML.replace("BEGIN", SWITCH), {}, None),
    ("old R1 distills", STRIPS + CHATML.replace("BEGIN", ""), {}, Thinking()),
    (
        "DeepSeek V3.1",
        STRIPS
        + CHATML.replace("BEGIN", "{% if not thinking %}</think>{% else %}<think>{% endif %}"),
        {},
        None,
    ),
    ("gpt-oss", CHATML.replace("BEGIN", "{{ '<|channel|>'[:0] }}"), {}, Thinking()),
    ("Granite 3.3", TOLD + CHATML.replace("BEGIN", ""), {}, None),
    ("Granite 3.3, on", TOLD + CHATML.replace("BEGIN", ""), {"thinking": True}, Thinking()),
    ("Granite 3.3, off", TOLD + CHATML.replace("BEGIN", ""), {"thinking": False}, None),
    ("SmolLM3", MODES + CHATML.replace("BEGIN", ""), {"enable_thinking": True}, Thinking()),
    ("SmolLM3, off", MODES + CHATML.replace("BEGIN", ""), {"enable_thinking": False}, None),
    ("Gemma 4", MARKED + CHATML.replace("BEGIN", ""), {"enable_thinking": True}, Thinking()),
    ("Gemma 4, the guess", MARKED + CHATML.replace("BEGIN", ""), {}, None),
    (
        "a word about thinking",
        "{{ enable_thinking }}" + CHATML.replace("BEGIN", ""),
        {"enable_thinking": None},
        None,
    ),
    (
        "Kimi K2 Thinking",
        CHATML.replace("{{ m.content }}", "<think>{{ m.r }}</think>{{ m.content }}").replace(
            "BEGIN", ""
        ),
        {},
        Thinking(),
    ),
    ("broken", "{% if %}<think>", {}, None),
]


def model(tmp_path, template):
    (tmp_path / "chat_template.jinja").write_text(template, "utf-8")
    return tmp_path


@pytest.mark.parametrize(("template", "given", "thinking"), [row[1:] for row in TEMPLATES])
def test_a_model_that_thinks_is_known_by_its_template(tmp_path, template, given, thinking):
    folder = model(tmp_path, template)
    assert thinking_of(folder, card_for(folder), given) == thinking


@pytest.mark.parametrize(
    ("template", "thinking"),
    [
        ("{{ 1 // (messages|length - 1) }}<think>", None),
        ("{{ (10.0 ** 308) ** 2 }}<think>", None),
        ("{{ messages[7].content.x }}<think>", None),
    ],
)
def test_a_template_that_raises_opens_no_thought(tmp_path, template, thinking):
    assert thinking_of(model(tmp_path, template), Card("m")) == thinking


LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "excess"),
    [
        (LOOPS, "processor time"),
        ("{{ 'x' * 10 ** 9 }}", "memory"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "stack"),
    ],
)
def test_a_template_that_takes_too_much_is_refused_before_the_model_is_loaded(
    tmp_path, template, excess
):
    with pytest.raises(ModelError, match=f"its chat template takes more .*{excess}"):
        thinking_of(model(tmp_path, template), Card("m"))


def test_a_card_goes_before_the_template(tmp_path):
    folder = model(tmp_path, CHATML.replace("BEGIN", "<think>"))
    assert thinking_of(folder, Card("m", thinks=False)) is None
    plain = model(tmp_path, CHATML.replace("BEGIN", "<<"))
    marks = (("<<", ">>"),)
    assert thinking_of(plain, Card("m", thinking_marks=[["<<", ">>"]])) == Thinking(True, marks)
    assert thinking_of(tmp_path / "none", Card("m", thinks=True)) == Thinking()


@pytest.mark.parametrize(
    ("prompt", "prefill", "whole"),
    [
        ("assistant\n", "So", "assistant\nSo"),
        ("assistant\n<think>\n", "", "assistant\n<think>\n"),
        ("assistant\n<think>\n", "So", "assistant\n<think>\n\n</think>\n\nSo"),
        ("[THINK]", "So", "[THINK]\n[/THINK]\n\nSo"),
        ("<seed:think>", "So", "<seed:think>\n</seed:think>\n\nSo"),
        ("<think>\n", "</think>\n\nSo", "<think>\n</think>\n\nSo"),
        ("<think>\n\n</think>\n\n", "So", "<think>\n\n</think>\n\nSo"),
    ],
)
def test_first_words_of_a_reply_are_not_put_into_an_open_thought(prompt, prefill, whole):
    assert begun(prompt, prefill) == whole


@pytest.mark.parametrize(
    ("prefill", "before", "whole"),
    [
        ("So", FINAL, f"a{FINAL}So"),
        ("So", "<think>\n\n</think>\n\n", "a<think>\n\n</think>\n\nSo"),
        ("", FINAL, "a"),
        # First words that have a channel or a thought of their own.
        ("<|channel|>analysis<|message|>So", FINAL, "a<|channel|>analysis<|message|>So"),
        (" <think>Hm</think>So", "<think></think>", "a <think>Hm</think>So"),
        ("<b>So", FINAL, f"a{FINAL}<b>So"),
        ("So", "all\n", "aall\nSo"),
    ],
)
def test_first_words_follow_what_the_template_puts_before_a_reply(prefill, before, whole):
    assert begun("a", prefill, before) == whole


THINKERS = {"scorer": Thinker(Thinking(True), 100)}
SAMPLING = Sampling(8, stop=("\n",))
ASKED = Request(Prompt("q"), SAMPLING)
HELD = Request(Prompt("q"), replace(SAMPLING, constraint=Constraint("choice", ("a", "b"))))
BEGUN = Request(Prompt("q", prefill="So"), SAMPLING)
TEXT = Request(Prompt("q", chat=False), SAMPLING)


def test_a_thought_has_tokens_of_its_own_and_no_stop_string():
    batch = Batch("x", "scorer", [ASKED, HELD, BEGUN, TEXT])
    asked = asked_of(batch, THINKERS).requests
    assert asked[0].sampling == Sampling(108)
    # What must begin with the answer gets no thought, and none is left open before it.
    assert asked[1] == replace(HELD, prompt=replace(HELD.prompt, prefill="</think>\n\n"))
    assert asked[2:] == [BEGUN, TEXT]
    assert asked_of(replace(batch, role="optimizer"), THINKERS).requests == batch.requests


@pytest.mark.parametrize(
    ("request_", "reply", "reason", "said", "ends"),
    [
        (ASKED, "hm\nyes or no</think>\n\nyes\nNext", "stop", "yes", "stop"),
        (ASKED, "hm\nyes or no</think>\n\nyes", "length", "yes", "length"),
        (ASKED, "hm\nyes", "length", UNFINISHED, "length"),
        (ASKED, "hm\nyes", "stop", UNFINISHED, "length"),
        (HELD, "a", "stop", "a", "stop"),
        (BEGUN, " yes", "stop", " yes", "stop"),
        (TEXT, " yes", "stop", " yes", "stop"),
    ],
)
def test_an_answer_ends_where_the_search_asked_it_to(request_, reply, reason, said, ends):
    batch = Batch("x", "scorer", [request_])
    result = BatchResult([Completion(reply, reason, 3, 0, 7)], 0.0)
    assert list(said_in(batch, result, THINKERS)) == [Completion(said, ends, 3, 0, 7)]


def test_a_programs_report_and_a_vector_are_passed_on_as_they_are():
    report = BatchResult([Completion('{"stdout": "<think>"}', "stop", 0, 0, 0)], 0.0)
    for role in ("program", "embedder"):
        assert said_in(Batch("x", role, [ASKED]), report, THINKERS) == report.completions


def test_a_search_ends_with_what_it_returned():
    def search():
        result = yield Batch("x", "optimizer", [ASKED])
        return result.completions[0].text

    driven = heard(search(), {})
    assert next(driven).requests == [ASKED]
    with pytest.raises(StopIteration) as end:
        driven.send(BatchResult([Completion("<think>a</think>b", "stop", 1, 0, 1)], 0.0))
    assert end.value.value == "b"


THINKS = f"""
import sys

sys.path.insert(0, {str(ROOT / "tests")!r})
from scripted_model import answer as plain
"""
THINKS += """

def answer(request):
    reply = plain(request)
    if request.sampling.seed is not None:
        return "<think>Answer wrongly?</think>" + reply
    other = {"positive": "negative", "negative": "positive"}[reply]
    if "cut" in request.prompt.text:
        return f"<think>It is {reply}"
    return f"<think>\\nPerhaps {other}.\\n</think>\\n\\n{reply}"
"""


@pytest.fixture
def thinking_tables(tables, tmp_path):
    script = tmp_path / "thinks.py"
    script.write_text(THINKS)
    own = {"script": f"{script}:answer"}
    scorer = {**tables["scorer"], **own, "thinking_tokens": 40}
    return {**tables, "scorer": scorer, "optimizer": {**tables["optimizer"], **own}}


def test_a_run_of_models_that_think_equals_one_of_models_that_do_not(
    tables, thinking_tables, tmp_path
):
    plain = run(make_plan(reading.build(tables)), tmp_path / "plain")
    thought = run(make_plan(reading.build(thinking_tables)), tmp_path / "thought")
    assert thought["best"] == plain["best"]
    assert thought["test"]["best"]["accuracy"] == plain["test"]["best"]["accuracy"]
    assert thought["test"]["best"]["truncated"] == 0
    assert "40 tokens for the thought (scorer.thinking_tokens)" in thought["notices"][0]
    assert not plain["notices"]
    again = run(make_plan(reading.build(thinking_tables)), tmp_path / "thought")
    assert again["calls"] == thought["calls"]


@pytest.mark.parametrize("instruction", ["What is it?", "Cut: what is it, cut?"])
def test_one_answer_is_shown_before_a_run(thinking_tables, instruction):
    thinking_tables["search"] = {"seeds": [instruction]}
    one = one_answer(make_plan(reading.build(thinking_tables)))
    assert one.instruction == instruction and one.answer.startswith("<think>")
    if "Cut" in instruction:
        assert (one.said, one.parsed, one.correct, one.finish_reason) == ("", None, 0, "length")
    else:
        assert one.said == one.parsed and one.finish_reason == "stop"
        assert one.correct == (one.parsed == one.target)


def test_unfinished_thoughts_are_counted_as_unread_and_cut(thinking_tables, tmp_path):
    thinking_tables["search"] = {"seeds": ["What is it?", "Cut: what is it, cut?"]}
    plan = evaluation_plan(reading.build(thinking_tables))
    result = run(plan, tmp_path / "run")
    whole, cut = result["prompts"]
    assert (whole["extraction_failures"], whole["truncated"]) == (0, 0)
    assert (cut["accuracy"], cut["extraction_failures"], cut["truncated"]) == (
        0,
        cut["n"],
        cut["n"],
    )
    rows = read_rows(plan.config, tmp_path / "run")
    assert rows[0]["answer"].startswith("<think>") and rows[0]["parsed"] in (
        "positive",
        "negative",
    )
    assert (rows[-1]["parsed"], rows[-1]["finish_reason"]) == (None, "length")
    assert json.dumps(rows)
