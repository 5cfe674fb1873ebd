"""Every format gives the prompt that the run used, text for text, also as the tools read it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import jinja2
import pytest
import yaml
from odd_rows import LAYOUTS, SHAPES, asked, chosen
from running import SMOL, real

from opro_local.config import reading
from opro_local.engines.settings import EngineSettings
from opro_local.engines.tokenizer import PromptTokenizer, plain_text
from opro_local.errors import UsageError
from opro_local.exports.whole_prompt import asked_to_json
from opro_local.exports.yaml_text import yaml_text
from opro_local.runs.run import run


def python_prompts(text, rows, whole):
    """What the exported module makes of rows."""
    module: dict = {}
    exec(compile(text, "exported", "exec"), module)
    make = module["messages"] if whole.prompt.chat else module["prompt"]
    return [
        make(row.input, dict(row.columns)) if whole.columns else make(row.input) for row in rows
    ]


def openai_prompts(text, rows, whole):
    """The record's messages or prompt, filled in as docs/exports.md says."""
    record = json.loads(text)
    key = "messages" if "messages" in record else "prompt"
    names = {"input": record["input"], **record.get("columns", {})}
    by_mark = {mark: name for name, mark in names.items()}
    marks = re.compile("|".join(map(re.escape, by_mark)))

    def filled(said, row):
        values = {**row.columns, "input": row.input}
        return marks.sub(lambda place: values[by_mark[place[0]]], said)

    return [in_strings(record[key], lambda said, row=row: filled(said, row)) for row in rows]


def in_strings(said, change):
    """A text, or the content of each message, changed."""
    if isinstance(said, str):
        return change(said)
    return [{**one, "content": change(one["content"])} for one in said]


def jinja_prompts(text, rows, whole):
    """What Jinja makes of the template, whatever its environment does with lines."""
    made = []
    for options in ({}, {"trim_blocks": True, "lstrip_blocks": True, "newline_sequence": "\r\n"}):
        template = jinja2.Environment(**options).from_string(text)
        said = [template.render(input=row.input, columns=row.columns) for row in rows]
        made.append([json.loads(one) if whole.prompt.chat else one for one in said])
    assert made[0] == made[1]
    return made[0]


# What of Nunjucks the file uses: two kinds of expression, and text.
NUNJUCKS = re.compile(r"""\{\{ \s (?: "(?P<text>\{)" | (?P<name>\w+) ) \s \}\}""", re.VERBOSE)


def promptfoo_prompts(text, rows, whole):
    """What promptfoo makes of it: it renders each string of a chat (its docs on prompts)."""
    (prompt,) = yaml.safe_load(text)["prompts"]

    def filled(said, row):
        values = {**row.columns, "input": row.input}
        assert not re.search(r"\{[{%#]", NUNJUCKS.sub("", said))
        return NUNJUCKS.sub(lambda place: place["text"] or values[place["name"]], said)

    raw = json.loads(prompt["raw"]) if whole.prompt.chat else prompt["raw"]
    return [in_strings(raw, lambda said, row=row: filled(said, row)) for row in rows]


def mlflow_prompts(text, rows, whole):
    """What `PromptVersion.format` makes of it (mlflow/prompt/registry_utils.py)."""
    template = json.loads(text)["template"]
    place = re.compile(r"\{\{\s*(\w+)\s*\}\}")

    def filled(said, row):
        values = {**row.columns, "input": row.input}
        return place.sub(lambda found: values[found[1]], said)

    return [in_strings(template, lambda said, row=row: filled(said, row)) for row in rows]


def lm_eval_prompts(text, rows, whole):
    """What the harness makes of it."""
    task = importlib.import_module("lm_eval.api.task")
    settings = yaml.safe_load(text)
    settings["dataset_path"] = "json"
    docs = [dict(row.columns) for row in rows]
    del settings["dataset_kwargs"], settings["dataset_path"]

    def dataset(**_):
        import datasets

        return {"test": datasets.Dataset.from_list(docs)}

    loaded = task.ConfigurableTask(config={**settings, "custom_dataset": dataset})

    def context(doc):
        said = loaded.fewshot_context(
            doc,
            settings["num_fewshot"],
            apply_chat_template=whole.prompt.chat,
            fewshot_as_multiturn=True,
            chat_template=lambda said, add_generation_prompt: json.dumps(said),
            gen_prefix=loaded.doc_to_prefix(doc),
        )
        return json.loads(said) if whole.prompt.chat else said

    return [context(doc) for doc in loaded.test_docs()]


RENDERED = {
    "python": python_prompts,
    "openai": openai_prompts,
    "jinja": jinja_prompts,
    "promptfoo": promptfoo_prompts,
    "mlflow": mlflow_prompts,
    "lm-eval": lm_eval_prompts,
}
# Braces of one's own that mlflow takes for its variables.
BRACED = ("begin", "end", "system", "place")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_export_gives_the_runs_prompt(tables, tmp_path, layout, shape):
    """For each row that is asked with all worked examples."""
    plan, found = chosen(tables, tmp_path, *LAYOUTS[layout], shape)
    shown = {example["input"] for example in found.prompt.demonstrations}
    pairs = [pair for pair in asked(plan, found, "train") if pair[0].input not in shown]
    rows = [row for row, _ in pairs]
    said = [wanted(request.prompt) for _, request in pairs]
    assert len(rows) >= 13
    for name, rendered in RENDERED.items():
        if name == "lm-eval" and importlib.util.find_spec("lm_eval") is None:
            continue
        # Worked examples bring braces of the rows, too.
        if name == "mlflow" and (layout in BRACED or found.prompt.demonstrations):
            with pytest.raises(UsageError, match="no escape"):
                found.export(name)
            continue
        assert rendered(found.export(name), rows, found.prompt) == said, name


def wanted(prompt):
    """The run's own prompt, as messages or as a text."""
    return asked_to_json(prompt)["messages"] if prompt.chat else plain_text(prompt)


@pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None,
    reason="lm-evaluation-harness is not installed here: what it reads is not compared",
)
def test_the_harness_loads_the_task_with_its_rows(tables, tmp_path):
    """As its command line does: the file by its name, the rows beside it."""
    task = importlib.import_module("lm_eval.api.task")
    _, found = chosen(tables, tmp_path, {}, "What is it?", "turns")
    settings = yaml.safe_load(found.export("lm-eval"))
    settings["dataset_kwargs"]["data_files"]["test"] = str(tmp_path / "odd.csv")
    loaded = task.ConfigurableTask(config=settings)
    assert len(list(loaded.test_docs())) == 40
    assert loaded.config.generation_kwargs["max_gen_toks"] == 8
    doc = loaded.test_docs()[1]
    assert loaded.process_results(doc, ["Positive."]) == {"exact_match": 1.0}
    assert loaded.process_results(doc, ["negative"]) == {"exact_match": 0.0}


class Server(BaseHTTPRequestHandler):
    """A stand-in for `vllm serve` that keeps what it was asked."""

    asked: list

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        message = {"role": "assistant", "content": "positive"}
        choice = {"index": 0, "finish_reason": "stop", "message": message, "text": "positive"}
        kind = "chat.completion" if "messages" in body else "text_completion"
        said = {"id": "1", "object": kind, "created": 1, "model": "m", "choices": [choice]}
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """Its address, and what it was asked."""
    own = type("Own", (Server,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), own) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/v1", own.asked
        running.shutdown()


def test_the_openai_client_sends_what_the_run_asked(tables, tmp_path, server):
    openai = pytest.importorskip("openai", reason="the openai client is not installed here")
    address, received = server
    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0)
    for shape in SHAPES:
        plan, found = chosen(tables, tmp_path, *LAYOUTS["answer"], shape)
        row, request = next(asked(plan, found))
        record = json.loads(found.export("openai"))
        (prompt,) = openai_prompts(found.export("openai"), [row], found.prompt)
        fields = {"extra_body": record["extra_body"], **record["sampling"]}
        make = client.chat.completions if found.prompt.prompt.chat else client.completions
        key = "messages" if found.prompt.prompt.chat else "prompt"
        make.create(model=record["model"], **{key: prompt}, **fields)
        path, body = received.pop()
        assert path == ("/v1/chat/completions" if key == "messages" else "/v1/completions")
        begun = {"add_generation_prompt": False, "continue_final_message": True}
        assert body == {
            "model": record["model"],
            key: prompt,
            "temperature": 0.0,
            "max_tokens": request.sampling.max_tokens,
            "repetition_penalty": 1.0,
            **({"stop": list(request.sampling.stop)} if request.sampling.stop else {}),
            **(begun if key == "messages" else {}),
        }
        module: dict = {}
        exec(found.export("python"), module)
        assert module["ask"](row.input, server=address) == "positive"
        assert received.pop() == (path, body)


def test_the_record_holds_a_run_to_its_labels_and_switches(tables, tmp_path):
    tables["scorer"] |= {"constrain": "labels", "template_args": {"enable_thinking": False}}
    _, found = chosen(tables, tmp_path, {}, "What is it?", "chat")
    body = json.loads(found.export("openai"))["extra_body"]
    assert body["structured_outputs"] == {"choice": ["negative", "positive"]}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    config = yaml.safe_load(found.export("promptfoo"))["providers"][0]["config"]
    assert config["passthrough"] == body and config["max_tokens"] == 8


def test_dspy_has_the_instruction_and_the_worked_examples(tables, tmp_path):
    _, found = chosen(tables, tmp_path, {}, "What {{is}} it?", "turns")
    state = json.loads(found.export("dspy"))
    assert state["signature"]["instructions"] == "What {{is}} it?"
    assert state["demos"] == [
        {"text": one["input"], "label": one["answer"]} for one in found.prompt.demonstrations
    ]
    assert state["metadata"]["signature"] == "text -> label"
    _, found = chosen(tables, tmp_path, *LAYOUTS["column"], "chat")
    with pytest.raises(UsageError, match="the prompt also shows topic"):
        found.export("dspy")


@pytest.mark.parametrize("name", ["lm-eval", "dspy"])
def test_a_column_that_is_no_word_is_refused(tables, tmp_path, name):
    _, found = chosen(tables, tmp_path, {}, "What is it?", "chat")
    odd = replace(found, prompt=replace(found.prompt, column="my text"))
    with pytest.raises(UsageError, match="the column 'my text' can't be"):
        odd.export(name)


def test_the_harness_is_given_no_answer_that_it_reads_as_python(tables, tmp_path):
    _, found = chosen(tables, tmp_path, {}, "What is it?", "turns")
    prompt = replace(found.prompt.prompt, turns=(("q", "['a']"),))
    with pytest.raises(UsageError, match="for no text"):
        replace(found, prompt=replace(found.prompt, prompt=prompt)).export("lm-eval")


def test_a_card_names_data_model_scores_and_limits_and_nothing_in_it_is_markup(tables, tmp_path):
    tables["run"] |= {"name": "<b>*mine*"}
    tables["search"] |= {"mode": "opro", "seeds": ["What is it?\n```\n# not a heading"]}
    found = run(reading.build(tables), tmp_path / "run")
    card = found.export("markdown")
    best = found.test.best
    low, high = best.interval
    assert f"| {best.accuracy:.3f} ({low:.3f} to {high:.3f}) |" in card
    assert f"p = {found.test.difference.p_value:.3g}" in card
    assert f"Verdict: {found.verdict}." in card and found.digest in card
    assert found.engine["scorer"]["model"] in card and "reviews.csv" in card
    assert r"# \<b\>\*mine\*" in card
    assert "````text" in card or "```" not in found.best.text
    if found.verdict != "reliable gain":
        assert "was not shown to be better" in card


@pytest.mark.real
def test_chat_and_text_are_the_runs_tokens_with_a_real_tokenizer(tables, tmp_path):
    """What `vllm serve` does with a request: the chat template, or the text with special tokens."""
    real("transformers")
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(SMOL)
    own = PromptTokenizer.load(SMOL, config, EngineSettings(str(SMOL), "transformers"))
    tokenizer, compared = own.tokenizer, 0
    for layout in LAYOUTS:
        for shape in SHAPES:
            plan, found = chosen(tables, tmp_path, *LAYOUTS[layout], shape)
            tables["task"].pop("position", None), tables["task"].pop("template", None)
            rows, requests = zip(*asked(plan, found), strict=True)
            made = openai_prompts(found.export("openai"), rows, found.prompt)
            body = json.loads(found.export("openai"))["extra_body"]
            for said, ids in zip(made, own.encode([one.prompt for one in requests]), strict=True):
                if isinstance(said, str):
                    assert tokenizer(said)["input_ids"] == ids
                else:
                    begun = body.get("continue_final_message", False)
                    assert ids == tokenizer.apply_chat_template(
                        said,
                        add_generation_prompt=not begun,
                        continue_final_message=begun,
                        return_dict=False,
                    )
                compared += 1
    assert compared == 16 * len(LAYOUTS) * len(SHAPES)


@pytest.mark.parametrize("sign", ["\r", "\r\n", "\x85", "\u2028", "\u2029", "\ufeff", "\x0b", "\t"])
@pytest.mark.parametrize("form", ["a{0}b", "a{0}b\nc", "{0}a", "a{0}"])
def test_yaml_keeps_every_sign_of_a_text(sign, form):
    text = form.format(sign)
    assert yaml.safe_load(yaml_text({"prompt": text})) == {"prompt": text}
