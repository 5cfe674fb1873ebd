"""What best.json holds gives, for every row, the request that the run made of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import jinja2
import pytest
from odd_rows import LAYOUTS, SHAPES, asked, chosen

from opro_local.config import reading
from opro_local.engines.tokenizer import plain_text
from opro_local.errors import DataError, UsageError
from opro_local.exports.formats import FORMATS, export
from opro_local.exports.whole_prompt import WholePrompt, asked_to_json
from opro_local.runs.finished_prompt import finished_prompt
from opro_local.runs.plans import make_plan
from opro_local.runs.prompt_file import read_prompts
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.runs.store import open_store
from opro_local.runs.verification import verify
from opro_local.types import Prompt


@pytest.fixture(params=SHAPES)
def shape(request):
    """How the prompt is shaped: a chat without and with worked examples, and a text likewise."""
    return request.param


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_in_the_place_of_the_marker_gives_the_runs_request(tables, tmp_path, layout, shape):
    plan, found = chosen(tables, tmp_path, *LAYOUTS[layout], shape)
    (best,) = (text for name, text in plan.files(found).items() if name == "best.json")
    whole = WholePrompt.from_json(json.loads(best))
    assert whole == found.prompt and whole.checked["rows"] == whole.checked["equal"] > 30
    compared = 0
    for row, request in asked(plan, found):
        made = whole.filled(row.input, row.columns)
        assert plain_text(made) == plain_text(request.prompt)
        assert not request.prompt.chat or made == request.prompt
        compared += 1
    assert compared == 16 and whole.stop == request.sampling.stop
    assert (whole.max_tokens, whole.text) == (request.sampling.max_tokens, found.best.text)


def test_the_marker_is_none_of_the_texts_and_always_the_same(tables, tmp_path):
    _, found = chosen(tables, tmp_path, {}, "What is it?", "turns")
    first, file = found.prompt.input, tmp_path / "odd.csv"
    (digits,) = re.findall("[0-9a-f]{12}", first)
    for added in ("0" * 12, digits):
        text = file.read_text().replace("<input-000000000000>", f"<input-{added}>")
        file.write_text(text)
        plan = make_plan(reading.build(tables))
        again = plan.whole_prompt(found)
        assert (again.input == first) == (added != digits)
        assert again.input not in text and again.checked["equal"] == again.checked["rows"]


def test_what_the_record_says_of_model_rule_data_and_scores(tables, tmp_path):
    found = run(reading.build(tables), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "best.json").read_text())
    assert (record["format"], record["version"]) == ("opro-local prompt", 1)
    assert record["model"]["digest"] == found.engine["scorer"]["model"]
    assert record["rule"]["name"] == "labels"
    assert record["rule"]["labels"] == ["negative", "positive"]
    assert record["data"]["rows"] == {"train": 24, "validation": 12, "test": 24}
    assert record["data"]["files"] == ["reviews.csv"] and record["data"]["input"] == "text"
    assert record["scores"]["test"]["best"]["interval"] == list(found.test.best.interval)
    assert "classes" not in record["scores"]["test"]["best"]
    assert record["run"]["digest"] == found.digest and record["run"]["verdict"] == found.verdict
    assert record["label_bias"] is None and record["second_round"] is None
    assert str(tmp_path) not in json.dumps(record)
    assert describe(tmp_path / "run").prompt == found.prompt
    assert WholePrompt.from_json(record) == found.prompt
    with pytest.raises(DataError, match="not version 1"):
        WholePrompt.from_json({**record, "version": 2})


def test_best_txt_shows_no_half_of_a_prompt(tables, tmp_path):
    plan, found = chosen(tables, tmp_path, {}, "What is it?", "turns")
    text = plan.files(found)["best.txt"]
    assert text.startswith("# This prompt shows worked examples")
    assert all(example["input"] in text for example in found.prompt.demonstrations)
    assert "[assistant]\nnegative" in text and found.prompt.input in text
    for name in ("best.txt", "copy.txt"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=r"give best\.json"):
            read_prompts(tmp_path / name)


def test_a_run_of_an_earlier_build_is_made_whole_by_its_command(tables, tmp_path):
    run(reading.build(tables), tmp_path / "run")
    (tmp_path / "run" / "best.json").unlink()
    store = open_store(tmp_path / "run")
    store.put(prompt=None)
    store.close()
    assert verify(tmp_path / "run", deep=True).ok
    with pytest.raises(UsageError, match="give its command again"):
        finished_prompt(tmp_path / "run")
    found = run(reading.build(tables), tmp_path / "run")
    assert finished_prompt(tmp_path / "run") == found.prompt
    assert verify(tmp_path / "run", deep=True).ok


def test_two_rounds_are_in_best_json_and_in_no_export_that_asks_once(tables, tmp_path):
    _, found = chosen(tables, tmp_path, {"second_round": True, "rule": "opro"}, "Why?", "base")
    second = found.prompt.second_round
    assert second.answer in second.prompt.prefill and second.max_tokens > 0
    assert WholePrompt.from_json(found.prompt.to_json()) == found.prompt
    for name in FORMATS:
        if name != "markdown":
            with pytest.raises(UsageError, match="two rounds"):
                found.export(name)


def test_formats_that_are_none_are_refused_with_those_that_are(tables, tmp_path):
    _, found = chosen(tables, tmp_path, {}, "Why?", "chat")
    with pytest.raises(
        UsageError,
        match="accepted: openai, python, jinja, markdown, promptfoo, mlflow, lm-eval, dspy",
    ):
        found.export("yaml")


def test_an_empty_system_message_is_left_out():
    whole = WholePrompt("{text}", (), Prompt("<q>", "<c>"), "<q>", "q", {"text": "<c>"}, 8)
    assert (
        whole.may_lose_system and not replace(whole, prompt=Prompt("<q>", "a<c>")).may_lose_system
    )
    for name in ("promptfoo", "mlflow"):
        with pytest.raises(UsageError, match="can't leave out a system message"):
            export(whole, name)
    template = jinja2.Template(export(whole, "jinja"))
    user = {"role": "user", "content": "x"}
    assert json.loads(template.render(input="x", columns={"text": ""})) == [user]
    assert json.loads(template.render(input="x", columns={"text": "y"}))[1] == user
    assert whole.filled("x", {"text": ""}) == Prompt("x")
    assert whole.filled("x", {"text": "<q>"}) == Prompt("x", "<q>")
    assert whole.filled("<c>", {"text": "y"}) == Prompt("<c>", "y")
    assert json.loads(export(whole, "openai"))["columns"] == {"text": "<c>"}


REFUSES = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
ALONE = (
    "{% if messages | length > 1 %}{{ raise_exception('one') }}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
)
TEMPLATES = {
    "refuses": REFUSES + "{{ m.role }}: {{ m.content }}\n{% endfor %}",
    "drops": "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}",
    "alone": ALONE,
    "takes": "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}",
    "none": "",
}


def model_with(folder, source):
    """A model's folder with this chat template, as far as a plan looks."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": source or None}))
    return {"engine": "transformers", "model": str(folder)}


TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
BEGUN = {
    TURNS + "{% if add_generation_prompt %}<assistant>{% endif %}": True,
    TURNS + "{% if add_generation_prompt %}<assistant><think>\n{% endif %}": False,
    TURNS + "{% if add_generation_prompt %}<bot>{% endif %}": False,
}


@pytest.mark.parametrize("template", BEGUN)
def test_a_reply_that_was_begun_is_exported_where_the_template_continues_it(
    tables, tmp_path, template
):
    tables["scorer"] |= model_with(tmp_path / "model", template)
    tables["scorer"]["thinking_tokens"] = 8
    _, found = chosen(tables, tmp_path, {"position": "A_begin"}, "The label is", "chat")
    assert found.prompt.continues is BEGUN[template]
    assert found.prompt.prompt.prefill == "The label is"
    for name in ("openai", "python", "promptfoo", "lm-eval"):
        if BEGUN[template]:
            assert "The label is" in found.export(name)
        else:
            with pytest.raises(UsageError, match="does not continue a reply"):
                found.export(name)
    _, found = chosen(tables, tmp_path, {"position": "Q_end"}, "Label it.", "chat")
    assert found.prompt.continues and found.export("openai")


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_is_exported_by_the_way_that_the_models_template_takes(tables, tmp_path, template):
    tables["scorer"] |= model_with(tmp_path / "model", TEMPLATES[template])
    _, found = chosen(tables, tmp_path, {"position": "system"}, "Judge.", "turns")
    said = asked_to_json(found.prompt.filled("x"))
    if template == "none":
        assert said["prompt"].startswith("Judge.\n\n") and said["prompt"].endswith("\n\nx")
    elif template == "takes":
        assert said["messages"][0] == {"role": "system", "content": "Judge."}
    elif template == "alone":
        (one,) = said["messages"]
        assert one["content"].startswith("Judge.\n\n") and one["content"].endswith("\n\nx")
    else:
        assert said["messages"][0]["role"] == "user" and len(said["messages"]) == 7
        assert said["messages"][0]["content"].startswith("Judge.\n\n")
    assert found.prompt.checked["equal"] == found.prompt.checked["rows"] > 0
