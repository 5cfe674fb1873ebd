"""Arguments of `mlflow.genai.register_prompt`, for MLflow's prompt registry.

For: `mlflow.genai.register_prompt(**json.load(open(FILE)))`, then `load_prompt(...).format(input=
row)`. Not for: registering; nothing here opens a connection.

MLflow knows no escape for two braces around a word, so that a prompt whose own text has them can't
be written for it.
"""

from __future__ import annotations

import re
from typing import Any

from opro_local.errors import UsageError
from opro_local.exports.openai import extra_body, sampling
from opro_local.exports.pieces import pieces
from opro_local.exports.whole_prompt import WholePrompt, json_text, messages

VARIABLE = re.compile(r"[A-Za-z_]\w*")
# What MLflow takes for a variable, or for a template of Jinja's.
TAKEN = re.compile(r"\{\{ | \}\} | \{% | %\}", re.VERBOSE)
NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def mlflow(whole: WholePrompt) -> str:
    """The JSON.

    Raises:
        UsageError: the prompt's own text has two braces in a row, or a column's name is no word.
    """
    template: Any = _template(whole, whole.prompt.text + whole.prompt.prefill)
    if whole.prompt.chat:
        template = [
            {**one, "content": _template(whole, one["content"])} for one in messages(whole.prompt)
        ]
    tags = {
        "opro_local.run_digest": str(whole.run.get("digest", "")),
        "opro_local.verdict": str(whole.run.get("verdict", "")),
        "opro_local.model_digest": str(whole.model.get("digest", "")),
        "opro_local.request": json_text({**sampling(whole), **extra_body(whole)}),
    }
    record = {
        "name": NAME.sub("-", str(whole.run.get("name", "prompt"))),
        "template": template,
        "commit_message": f"chosen by opro-local for {whole.model.get('name', '')}",
        "tags": tags,
    }
    return json_text(record, indent=2) + "\n"


def _template(whole: WholePrompt, text: str) -> str:
    names = {marker: name for name, marker in whole.markers.items()}
    made = ""
    for piece in pieces(text, whole.markers):
        name = names.get(piece.place, "")
        if piece.place and not VARIABLE.fullmatch(name):
            raise UsageError(
                f"mlflow: the column {name!r} can't be a variable there", "use another format"
            )
        made += f"{{{{{name}}}}}" if piece.place else piece.text
    own = TAKEN.search("\0".join(piece.text for piece in pieces(text, whole.markers)))
    # A brace of the text beside one of a place makes three.
    if own or "{{{" in made or "}}}" in made:
        raise UsageError(
            "mlflow: the prompt's own text has braces that it takes for a variable",
            "it has no escape for them: use another format",
        )
    return made
