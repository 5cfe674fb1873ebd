"""A configuration of promptfoo: prompt, provider, and what an answer has to be.

For: `promptfoo eval -c FILE` on rows that the user adds as `tests`, each with the variables
`input` and those of other columns, and `target`. Not for: the run's own rule; the assertion looks
for the target in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opro_local.errors import UsageError
from opro_local.exports.openai import extra_body, sampling
from opro_local.exports.pieces import nunjucks
from opro_local.exports.whole_prompt import WholePrompt, json_text, messages
from opro_local.exports.yaml_text import yaml_text

VARIABLE = re.compile(r"[A-Za-z_]\w*")
HEAD = """\
# From opro-local. Serve the model (vllm serve FOLDER --served-model-name NAME) and add your rows:
#   tests: file://rows.csv    with columns {names}
"""


def promptfoo(whole: WholePrompt) -> str:
    """The YAML.

    Raises:
        UsageError: a column's name is no variable of Nunjucks'.
    """
    variables = _variables(whole)
    kind = "chat" if whole.prompt.chat else "completion"
    name = str(whole.model.get("name", ""))
    fields = sampling(whole)
    config = {
        "apiBaseUrl": "http://localhost:8000/v1",
        "apiKey": "none",
        **fields,
        "passthrough": extra_body(whole),
    }
    record = {
        "description": f"{whole.run.get('name', '')}: a prompt for {name}",
        "prompts": [{"label": str(whole.run.get("name", "prompt")), "raw": _raw(whole, variables)}],
        "providers": [{"id": f"openai:{kind}:{name}", "config": config}],
        "defaultTest": {"assert": [{"type": "icontains", "value": "{{ target }}"}]},
        "tests": [],
    }
    names = ", ".join([*variables.values(), "target"])
    return HEAD.format(names=names) + yaml_text(record)


def _variables(whole: WholePrompt) -> dict[str, str]:
    """The variable for each value that a row gives."""
    for column in whole.columns:
        if not VARIABLE.fullmatch(column) or column in ("input", "target"):
            raise UsageError(
                f"promptfoo: the column {column!r} can't be a variable there",
                "rename it and search again",
            )
    return {"input": "input", **{name: name for name in whole.columns}}


def _raw(whole: WholePrompt, variables: Mapping[str, str]) -> str:
    """The prompt as promptfoo takes it: a text, or a chat as JSON, whose strings it renders one by
    one.
    """

    def template(text: str) -> str:
        return nunjucks(text, whole.markers, variables)

    if not whole.prompt.chat:
        return template(whole.prompt.text + whole.prompt.prefill)
    chat: list[Any] = [
        {**one, "content": template(one["content"])} for one in messages(whole.prompt)
    ]
    return json_text(chat, indent=2)
