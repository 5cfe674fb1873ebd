"""A Python module of a few lines that makes the prompt and asks a server, without this package.

For: whoever copies a prompt into a program of their own; the standard library is enough. Not for:
reading the answer, which best.json's `rule` describes.
"""

from __future__ import annotations

from pprint import pformat
from typing import Any

from opro_local.exports.openai import extra_body, logit_bias, sampling
from opro_local.exports.whole_prompt import WholePrompt, asked_to_json

WIDTH = 96

MODULE = '''"""A prompt that opro-local chose; `opro-local export --format markdown` tells of it.

`{kind}` makes the prompt of a row, `ask` sends it to a server that speaks OpenAI's API, such as
`vllm serve`.
"""

import json
import re
import urllib.request

MODEL = {model}
{name} = {asked}
MARKERS = {markers}
REQUEST = {request}


def _filled(text, values):
    # In one pass: a value that looks like a marker stays as it is.
    return re.sub("|".join(map(re.escape, values)), lambda place: values[place[0]], text)


{function}
'''

ASK = '''

def ask({parameters}, server="http://localhost:8000/v1"):
    """The model's reply to a row."""
    body = {{"model": MODEL, "{kind}": {call}, **REQUEST}}
    data = json.dumps(body).encode()
    headers = {{"Content-Type": "application/json"}}
    request = urllib.request.Request(f"{{server}}/{path}", data, headers)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["choices"][0]{said}
'''

CHOOSE = '''

LABEL_BIAS = {bias}


def label(log_probabilities):
    """The label that the run would choose, of the log-probability of each label as the whole
    reply. The run's figures hold for this choice, and not for what the model would write.
    """
    return max(LABEL_BIAS, key=lambda name: log_probabilities[name] + LABEL_BIAS[name])
'''

MESSAGES = '''def messages({parameters}):
    """The messages of a row."""
    values = {values}
    said = [{{**one, "content": _filled(one["content"], values)}} for one in MESSAGES]
    return [one for one in said if one["content"] or one["role"] != "system"]'''

PROMPT = '''def prompt({parameters}):
    """The text of a row, for the model to continue."""
    return _filled(PROMPT, {values})'''


def python(whole: WholePrompt) -> str:
    """The module's source."""
    kind = "messages" if whole.prompt.chat else "prompt"
    # Columns may have names that are none in Python.
    parameters = "input, columns" if whole.columns else "input"
    values = '{MARKERS["input"]: input}'
    if whole.columns:
        values = (
            '{marker: input if name == "input" else columns[name] '
            "for name, marker in MARKERS.items()}"
        )
    function = (MESSAGES if whole.prompt.chat else PROMPT).format(
        parameters=parameters, values=values
    )
    parts = [MODULE]
    if whole.label_bias:
        parts.append(CHOOSE)
    # A server that is not told the bias would choose other labels.
    if logit_bias(whole) or not whole.label_bias:
        parts.append(ASK)
    return "".join(parts).format(
        bias=_literal(dict((whole.label_bias or {}).get("bias", {}))),
        kind=kind,
        name=kind.upper(),
        model=_literal(whole.model.get("name", "")),
        asked=_literal(asked_to_json(whole.prompt)[kind]),
        markers=_literal(whole.markers),
        request=_literal({**sampling(whole), **extra_body(whole)}),
        function=function,
        parameters=parameters,
        call=f"{kind}({parameters})",
        path="chat/completions" if whole.prompt.chat else "completions",
        said='["message"]["content"]' if whole.prompt.chat else '["text"]',
    )


def _literal(value: Any) -> str:
    return pformat(value, width=WIDTH, sort_dicts=False)
